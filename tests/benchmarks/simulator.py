"""How many frames and events a second the simulator brings to a real broker, and how much memory years take.

    python -m tests.benchmarks.simulator --json
    python -m tests.benchmarks.simulator --only memory --clinics 500 --years 10 --json    # about an hour

One process makes, packs and sends; the broker runs beside it on the same cores. `frames` is a network with
telemetry, `events` the same without; both are measured from the second window on, until everything is
acknowledged. `memory` makes and packs years of events without a broker and notes its own size every month.
"""

import argparse
import datetime as dt
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from producers.publisher import Publisher, create_topics
from producers.simulator.bulk import Bulk
from producers.simulator.stream import Window, windows
from producers.simulator.world import build_world
from tests.conftest import Broker

START = dt.datetime(2015, 1, 1, tzinfo=dt.UTC)
DAY = 86_400
WARM_DAYS = 30
"""Of history before what is measured: by then series run and rooms are busy."""


def _stream(clinics: int, telemetry_day: float) -> Iterator[Window]:
    second = int(START.timestamp() + telemetry_day * DAY)
    return windows(build_world(1, clinics, START), telemetry_from=second)


def throughput(clinics: int, seconds: float, *, telemetry: bool) -> dict[str, Any]:
    """Generated and acknowledged per second, over at least so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            create_topics(broker.bootstrap)
            assert broker.process is not None
            return _measured(broker, clinics, seconds, WARM_DAYS if telemetry else 1e6)
        finally:
            broker.stop()


def _measured(broker: Broker, clinics: int, seconds: float, telemetry_day: float) -> dict[str, Any]:
    made = _stream(clinics, telemetry_day)
    begins = START.timestamp() + WARM_DAYS * DAY
    assert broker.process is not None
    us, them = psutil.Process(), psutil.Process(broker.process.pid)
    with Publisher(broker.bootstrap) as publisher:
        bulk = Bulk(publisher.partitions_of, publisher.publish_block, publisher.publish_raw)
        for window in made:
            bulk.add(window)
            if window.before >= begins and (telemetry_day > WARM_DAYS or window.frames):
                break
        bulk.rest()
        publisher.flush()
        frames = events = 0
        before, cpu, its_cpu = publisher.acknowledged, _cpu(us), _cpu(them)
        begun = time.monotonic()
        for window in made:
            bulk.add(window)
            frames += sum(end - first for _, first, end in window.frames)
            events += len(window.items)
            if time.monotonic() - begun >= seconds:
                break
        bulk.rest()
        publisher.flush(120)
        took = time.monotonic() - begun
        assert publisher.acknowledged - before == frames + events
        return {
            "clinics": clinics,
            "seconds": round(took, 1),
            "frames": frames,
            "events": events,
            "frames_per_second": round(frames / took),
            "events_per_second": round(events / took),
            "cpus_used_by_simulator": round((_cpu(us) - cpu) / took, 2),
            "cpus_used_by_broker": round((_cpu(them) - its_cpu) / took, 2),
            "resident_mb": round(us.memory_info().rss / 2**20),
        }


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def memory(clinics: int, years: float) -> dict[str, Any]:
    """Resident size at the end of each simulated month, over that many years of events without telemetry."""
    bulk = Bulk(lambda topic: 4, lambda *block: None, lambda *record: None)
    us, begun = psutil.Process(), time.monotonic()
    month, events, sizes = 0, 0, []
    end = START.timestamp() + years * 365.25 * DAY
    for window in _stream(clinics, 1e6):
        bulk.add(window)
        events += len(window.items)
        if window.before >= START.timestamp() + (month + 1) * 30.44 * DAY:
            month += 1
            sizes.append(round(us.memory_info().rss / 2**20))
        if window.before >= end:
            break
    settled = sizes[len(sizes) // 5 :]
    return {
        "clinics": clinics,
        "simulated_years": years,
        "events": events,
        "seconds": round(time.monotonic() - begun),
        "resident_mb_by_month": sizes,
        "resident_mb_first_fifth_left_out": [min(settled), max(settled)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clinics", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--years", type=float, default=10)
    parser.add_argument("--only", choices=["frames", "events", "memory"])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {
        "machine": {
            "cpus": os.cpu_count(),
            "load_before": os.getloadavg(),
            "python": platform.python_version(),
            "system": platform.platform(),
        }
    }
    for name in ("frames", "events"):
        if given.only in (None, name):
            result[name] = throughput(given.clinics, given.seconds, telemetry=name == "frames")
    if given.only == "memory" or given.only is None:
        clinics = given.clinics if given.only else 20
        result["memory"] = memory(clinics, given.years)
    result["machine"]["load_after"] = os.getloadavg()
    print(json.dumps(result, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
