"""How much analysts at the remote door slow a landing at full speed, and how they fare meanwhile.

    uv run python -m tests.benchmarks.readers --frames 500000 --analysts 8

Rounds in turn without and with analysts, each on a new warehouse and the same filled topics; the analysts ask
one statement after the other, with a pause of `--pause` seconds. Only ratios within one run mean much.
"""

import argparse
import itertools
import json
import os
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

from flows.stack.stack import THRIFT
from producers.publisher import create_topics
from tests.benchmarks.landing import fill, land_all
from tests.conftest import Broker
from tests.door.test_door import Client, served, token_for
from warehouse import store

QUESTIONS = (
    "SELECT clinic_id, count(*) AS frames FROM raw.telemetry_frame GROUP BY clinic_id",
    "SELECT device_id, max(occurred_at) AS newest FROM raw.telemetry_frame GROUP BY device_id",
    "SELECT avg(battery_percent) AS battery, count(DISTINCT session_id) AS sessions FROM raw.telemetry_frame",
    "FROM mart.freshness",
)


@contextmanager
def analysts(home: Path, number: int, pause: float) -> Iterator[dict[str, Any]]:
    """So many analysts, asking until the end; what they met is filled in then."""
    met: dict[str, Any] = {"answered": 0, "refused": []}
    seconds: list[float] = []
    stop = threading.Event()

    def ask(client: Client) -> None:
        for question in itertools.cycle(QUESTIONS):
            began = time.monotonic()
            got = client.ask(question)
            if got.status == 200:
                seconds.append(time.monotonic() - began)
            elif got.status != 429:  # told to wait, by the door's own limit
                met["refused"].append(got.text.strip())
            if stop.wait(pause):
                return

    with served(home, workers=4) as url:
        clients = [Client(url, token_for(home, f"analyst-{n}")) for n in range(number)]
        for client in clients[:4]:
            client.ask("SELECT 1")  # the children are there before landing begins
        threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        try:
            yield met
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    met["answered"] = len(seconds)
    if seconds:
        met["median_seconds"] = round(statistics.median(seconds), 3)
        met["slowest_seconds"] = round(max(seconds), 3)


def _round(bootstrap: str, frames: int, number: int, pause: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        location = store.Location.under(Path(folder))
        connection = store.connect(location)
        store.migrate(connection, location)
        connection.close()
        command = [sys.executable, "-m", "tests.benchmarks.readers", "--land", folder]
        command += ["--bootstrap", bootstrap, "--frames", str(frames)]
        with analysts(Path(folder), number, pause) as met:
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | THRIFT)
        if done.returncode:
            raise SystemExit(done.stderr)
        return {"landing": json.loads(done.stdout.splitlines()[-1]), "analysts": met}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500_000)
    parser.add_argument("--analysts", type=int, default=8)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between an analyst's statements")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--land", help=argparse.SUPPRESS)
    parser.add_argument("--bootstrap", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.land:
        print(json.dumps(land_all(given.land, given.bootstrap, given.frames)))
        return
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            create_topics(broker.bootstrap)
            fill(broker.bootstrap, given.frames, 1)
            rounds = [
                {
                    "alone": _round(broker.bootstrap, given.frames, 0, given.pause),
                    "with": _round(broker.bootstrap, given.frames, given.analysts, given.pause),
                }
                for _ in range(given.rounds)
            ]
        finally:
            broker.stop()
    ratios = [
        each["with"]["landing"]["frames_per_second"] / each["alone"]["landing"]["frames_per_second"]
        for each in rounds
    ]
    print(
        json.dumps(
            {
                "load_average": os.getloadavg(),
                "cpus": os.cpu_count(),
                "rounds": rounds,
                "speed_with_analysts": [round(ratio, 2) for ratio in ratios],
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
