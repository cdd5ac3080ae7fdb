"""A send ledger with recipients, a mail server that listens, and a sender between them."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dashboards.accounts import add_user
from flows.delivery.mail import MailChannel
from flows.delivery.sender import Sender, Tally
from flows.stack import ports
from tests.delivery import worker
from tests.delivery.server import Mailbox, running
from warehouse.deliveries import Key, Ledger, Recipient

NOW = dt.datetime(2026, 11, 16, 7, tzinfo=dt.UTC)


@dataclass
class Post:
    """Everything from the ledger to the mailbox; `now` is the clock of all of it."""

    home: Path
    ledger: Ledger
    mailbox: Mailbox
    port: int
    now: dt.datetime = NOW
    step: Callable[[str], None] = lambda _: None
    weeks: list[str] = field(default_factory=list)

    def clock(self) -> dt.datetime:
        return self.now

    @property
    def channel(self) -> MailChannel:
        return worker.channel(worker.Life(self.home, self.port, self.now, (), None), self.ledger, self.clock)

    def plan(
        self, recipient: str = "mia", *, kind: str = "delayed", scope: str = "clinic-north", **more: Any
    ) -> Key:
        """Something planned for that recipient; `report` names one in the archive."""
        key = Key("mail", kind, more.get("period", "2026-W46"), scope, recipient, more.get("revision", 1))
        content = json.dumps({"report": more["report"]}) if "report" in more else worker.content(key)
        self.ledger.plan(key, content, at=self.now)
        return key

    def run(self) -> Tally:
        return Sender(
            self.ledger, {"mail": self.channel}, self.clock, lease=worker.LEASE, step=self.step
        ).run()

    def state(self, key: Key) -> str:
        return str(self.ledger.history(key.id)[0]["state"])

    def detail(self, key: Key) -> str:
        return str(self.ledger.history(key.id)[1][-1]["detail"])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the mail server's certificate, made once."""
    return tmp_path_factory.mktemp("mail")


@pytest.fixture
def post(tmp_path: Path, certificate: Path) -> Iterator[Post]:
    """A mail server without faults; Mia manages clinic north, Noor sees all clinics."""
    ledger = Ledger(tmp_path / "delivery.sqlite")
    for name, role, clinics in (("mia", "clinic_manager", ["north"]), ("noor", "network_manager", [])):
        add_user(tmp_path / "accounts.sqlite", name, "a long enough password", role, clinics)
        ledger.remember(Recipient(name, f"{name}@{worker.DOMAIN}"))
    mailbox, port = Mailbox(), ports.any_free()
    with running(mailbox, certificate, port=port) as authority:
        (tmp_path / "authority.pem").write_bytes(authority.read_bytes())
        yield Post(tmp_path, ledger, mailbox, port)
