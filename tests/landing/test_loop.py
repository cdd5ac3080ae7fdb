"""The landing loop on a real broker and a real DuckLake, killed and restarted."""

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.landing import Lander
from flows.settings import Settings
from flows.status import StatusReader
from producers.contracts import CheckFailed, Event
from producers.contracts.events import DeviceCalibrated, TelemetryFrame
from producers.publisher import Publisher, create_topics
from tests.conftest import Broker
from warehouse import store

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of the test's own, so that every offset in it is the test's."""
    running = Broker(tmp_path)
    running.start()
    create_topics(running.bootstrap)
    yield running
    running.stop()


@pytest.fixture
def settings(own_broker: Broker, tmp_path: Path) -> Settings:
    return Settings.load(
        home=tmp_path,
        kafka_bootstrap_servers=own_broker.bootstrap,
        batch_max_seconds=0.1,
    )


def event(number: int) -> Event[Any]:
    device = f"dev-{number % 7}"
    data: Any = (
        DeviceCalibrated(device_id=device, depth_error_mm=0.1)
        if number % 5 == 0
        else TelemetryFrame(
            device_id=device,
            sequence=number,
            sample_interval_ms=100,
            depth_mm=[1.0],
            stroke_rate_per_min=[7000.0],
            motor_current_ma=[300.0],
            battery_percent=80.0,
        )
    )
    type_ = "device.calibrated.v1" if number % 5 == 0 else "telemetry.frame.v1"
    return Event(
        specversion="1.0", id=f"e-{number}", source="/clinics/north", type=type_, time=NOW, data=data
    )


def publish(bootstrap: str, numbers: range) -> None:
    """Send events, and after every hundredth a bad one."""
    with Publisher(bootstrap) as publisher:
        for number in numbers:
            publisher.publish(event(number))
            if number % 100 == 0:
                publisher.publish_raw("clinic.device-telemetry", b"north/dev-0", b"{bad %d" % number)


def land_all(settings: Settings) -> None:
    """Land in this process until nothing is left."""
    connection = store.connect(settings.location)
    store.migrate(connection, settings.location)
    lander = Lander(settings, connection, lambda: dt.datetime.now(dt.UTC))
    stop = threading.Event()
    while status(settings)["lag_events"] != 0:
        lander.run(stop, seconds=0.5)
    lander.close()
    connection.close()


def status(settings: Settings) -> dict[str, Any]:
    with StatusReader(settings) as reader:
        return reader.read(dt.datetime.now(dt.UTC))


def account(settings: Settings) -> dict[str, Any]:
    with store.connect(settings.location, read_only=True) as connection:
        return store.rows(
            connection,
            """
            SELECT count(*) AS landed, count(DISTINCT id) AS distinct_ids,
              (SELECT count(*) FROM landing.quarantine) AS quarantined,
              (SELECT sum(duplicate)::BIGINT FROM landing.batch) AS duplicate
            FROM raw.event_key
            """,
        )[0]


def test_everything_is_landed_once_and_the_books_balance(settings, own_broker):
    """Good events land, bad ones are quarantined, and status says so."""
    publish(own_broker.bootstrap, range(2_000))
    land_all(settings)
    assert account(settings) == {"landed": 2_000, "distinct_ids": 2_000, "quarantined": 20, "duplicate": 0}
    found = status(settings)
    assert found["totals"] == {"consumed": 2_020, "landed": 2_000, "duplicate": 0, "quarantined": 20}
    assert (found["lag_events"], found["balanced"]) == (0, True)


def test_killed_at_any_time_nothing_is_lost_or_doubled(settings, own_broker):
    """`kill -9` at random times while events stream: after a restart each is there once."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    enough = threading.Event()
    sent: list[int] = []

    def stream() -> None:
        number = 0
        while not enough.wait(0.2):
            publish(own_broker.bootstrap, range(number, number + 200))
            number += 200
        sent.append(number)

    streaming = threading.Thread(target=stream)
    streaming.start()
    environment = {
        **os.environ,
        "DERMASTREAM_HOME": str(settings.home),
        "KAFKA_BOOTSTRAP_SERVERS": own_broker.bootstrap,
        "DERMASTREAM_BATCH_MAX_EVENTS": "300",
        "DERMASTREAM_BATCH_MAX_SECONDS": "0.05",
    }
    for _ in range(6):
        with open(settings.home / "land.log", "ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", "land"], env=environment, stdout=log, stderr=log
            )
        before = landed_batches(settings)
        while landed_batches(settings) <= before:
            assert worker.poll() is None, (settings.home / "land.log").read_text()[-2000:]
        threading.Event().wait(rng.uniform(0, 0.6))  # the random moment is the point of the test
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    enough.set()
    streaming.join()
    total = sent[0]
    land_all(settings)
    assert account(settings) == {
        "landed": total, "distinct_ids": total, "quarantined": total // 100, "duplicate": 0,
    }  # fmt: skip
    assert status(settings)["balanced"]


def landed_batches(settings: Settings) -> int:
    if not settings.location.exists():
        return 0
    try:
        with store.connect(settings.location, read_only=True) as connection:
            return int(connection.execute("SELECT count(*) FROM landing.batch").fetchall()[0][0])
    except Exception:  # the first worker is still migrating
        return 0


def test_offsets_that_kafka_no_longer_holds_stop_landing(settings, own_broker):
    """A warehouse that is ahead of Kafka, as after a recreated topic, is refused by name, never skipped."""
    publish(own_broker.bootstrap, range(200))
    land_all(settings)
    with store.connect(settings.location) as connection, store.transaction(connection, settings.location):
        connection.execute(
            "UPDATE landing.progress SET next_offset = next_offset + 1000 WHERE next_offset > 0"
        )
    with store.connect(settings.location) as connection:
        lander = Lander(settings, connection, lambda: NOW)
        with pytest.raises(CheckFailed, match="was the topic recreated"):
            lander.run(threading.Event(), seconds=5)
