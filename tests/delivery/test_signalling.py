"""Signals are told when something happened to them, to whom it concerns, once; by mail and by webhook."""

import base64
import dataclasses
import datetime as dt
import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.accounts import add_user
from flows.delivery.delivering import Deliverer
from flows.delivery.sender import FIRST_WAIT, Sender
from flows.delivery.signalling import Signalling, after_quiet
from flows.delivery.webhook import WebhookChannel, secret_of
from flows.settings import Settings
from flows.stack import ports
from producers.contracts import SettingsError
from tests.delivery import worker
from tests.delivery.server import PASSWORD, USER, Mailbox, running
from tests.report import world
from tests.report.world import AS_OF
from warehouse import store
from warehouse.deliveries import Ledger, Recipient

pytestmark = pytest.mark.integration

SECRET = b"a secret of twenty-four bytes or more"
DAY = dt.timedelta(days=1)
OPENED = AS_OF - 2 * DAY
"""When signal new1, about clinic west, opened."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[store.Connection, store.Location]]:
    """A warehouse whose signals are those of the report's world, with the days behind one of them."""
    connection, location = world.fill(tmp_path_factory.mktemp("lake"))
    days = [world.ratio("west", 100 + i, 64.0) | {"as_of": OPENED - i * DAY} for i in range(1, 9)]
    world.write(connection, location, world.usual() + days)
    yield connection, location
    connection.close()


@dataclasses.dataclass
class Desk:
    """A home, its ledger, and the settings."""

    connection: store.Connection
    ledger: Ledger
    settings: Settings

    def tell(self, at: dt.datetime, **settings: Any) -> list[tuple[str, str, str, str]]:
        """Look at that moment; channel, kind, period and recipient of all that is planned then."""
        changed = self.settings.model_copy(update=settings)
        Signalling(changed, self.connection).plan(at)
        rows = self.ledger.listed()
        return sorted((r["channel"], r["kind"], r["period"], r["recipient"]) for r in rows)


@pytest.fixture
def desk(tmp_path: Path, lake: tuple[store.Connection, store.Location]) -> Desk:
    """Mia manages west, Ola manages north, Noor sees all."""
    settings = Settings(
        home=tmp_path, mail_host="127.0.0.1", mail_domains="d.example", dashboard_url="https://dash"
    )
    ledger = Ledger(settings.delivery_ledger)
    people = (("mia", ["west"]), ("ola", ["north"]), ("noor", []))
    for name, clinics in people:
        role = "clinic_manager" if clinics else "network_manager"
        add_user(settings.accounts_file, name, "a long enough password", role, clinics)
        ledger.remember(Recipient(name, f"{name}@d.example"))
    return Desk(lake[0], ledger, settings)


def test_an_opening_is_told_once_to_whom_it_concerns(desk: Desk):
    """The clinic's manager and who sees all; not another clinic's; however often one looks."""
    first = desk.tell(OPENED + dt.timedelta(hours=1))
    assert [row for row in first if row[2].endswith("opened")] == [
        ("mail", "signal", "new1/1/opened", "mia"),
        ("mail", "signal", "new1/1/opened", "noor"),
    ]
    assert desk.tell(OPENED + dt.timedelta(hours=2)) == first


def test_what_happened_long_ago_is_not_told(desk: Desk):
    """A first look months later tells nothing of what is over; nothing is told before it happened."""
    assert desk.tell(AS_OF - 200 * DAY) == []
    assert not [row for row in desk.tell(OPENED + 30 * DAY) if "opened" in row[2]]


def test_a_signal_that_nobody_looks_at_escalates(desk: Desk):
    """After three days without an acknowledgement it is told once more; an acknowledged one is not."""
    rows = desk.tell(OPENED + 3 * DAY + dt.timedelta(hours=1))
    assert {row[2] for row in rows if "escalated" in row[2]} == {"new1/1/escalated"}
    assert not [row for row in rows if row[2].startswith("old1") and "escalated" in row[2]]


def test_the_clocks_ring_before_the_last_day(desk: Desk):
    """Two days before each regulator's last day, once each; of the cartridge lot only who sees all learns."""
    due = OPENED + 13 * DAY
    rows = {row[2:] for row in desk.tell(due) if "/clock/" in row[2] and row[2].startswith("new1")}
    assert ("new1/1/clock/eu-serious", "mia") in rows
    assert ("new1/1/clock/eu-serious-threat", "mia") not in rows
    lot_opened = AS_OF - 40 * DAY
    told = {row[3] for row in desk.tell(lot_opened + 28 * DAY) if row[2].startswith("old1/1/clock")}
    assert told == {"noor"}


def test_a_closing_is_told(desk: Desk):
    """Closed by a person or cleared by the rule, with where it stands."""
    rows = desk.tell(AS_OF - DAY + dt.timedelta(hours=1))
    assert ("mail", "signal", "shut1/2/closed", "ola") in rows


def test_the_mail_has_strength_owner_chart_and_link(desk: Desk):
    """What it says is in facts; the days behind it are a picture with a text; the link leads to the inbox."""
    desk.tell(OPENED + dt.timedelta(hours=1))
    (row, *_) = [row for row in desk.ledger.listed() if row["period"] == "new1/1/opened"]
    note = json.loads(row["content"])
    assert note["subject"] == "Signal opened: Adverse events, observed over expected, clinic west"
    assert ["Strength", "1.75 times the expected, q 0.004"] in note["facts"]
    assert ["Owner", "nobody yet"] in note["facts"]
    assert note["links"] == [["The signal in the dashboard", "https://dash/signals?signal=new1"]]
    assert note["chart"].startswith("<svg")
    assert note["chart_alt"].startswith("From 1.69 on 2026-11-06 to ")


def test_a_digest_is_one_mail_a_day(desk: Desk):
    """At its hour, each reader gets what happened in the day before; clocks do not wait for it."""
    morning = OPENED.replace(hour=8, minute=5)
    rows = desk.tell(morning, signal_digest_hour=8)
    digests = [row for row in rows if row[1] == "digest"]
    assert digests == [("mail", "digest", "2026-11-14", "mia"), ("mail", "digest", "2026-11-14", "noor")]
    assert {row[2] for row in rows if row[1] == "signal"} <= {row[2] for row in rows if "/clock/" in row[2]}
    assert [
        row for row in desk.tell(morning + dt.timedelta(hours=3), signal_digest_hour=8) if row[1] == "digest"
    ] == digests


@pytest.mark.parametrize(
    ("now", "quiet", "zone", "until"),
    [
        ("2026-11-16T12:00", "22-7", "UTC", "2026-11-16T12:00"),
        ("2026-11-16T23:00", "22-7", "UTC", "2026-11-17T07:00"),
        ("2026-11-16T03:00", "22-7", "UTC", "2026-11-16T07:00"),
        ("2026-11-16T21:30", "22-7", "Europe/Berlin", "2026-11-17T06:00"),
        ("2026-10-25T00:30", "22-7", "Europe/Berlin", "2026-10-25T06:00"),
        ("2026-11-16T12:30", "12-14", "UTC", "2026-11-16T14:00"),
        ("2026-11-16T23:00", "", "UTC", "2026-11-16T23:00"),
    ],
)
def test_quiet_hours_end_by_the_local_clock(now: str, quiet: str, zone: str, until: str):
    """What comes in quiet hours waits for their end, over midnight and over a clock change."""
    given, wanted = (dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) for text in (now, until))
    assert after_quiet(given, quiet, zone) == wanted


def test_the_loop_tells_and_sends(
    desk: Desk, tmp_path: Path, certificate: Path, lake: tuple[store.Connection, store.Location]
):
    """The worker's loop finds what is to be told and mails it, with its picture, over TLS; the next look
    finds nothing new."""
    mailbox, port = Mailbox(), ports.any_free()
    (tmp_path / "password").write_text(PASSWORD)
    with running(mailbox, certificate, port=port) as authority:
        mail = {"mail_port": port, "mail_user": USER, "mail_password_file": tmp_path / "password"}
        more = {"mail_cafile": authority, "mail_from": "r@net.example", "delivery_seconds": 0.01}
        settings = desk.settings.model_copy(update=mail | more)
        deliverer = Deliverer(settings, desk.connection, lambda: OPENED + dt.timedelta(hours=1))
        first = deliverer.run(threading.Event(), 0.001)
        second = deliverer.run(threading.Event(), 0.001)
    assert first.planned == first.accepted == len(mailbox.taken) > 0
    assert (second.planned, second.accepted) == (0, 0)
    (opened,) = [m for m in mailbox.taken if m.recipient == "mia@d.example" and b"opened" in m.content]
    assert b"Content-ID: <chart>" in opened.content


# ── the webhook ─────────────────────────────────────────────────────────────────────────────────────────


class _Receiver(http.server.BaseHTTPRequestHandler):
    """Answers as told, and keeps what came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append((dict(self.headers.items()), body))  # type: ignore[attr-defined]
        answers = self.server.answers.get(self.headers["webhook-id"], [])  # type: ignore[attr-defined]
        status = answers.pop(0) if answers else 204
        if status == 0:
            self.connection.close()
            return
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def receiver() -> Iterator[http.server.ThreadingHTTPServer]:
    """A real HTTP server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.came, server.answers = [], {}  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answers", "state", "calls"),
    [([204], "accepted", 1), ([503, 0, 429, 200], "accepted", 4), ([410], "failed", 1), ([302], "failed", 1)],
)
def test_a_webhook_is_signed_and_tried_again(
    desk: Desk, receiver: Any, answers: list[int], state: str, calls: int
):
    """HMAC over id, time and body; the same id in each attempt; 5xx, 429 and silence are tried again."""
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    now = OPENED + dt.timedelta(hours=1)
    desk.tell(now, webhook_url=url, mail_host=None)
    key = next(row["id"] for row in desk.ledger.listed() if row["period"] == "new1/1/opened")
    receiver.answers = {key: list(answers)}
    clock = now

    def sender() -> Sender:
        channel = WebhookChannel(url, SECRET, 5, lambda: clock)
        return Sender(desk.ledger, {"webhook": channel}, lambda: clock, lease=worker.LEASE)

    while desk.ledger.history(key)[0]["state"] == "planned":
        sender().run()
        clock += 10 * FIRST_WAIT
    assert desk.ledger.history(key)[0]["state"] == state
    mine = [(headers, body) for headers, body in receiver.came if headers["webhook-id"] == key]
    assert len(mine) == calls
    headers, body = mine[-1]
    signed = f"{key}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    payload = json.loads(body)
    assert (payload["type"], payload["data"]["signal_id"]) == ("signal.opened", "new1")


def test_a_secret_is_checked():
    """A Standard Webhooks secret is read; a short one and what is no base64 are refused by name."""
    assert secret_of("whsec_" + base64.b64encode(SECRET).decode()) == SECRET
    for bad in ("whsec_c2hvcnQ=", "not base64!"):
        with pytest.raises(SettingsError, match="DERMASTREAM_WEBHOOK_SECRET_FILE"):
            secret_of(bad)


def test_a_webhook_is_encrypted(monkeypatch: pytest.MonkeyPatch):
    """Plain http is for this machine only."""
    monkeypatch.setenv("DERMASTREAM_WEBHOOK_URL", "http://elsewhere.example/hook")
    with pytest.raises(SettingsError, match="DERMASTREAM_WEBHOOK_URL: must be https"):
        Settings.load()
