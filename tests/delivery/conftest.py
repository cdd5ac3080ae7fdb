"""A send ledger with recipients, a mail server that listens, and a sender between them."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog

from dashboards.accounts import add_user
from flows.cli import app
from flows.delivery.mail import MailChannel
from flows.delivery.sender import Sender, Tally
from flows.stack import ports
from tests.delivery import worker
from tests.delivery.server import PASSWORD, USER, Mailbox, running
from warehouse import store
from warehouse.deliveries import Key, Ledger, Recipient

Run = Callable[..., Any]

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


@pytest.fixture
def mailbox(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch, lake: store.Location
) -> Iterator[Mailbox]:
    """A mail server, and the settings that name it; `lake` is the module's own warehouse."""
    found, port = Mailbox(), ports.any_free()
    (tmp_path / "password").write_text(PASSWORD)
    with running(found, certificate, port=port) as authority:
        settings = {
            "HOME": tmp_path, "CATALOG": lake.catalog, "DATA_PATH": lake.data_path, "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": port, "MAIL_USER": USER, "MAIL_PASSWORD_FILE": tmp_path / "password",
            "MAIL_CAFILE": authority, "MAIL_FROM": "Reports <r@net.example>", "MAIL_DOMAINS": "d.example",
            "DASHBOARD_URL": "https://dash.example",
        }  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(f"DERMASTREAM_{name}", str(value))
        for name, role, clinics in (("mia", "clinic_manager", ["north"]), ("noor", "network_manager", [])):
            add_user(
                tmp_path / "dashboard" / "accounts.sqlite", name, "a long enough password", role, clinics
            )
        yield found
    structlog.reset_defaults()


@pytest.fixture
def run(mailbox: Mailbox, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process and give its JSON, or its text."""

    def running_(*words: str) -> Any:
        capsys.readouterr()
        app(["report", *words])
        said = capsys.readouterr().out
        return json.loads(said) if "--json" in words else said

    return running_
