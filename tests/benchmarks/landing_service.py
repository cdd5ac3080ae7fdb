"""How landing behaves as a service: after a kill, at a steady rate, on a long history, on a long backlog.

    uv run python -m tests.benchmarks.landing_service restart
    uv run python -m tests.benchmarks.landing_service freshness --rate 20000 --seconds 30
    uv run python -m tests.benchmarks.landing_service history --frames 1000000 100000000
    uv run python -m tests.benchmarks.landing_service backlog --frames 10000000

Real broker, real worker processes, real lake; one JSON document each.
"""

import argparse
import datetime as dt
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from flows.landing import Lander, Totals
from flows.settings import Settings
from flows.stack.stack import THRIFT
from producers.publisher import create_topics
from tests.benchmarks.landing import DEVICES, TOPIC, fill
from tests.conftest import Broker
from warehouse import store

FRAMES_A_KILL = 20_000
LONG_AGO = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


@contextmanager
def world() -> Iterator[tuple[Broker, Settings]]:
    """A broker with our topics, and settings of an empty home."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            create_topics(broker.bootstrap)
            yield broker, Settings.load(home=folder, kafka_bootstrap_servers=broker.bootstrap)
        finally:
            broker.stop()


def worker(settings: Settings) -> subprocess.Popen[bytes]:
    """`dermastream land`, as the stack starts it and as people install it: pandas belongs to the tests only,
    and pyarrow imports it, for most of a second, wherever it finds it."""
    environment = os.environ | THRIFT | {
        "DERMASTREAM_HOME": str(settings.home),
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers or "",
    }  # fmt: skip
    log = open(settings.home / "land.log", "ab")  # noqa: SIM115 - the process outlives this function
    return subprocess.Popen([sys.executable, "-c", _LAND, "land"], env=environment, stdout=log, stderr=log)


_LAND = """
import sys

class NotInstalled:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotInstalled)
from flows.cli import main
main()
"""


def landed(settings: Settings) -> int:
    """Events in the ledger, 0 while there is no warehouse yet."""
    try:
        with store.connect(settings.location, read_only=True) as connection:
            return _landed(connection)
    except Exception:  # the first worker is still migrating
        return 0


def _landed(connection: store.Connection) -> int:
    return int(connection.execute("SELECT coalesce(sum(landed), 0) FROM landing.batch").fetchall()[0][0])


def restart(kills: int) -> dict[str, Any]:
    """Seconds from starting a worker again after `kill -9` until its first commit can be read."""
    with world() as (broker, settings):
        seconds = []
        for _ in range(kills + 1):
            fill(broker.bootstrap, FRAMES_A_KILL, seed=1, first=len(seconds) * FRAMES_A_KILL)
            began = time.monotonic()
            process = worker(settings)
            _until_landed(settings, len(seconds) * FRAMES_A_KILL, process)
            seconds.append(round(time.monotonic() - began, 2))
            process.send_signal(signal.SIGKILL)
            process.wait()
    return {"first_start_seconds": seconds[0], "restart_seconds": seconds[1:]}


def _until_landed(settings: Settings, before: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until more than so many events are landed; looking must not take the core that landing needs."""
    connection = None
    while process.poll() is None:
        time.sleep(0.05)
        if connection is None and landed(settings):
            connection = store.connect(settings.location, read_only=True)
        if connection is not None and _landed(connection) > before:
            connection.close()
            return
    raise SystemExit((settings.home / "land.log").read_text()[-2000:])


def freshness(rate: int, seconds: int) -> dict[str, Any]:
    """Seconds from producing an event until another process can read it, at a steady rate."""
    with world() as (broker, settings):
        process = worker(settings)
        seen: dict[str, float] = {}
        ready, stop = threading.Event(), threading.Event()
        try:
            fill(broker.bootstrap, 1_000, seed=0)
            _until_landed(settings, 999, process)
            reading = threading.Thread(target=_watch, args=(settings, seen, ready, stop))
            reading.start()
            ready.wait()
            sent = _produce_steadily(broker.bootstrap, rate, seconds)
            _until_landed(settings, 1_000 + sent - 1, process)
            stop.set()
            reading.join()
            found = _ages(settings, seen)
        finally:
            process.terminate()
            process.wait()
    return {
        "rate_wanted": rate,
        "rate_reached": round(sent / seconds),
        "events_seen": len(found),
        "p50_seconds": round(statistics.median(found), 3),
        "p99_seconds": round(found[int(len(found) * 0.99)], 3),
        "worst_seconds": round(found[-1], 3),
    }


def _produce_steadily(bootstrap: str, rate: int, seconds: int) -> int:
    """Send frames, written from a template by a producer in C: the load must not be what is measured."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True})
    key, value = _frame(0, dt.datetime.now(dt.UTC))
    producer.produce(TOPIC, key=key, value=value)
    producer.flush()  # what a new producer asks of a new broker takes seconds, once
    number = 1
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        at = dt.datetime.now(dt.UTC).replace(microsecond=dt.datetime.now().microsecond or 1)
        for _ in range(int(passed * rate) - number):
            key, value = _frame(number, at)
            producer.produce(TOPIC, key=key, value=value)
            number += 1
        producer.poll(0.005)
    producer.flush()
    return number


def _produce(bootstrap: str, frames: int) -> None:
    """Send that many frames, a hundred thousand of them to a second of their clock."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "enable.idempotence": True})
    began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=frames / 100_000 + 60)
    for number in range(frames):
        key, value = _frame(number, began + dt.timedelta(microseconds=10 * number + 1))
        while True:
            try:
                producer.produce(TOPIC, key=key, value=value)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def _frame(number: int, at: dt.datetime) -> tuple[bytes, bytes]:
    """Key and canonical value of the so-manieth frame, produced at this moment."""
    clinic, device = f"clinic-{number % 12:02d}", f"device-{number % DEVICES:03d}"
    value = _TEMPLATE % (number, clinic, f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", device, number)
    return f"{clinic}/{device}".encode(), value.encode()


_TEMPLATE = (
    '{"specversion":"1.0","id":"steady-%010d","source":"/clinics/%s","type":"telemetry.frame.v1","time":"%s",'
    '"data":{"device_id":"%s","sequence":%d,"sample_interval_ms":100,'
    f'"depth_mm":{[1.2] * 10},"stroke_rate_per_min":{[7200.0] * 10},"motor_current_ma":{[310.0] * 10},'
    '"battery_percent":81.5,"session_id":"session-1"}}'
).replace(", ", ",")


def _watch(settings: Settings, seen: dict[str, float], ready: threading.Event, stop: threading.Event) -> None:
    """Note when each batch could first be read: its ledger row appears with its events, by one commit.

    Only what is new is read, as whoever follows the warehouse would: to look must not take the cores.
    """
    with store.connect(settings.location, read_only=True) as connection:
        known = store.snapshot_id(connection)
        ready.set()
        over = False
        while not over:
            over = stop.is_set()
            if (now := store.snapshot_id(connection)) > known:
                for (batch_id,) in connection.execute(_NEW_BATCHES, [known + 1, now]).fetchall():
                    seen.setdefault(batch_id, time.time())
                known = now
            time.sleep(0.02)


_NEW_BATCHES = """
SELECT DISTINCT batch_id
FROM ducklake_table_insertions('dermastream', 'landing', 'batch', ?::BIGINT, ?::BIGINT)
"""


def _ages(settings: Settings, seen: dict[str, float]) -> list[float]:
    """How old each event was when it could first be read, in seconds, ascending."""
    query = (
        "SELECT batch_id, epoch(occurred_at) FROM raw.telemetry_frame "
        "WHERE sequence > 0 AND id LIKE 'steady-%'"
    )
    with store.connect(settings.location, read_only=True) as connection:
        return sorted(seen[batch_id] - at for batch_id, at in connection.execute(query).fetchall())


def history(sizes: list[int], frames: int) -> dict[str, Any]:
    """Seconds to land the same frames on top of histories of these sizes; the ratio is last to first."""
    found = []
    for size in sizes:
        with world() as (broker, settings), store.connect(settings.location) as connection:
            store.migrate(connection, settings.location)
            began = time.monotonic()
            _grow(connection, settings.location, size)
            grown = time.monotonic() - began
            fill(broker.bootstrap, frames, seed=1)
            found.append(
                {"history": size, "grown_seconds": round(grown, 1)} | _land(settings, connection, frames)
            )
    return {"runs": found, "ratio": round(found[-1]["batch_seconds"] / found[0]["batch_seconds"], 3)}


def _grow(connection: store.Connection, location: store.Location, size: int) -> None:
    """A year of frames put straight into the lake, an hour's worth after the other."""
    step = 1_000_000
    for first in range(0, size, step):
        last = min(size, first + step)
        bind = {"first": first, "last": last, "began": LONG_AGO, "every": 365 * 86_400e6 / size}
        with store.transaction(connection, location):
            connection.execute(_GROW_FRAMES, bind)
            connection.execute(_GROW_KEYS, bind)


_GROW_FRAMES = """
INSERT INTO raw.telemetry_frame BY NAME
SELECT
  concat('/clinics/clinic-', lpad((n % 12)::VARCHAR, 2, '0')) AS source, concat('old-', n) AS id,
  concat('clinic-', lpad((n % 12)::VARCHAR, 2, '0')) AS clinic_id,
  $began + to_microseconds((n * $every)::BIGINT) AS occurred_at, occurred_at AS received_at,
  occurred_at AS landed_at, concat('grown-', n // 100000) AS batch_id, hash(n) AS content_hash,
  concat('device-', n % 40) AS device_id, n AS sequence, 100 AS sample_interval_ms,
  list_transform(range(10), lambda i: (1.2 + (n * 7 + i) % 100 / 1000)::FLOAT) AS depth_mm,
  list_transform(range(10), lambda i: (7200 + (n * 3 + i) % 120)::FLOAT) AS stroke_rate_per_min,
  list_transform(range(10), lambda i: (310 + (n * 5 + i) % 24)::FLOAT) AS motor_current_ma,
  81.5::FLOAT AS battery_percent, concat('session-', n // 900) AS session_id
FROM range($first, $last) AS made(n)
"""
_GROW_KEYS = """
INSERT INTO landing.event_key BY NAME
SELECT
  md5_number_lower(
    concat('/clinics/clinic-', lpad((n % 12)::VARCHAR, 2, '0'), chr(31), 'old-', n)
  ) AS key_hash,
  $began + to_microseconds((n * $every)::BIGINT) AS occurred_at, 'telemetry_frame' AS "table"
FROM range($first, $last) AS made(n)
"""


def _land(settings: Settings, connection: store.Connection, frames: int) -> dict[str, Any]:
    """Land what waits in Kafka, and give the median seconds of a batch after the first."""
    lander = Lander(settings, store.cursor(connection), lambda: dt.datetime.now(dt.UTC))
    stop = threading.Event()
    times = [time.monotonic()]

    def after(totals: Totals) -> None:
        times.append(time.monotonic())
        if totals.landed >= frames:
            stop.set()

    lander.run(stop, seconds=3_600, after_batch=after)
    lander.close()
    steady = [b - a for a, b in itertools.pairwise(times[1:])]
    return {"batch_seconds": round(statistics.median(steady), 4)}


def backlog(frames: int) -> dict[str, Any]:
    """The worker's memory while it works off a backlog: at a tenth, at half, and at the end."""
    with world() as (broker, settings):
        _produce(broker.bootstrap, frames)
        process = worker(settings)
        memory: list[tuple[int, int]] = []
        try:
            while (count := landed(settings)) < frames:
                memory.append((count, psutil.Process(process.pid).memory_info().rss // 2**20))
                time.sleep(0.5)
        finally:
            process.terminate()
            process.wait()
    return {
        "frames": frames,
        **{
            f"memory_mb_at_{share}": max((m for c, m in memory if c <= frames * share), default=None)
            for share in (0.1, 0.5, 1.0)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("restart").add_argument("--kills", type=int, default=5)
    steady = what.add_parser("freshness")
    steady.add_argument("--rate", type=int, default=20_000)
    steady.add_argument("--seconds", type=int, default=30)
    grown = what.add_parser("history")
    grown.add_argument("--frames", type=int, nargs="+", default=[1_000_000, 100_000_000], dest="sizes")
    grown.add_argument("--land", type=int, default=600_000, dest="frames")
    what.add_parser("backlog").add_argument("--frames", type=int, default=10_000_000)
    given = vars(parser.parse_args())
    found = globals()[given.pop("what")](**given)
    print(json.dumps(found | {"cpus": os.cpu_count()}, indent=2))


if __name__ == "__main__":
    main()
