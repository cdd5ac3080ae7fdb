"""Two landing workers on PostgreSQL and S3 land what one embedded worker lands, row by row."""

import datetime as dt
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.landing import Lander, Totals
from flows.settings import Settings
from producers.publisher import Publisher, create_topics
from tests.conftest import Broker
from tests.faults.harness import event
from tests.scale_out.conftest import Lake
from warehouse import store
from warehouse.verify import verify

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)
EVENTS = 6_000


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[str]:
    """A broker with events, repeats and two that are none."""
    (home := tmp_path / "broker").mkdir()
    broker = Broker(home)
    broker.start()
    create_topics(broker.bootstrap)
    with Publisher(broker.bootstrap) as publisher:
        for number in [*range(EVENTS), *range(0, EVENTS, 100)]:
            publisher.publish(event(number, at=NOW - dt.timedelta(seconds=number)))
            if number % 100 == 99:
                publisher.flush()  # small record batches, so that the workers' transactions are many
        for bad in (b"{", b"null"):
            publisher.publish_raw("clinic.device-telemetry", b"north/dev-1", bad)
    yield broker.bootstrap
    broker.stop()


@contextmanager
def worker(lake: Lake, bootstrap: str, home: Path, share: str) -> Iterator[subprocess.Popen[bytes]]:
    """`dermastream land` with its share of the partitions."""
    environment = lake.environment | {
        "DERMASTREAM_HOME": str(home),
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "DERMASTREAM_LANDING_SHARE": share,
        "DERMASTREAM_BATCH_MAX_EVENTS": "300",
    }
    with open(home / "land.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "land"], env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_two_workers_land_what_one_embedded_worker_lands(scaled_out: Lake, filled: str, tmp_path: Path):
    """One of the two is killed on the way; afterwards every table holds the same, and the books balance."""
    homes = [tmp_path / "one", tmp_path / "two", tmp_path / "embedded"]
    for home in homes:
        home.mkdir()
    settings = Settings.load(home=homes[0], kafka_bootstrap_servers=filled)
    with (
        worker(scaled_out, filled, homes[0], "1/2") as first,
        worker(scaled_out, filled, homes[1], "2/2") as second,
    ):
        until(lambda: consumed(settings) > EVENTS // 4, first, second)
        second.kill()
        with worker(scaled_out, filled, homes[1], "2/2") as again:
            until(lambda: consumed(settings) == EVENTS + EVENTS // 100 + 2, first, again)
    with store.connect(settings.location) as connection:
        assert verify(connection, settings.location).findings == []
        landed, duplicates = totals(connection)
        workers = connection.execute("SELECT count(DISTINCT worker) FROM landing.batch").fetchall()
        found = contents(connection)
    assert (landed, duplicates) == (EVENTS, EVENTS // 100)
    assert workers[0][0] >= 2
    assert found == embedded(filled, homes[2])


def totals(connection: store.Connection) -> tuple[int, int]:
    """Events landed, and repeats."""
    query = "SELECT sum(landed)::BIGINT, sum(duplicate)::BIGINT FROM landing.batch"
    return connection.execute(query).fetchall()[0]


def until(holds: Callable[[], bool], *workers: subprocess.Popen[bytes]) -> None:
    pause, deadline = threading.Event(), time.monotonic() + 120
    while not holds():
        assert all(process.poll() is None for process in workers), "a worker has ended"
        assert time.monotonic() < deadline, "did not come in time"
        pause.wait(0.1)


def consumed(settings: Settings) -> int:
    try:
        with store.connect(settings.location, read_only=True) as connection:
            total = connection.execute("SELECT coalesce(sum(consumed), 0) FROM landing.batch").fetchall()
            return int(total[0][0])
    except Exception:  # the first worker is still migrating
        return 0


CONTENTS = (
    "SELECT * EXCLUDE (landed_at, batch_id) FROM raw.telemetry_frame ORDER BY id",
    "SELECT * EXCLUDE (landed_at, batch_id) FROM raw.device_calibrated ORDER BY id",
    'SELECT * EXCLUDE (landed_at, batch_id) FROM landing.quarantine ORDER BY topic, "partition", "offset"',
    "SELECT sum(consumed), sum(landed), sum(duplicate), sum(quarantined) FROM landing.batch",
)


def contents(connection: store.Connection) -> list[list[tuple[object, ...]]]:
    """What was landed, quarantined and booked, without which batch brought it and when."""
    return [connection.execute(query).fetchall() for query in CONTENTS]


def embedded(bootstrap: str, home: Path) -> list[list[tuple[object, ...]]]:
    """The same by one worker on the embedded lake."""
    settings = Settings.load(
        home=home,
        kafka_bootstrap_servers=bootstrap,
        catalog=f"sqlite:{home / 'catalog.sqlite'}",
        data_path=f"{home / 'data'}/",
    )
    stop = threading.Event()

    def landed(totals: Totals) -> None:
        if totals.consumed == EVENTS + EVENTS // 100 + 2:
            stop.set()

    with store.connect(settings.location) as connection:
        store.migrate(connection, settings.location)
        lander = Lander(settings, connection, lambda: NOW)
        lander.run(stop, seconds=120, after_batch=landed)
        lander.close()
        return contents(connection)
