"""How many telemetry frames a second become durable, beside a hand-written loop on the same events.

    uv run python -m tests.benchmarks.landing --frames 500000 --json
    uv run python -m tests.benchmarks.landing --frames 500000 --against baseline --json

Each contender is a process of its own over the same filled topics, one after the other: a first run whose
start-up is told apart, steady state from the first to the last commit. Only ratios within one run mean much.
"""

import argparse
import datetime as dt
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from flows.landing import Lander, Totals
from flows.settings import Settings
from flows.stack.stack import THRIFT
from producers.contracts import Event
from producers.contracts.events import TelemetryFrame
from producers.publisher import Publisher, create_topics
from tests.conftest import Broker
from warehouse import store

TOPIC = "clinic.device-telemetry"
DEVICES = 40


def fill(bootstrap: str, frames: int, seed: int, *, first: int = 0) -> None:
    """Publish frames of ten samples as devices send them, numbered from `first` on."""
    rng = random.Random(seed)
    began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=(first + frames) / DEVICES + 60)
    pool = [
        (
            [round(rng.gauss(1.2, 0.03), 3) for _ in range(10)],
            [round(rng.gauss(7200, 60), 1) for _ in range(10)],
            [round(rng.gauss(310, 12), 2) for _ in range(10)],
        )
        for _ in range(997)
    ]
    with Publisher(bootstrap) as publisher:
        for number in range(first, first + frames):
            device, sequence = number % DEVICES, number // DEVICES
            depth, rate, current = pool[number % len(pool)]
            publisher.publish(
                Event(
                    specversion="1.0",
                    id=f"frame-device-{device:03d}-{sequence:09d}",
                    source=f"/clinics/clinic-{device % 12:02d}",
                    type="telemetry.frame.v1",
                    time=began + dt.timedelta(seconds=sequence),
                    data=TelemetryFrame(
                        device_id=f"device-{device:03d}",
                        sequence=sequence,
                        sample_interval_ms=100,
                        depth_mm=depth,
                        stroke_rate_per_min=rate,
                        motor_current_ma=current,
                        battery_percent=81.5,
                        session_id=f"session-{device:03d}-{sequence // 900:05d}",
                    ),
                )
            )


def ours(bootstrap: str, frames: int) -> dict[str, Any]:
    """Our loop: typed, validated, de-duplicated, accounted, committed."""
    with tempfile.TemporaryDirectory() as folder:
        return land_all(folder, bootstrap, frames)


def land_all(home: str, bootstrap: str, frames: int) -> dict[str, Any]:
    """Land everything there is into the warehouse of this home, made where there is none."""
    started = time.monotonic()
    settings = Settings.load(home=home, kafka_bootstrap_servers=bootstrap)
    connection = store.connect(settings.location)
    store.migrate(connection, settings.location)
    commits: list[tuple[float, int]] = []
    lander = Lander(settings, connection, lambda: dt.datetime.now(dt.UTC))
    stop = threading.Event()

    def landed(totals: Totals) -> None:
        commits.append((time.monotonic(), totals.landed))
        if totals.landed >= frames:
            stop.set()

    ready = time.monotonic()
    totals = lander.run(stop, seconds=900, after_batch=landed)
    lander.close()
    connection.close()
    assert totals.landed == frames, totals
    return _figures(started, ready, commits)


def baseline(bootstrap: str, frames: int) -> dict[str, Any]:
    """A skilled engineer's own loop: confluent-kafka, polars, a DuckDB file; offsets in the transaction."""
    import duckdb
    import polars as pl
    from confluent_kafka import Consumer, TopicPartition

    started = time.monotonic()
    schema = {
        "id": pl.String,
        "source": pl.String,
        "type": pl.String,
        "time": pl.String,
        "data": pl.Struct(
            {
                "device_id": pl.String,
                "sequence": pl.Int64,
                "sample_interval_ms": pl.Int32,
                "depth_mm": pl.List(pl.Float32),
                "stroke_rate_per_min": pl.List(pl.Float32),
                "motor_current_ma": pl.List(pl.Float32),
                "battery_percent": pl.Float32,
                "session_id": pl.String,
            }
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(f"{folder}/frames.duckdb")
        connection.execute(
            "CREATE TABLE frame (id VARCHAR, source VARCHAR, type VARCHAR, time TIMESTAMPTZ, "
            "device_id VARCHAR, sequence BIGINT, sample_interval_ms INTEGER, depth_mm FLOAT[], "
            "stroke_rate_per_min FLOAT[], motor_current_ma FLOAT[], battery_percent FLOAT, "
            "session_id VARCHAR)"
        )
        connection.execute("CREATE TABLE progress (part INTEGER PRIMARY KEY, next_offset BIGINT)")
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "baseline",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.min.bytes": 2**20,
                "queued.max.messages.kbytes": 262_144,
            }
        )
        parts = consumer.list_topics(TOPIC).topics[TOPIC].partitions
        consumer.assign([TopicPartition(TOPIC, p, 0) for p in parts])
        commits: list[tuple[float, int]] = []
        count = 0
        ready = time.monotonic()
        while count < frames:
            messages = consumer.consume(50_000, timeout=0.5)
            if not messages:
                continue
            found = pl.read_ndjson(b"\n".join(m.value() for m in messages), schema=schema)
            rows = found.unnest("data").with_columns(
                pl.col("time").str.to_datetime("%+", time_unit="us", time_zone="UTC")
            )
            offsets = {m.partition(): m.offset() + 1 for m in messages}
            arrow = rows.to_arrow()  # noqa: F841
            connection.execute("BEGIN")
            connection.execute("INSERT INTO frame SELECT * FROM arrow")
            connection.executemany("INSERT OR REPLACE INTO progress VALUES (?, ?)", list(offsets.items()))
            connection.execute("COMMIT")
            count += len(messages)
            commits.append((time.monotonic(), count))
        consumer.close()
        connection.close()
        return _figures(started, ready, commits)


def _figures(started: float, ready: float, commits: list[tuple[float, int]]) -> dict[str, Any]:
    (first_at, first), (last_at, last) = commits[0], commits[-1]
    return {
        "frames": last,
        "commits": len(commits),
        "startup_seconds": round(ready - started, 3),
        "first_commit_seconds": round(first_at - ready, 3),
        "frames_per_second": round(last / (last_at - ready)),
        "steady_frames_per_second": round((last - first) / (last_at - first_at)) if last > first else None,
        "cpu_seconds": round(time.process_time(), 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


CONTENDERS = {"ours": ours, "baseline": baseline}


def _in_process_of_its_own(name: str, bootstrap: str, frames: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.landing", "--only", name, "--bootstrap", bootstrap,
         "--frames", str(frames), "--json"],
        capture_output=True, text=True, check=False, env=os.environ | THRIFT,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--against", choices=["baseline"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=sorted(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--bootstrap", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(CONTENDERS[given.only](given.bootstrap, given.frames)))
        return
    names = ["ours", *([given.against] if given.against else [])]
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            create_topics(broker.bootstrap)
            fill(broker.bootstrap, given.frames, given.seed)
            rounds = [
                {name: _in_process_of_its_own(name, broker.bootstrap, given.frames) for name in names}
                for _ in range(given.rounds)
            ]
        finally:
            broker.stop()
    result: dict[str, Any] = {
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "frames": given.frames,
        "rounds": rounds,
    }
    if given.against:
        for figure in ("frames_per_second", "steady_frames_per_second"):
            result[f"ratio_{figure}"] = [
                round(r["ours"][figure] / r[given.against][figure], 2) for r in rounds
            ]
    print(json.dumps(result, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
