"""A delivery worker as a process of its own, that ends itself by `kill -9` at a named step."""

import datetime as dt
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from flows.delivery.mail import MailChannel
from flows.delivery.recipients import Policy
from flows.delivery.sender import Sender
from flows.delivery.smtp import MailServer
from tests.delivery.server import PASSWORD, USER
from warehouse.deliveries import Delivery, Key, Ledger

STEPS = ("claim", "make", "send", "hand over", "final", "answered", "settled")
LEASE = dt.timedelta(seconds=60)
DOMAIN = "clinic.example"


class SendThenMark(Ledger):
    """A naive ledger: it writes down what was sent, after it was sent."""

    def hand_over(self, delivery: Delivery, *, at: dt.datetime) -> None:
        """Nothing is written before the message may arrive."""


@dataclass(frozen=True)
class Life:
    """What one worker process is told."""

    home: Path
    port: int
    now: dt.datetime
    keys: tuple[Key, ...]
    die_at: tuple[str, int] | None
    mutant: bool = False


def channel(life: Life, ledger: Ledger, clock: Any) -> MailChannel:
    """Mail to the test's server, over STARTTLS with a login."""
    return MailChannel(
        server=MailServer(
            host="127.0.0.1",
            port=life.port,
            security="starttls",
            user=USER,
            password=PASSWORD,
            authority=life.home / "authority.pem",
            timeout=5,
            final_timeout=5,
        ),
        sender="Reports <reports@network.example>",
        archive=life.home / "reports",
        policy=Policy(life.home / "accounts.sqlite", ledger, (DOMAIN,)),
        ledger=ledger,
        clock=clock,
        attach_pdf=False,
    )


def live(life: Life) -> None:
    """Plan everything once more (a schedule that fires twice), then deliver; die when the step comes."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(open(os.devnull, "w")))  # noqa: SIM115
    began = time.monotonic()
    left = dict([life.die_at]) if life.die_at else {}

    def clock() -> dt.datetime:
        return life.now + dt.timedelta(seconds=time.monotonic() - began)

    def step(name: str) -> None:
        if name in left:
            left[name] -= 1
            if left[name] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    ledger = (SendThenMark if life.mutant else Ledger)(life.home / "delivery.sqlite")
    for key in life.keys:
        step("plan")
        ledger.plan(key, content(key), at=clock())
    sender = Sender(ledger, {"mail": channel(life, ledger, clock)}, clock, lease=LEASE, step=step)
    sender.run()
    sys.exit(0)


def content(key: Key) -> str:
    """What is sent for a key: a short mail, or the report in the archive."""
    import json

    if key.kind == "weekly":
        return json.dumps({"report": "report"})
    note = {"subject": f"{key.kind} {key.period}", "paragraphs": ["One line.", ".A line with a dot."]}
    return json.dumps(note | {"facts": [["n", "1"]], "links": [], "chart": "", "chart_alt": ""})
