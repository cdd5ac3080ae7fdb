"""The forwarder alone, over a real outbox and broker: what it drops, and what a full disk does to it."""

import contextlib
import datetime as dt
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from producers.contracts import EVENTS
from producers.gateway.forwarder import Forwarder
from producers.gateway.outbox import Entry, Outbox, Retention
from tests.gateway.harness import arrived

pytestmark = pytest.mark.integration

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
RETENTION = Retention(dt.timedelta(0), dt.timedelta(days=90))


def entries(count: int, mark: str) -> list[Entry]:
    topic = EVENTS["session.completed.v1"].topics[0].name
    return [
        Entry(f"/clinics/{mark}", f"{n}", topic, b"k", f'{{"source":"{mark}","n":{n}}}'.encode())
        for n in range(count)
    ]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline


def contents(file: Path) -> int:
    """Events whose content is in the file, seen by another reader."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM content").fetchone()[0])


def test_sent_events_lose_their_content_in_time(bootstrap: str, tmp_path: Path):
    """With no time to keep it, the content goes as soon as it is sent; the ids stay."""
    moments = iter(range(10**9))  # each look at the clock is a minute later
    with Outbox(tmp_path / "outbox.sqlite") as outbox:
        forwarder = Forwarder(
            outbox, bootstrap, {}, RETENTION, lambda: NOW + dt.timedelta(minutes=next(moments))
        )
        outbox.put(entries(2_500, "tidy"), NOW)
        forwarder.start()
        until(lambda: outbox.state().depth == 0)
        until(lambda: contents(tmp_path / "outbox.sqlite") == 0)
        assert outbox.put(entries(2_500, "tidy"), NOW) == 0
        forwarder.stop()
        forwarder.join(20)
        assert not forwarder.alive
    found = [record.value for record in arrived(bootstrap) if b'"source":"tidy"' in record.value]
    assert found == [entry.value for entry in entries(2_500, "tidy")]


def test_a_disk_that_fills_while_sending_repeats_nothing(bootstrap: str, small_disk: Path):
    """Acknowledged events that cannot be marked are marked later, and not sent again and again meanwhile."""
    with Outbox(small_disk / "outbox.sqlite") as outbox:
        outbox.put(entries(500, "full"), NOW)
        ballast = (small_disk / "ballast").open("wb", buffering=0)
        for size in (2**20, 1):
            try:
                while ballast.write(b"\0" * size):
                    pass
            except OSError:
                continue
        ballast.close()
        forwarder = Forwarder(outbox, bootstrap, {}, RETENTION, lambda: NOW)
        forwarder.start()
        until(lambda: forwarder.failures >= 2)
        assert outbox.state().depth == 500
        (small_disk / "ballast").unlink()
        until(lambda: outbox.state().depth == 0)
        forwarder.stop()
        forwarder.join(20)
    found = [record.value for record in arrived(bootstrap) if b'"source":"full"' in record.value]
    assert found == [entry.value for entry in entries(500, "full")]
