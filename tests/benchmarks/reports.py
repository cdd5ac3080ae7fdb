"""How long the Monday's reports take: each clinic's edition with HTML, text, PDF and CSV, all booked.

    python -m tests.benchmarks.reports [--clinics 500] [--json]

The production path: flows.delivery.reporting. Prints seconds, seconds of an edition, and the most memory that
this process and its workers had together, after the first tenth and at the end: it must not grow in between.
"""

import argparse
import datetime as dt
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from dashboards.report import archive
from flows.delivery.reporting import NETWORK, Reporting
from flows.settings import Settings
from tests.report import world
from tests.report.world import NOW, WEEK
from warehouse import store

BAR_SECONDS = 90.0


def fill(home: Path, clinics: int) -> tuple[store.Connection, store.Location]:
    """A warehouse with so many clinics, a dozen weeks each."""
    location = store.Location.under(home)
    connection = store.connect(location)
    store.migrate(connection, location)
    names = [f"c{i:03}" for i in range(clinics)]
    born = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    given = [
        {"source": f"/clinics/{name}", "clinic": name, "at": born, "name": f"Clinic {name}"} for name in names
    ]
    with store.transaction(connection, location):
        connection.execute("CREATE TEMP TABLE given AS FROM raw.clinic_registered LIMIT 0")
        connection.executemany(world.INSERT_CLINIC.replace("raw.clinic_registered", "given"), given)
        connection.execute("INSERT INTO raw.clinic_registered FROM given")
        connection.execute("DROP TABLE given")
    world.write(connection, location, _results(names))
    return connection, location


def _results(names: list[str]) -> list[dict[str, Any]]:
    rows = [row for row in world.usual() if row["scope"] != "clinic"]
    for number, name in enumerate(names):
        about = {"scope": "clinic", "scope_id": name}
        sessions = 200 + number
        rows += [
            world.result("adverse_event_incidence", 5 + number % 9, sessions, **about),
            world.result("maintenance_on_time", 60, 100, **about),
            world.result("device_in_calibration", 2, 3, **about),
            world.result("follow_up_coverage", sessions - 20, sessions, **about),
            world.ratio(name, 5 + number % 9, 9.0),
        ]
        rows += [
            world.result("adverse_event_incidence", number % 4, 20, week=WEEK.shifted(-back), **about)
            for back in range(12)
        ]
    return rows


class Memory:
    """Samples what this process and its children hold."""

    def __init__(self) -> None:
        self.samples: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.2):
            held = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    held += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.samples.append(held / 2**20)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def measure(clinics: int) -> dict[str, Any]:
    """Make the reports of so many clinics once."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        connection, _ = fill(home, clinics)
        reporting = Reporting(Settings(home=home), connection, NOW)
        scopes = [NETWORK, *(f"clinic-c{i:03}" for i in range(clinics))]
        with Memory() as memory:
            began, cpu = time.perf_counter(), _cpu()
            outcome = reporting.issue(WEEK, scopes, wait=False)
            seconds, busy = time.perf_counter() - began, _cpu() - cpu
        pdfs = len(list(home.glob("reports/*/*/*.pdf")))
        connection.close()
    tenth = max(1, len(memory.samples) // 10)
    return {
        "clinics": clinics,
        "editions": len(outcome.issued),
        "files_each": len(archive.RENDERERS),
        "pdfs": pdfs,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(busy, 1),
        "cpu_seconds_per_edition": round(busy / max(1, len(outcome.issued)), 3),
        "bar_seconds": BAR_SECONDS,
        "megabytes_at_half": round(max(memory.samples[tenth : len(memory.samples) // 2], default=0.0)),
        "megabytes_at_end": round(max(memory.samples[len(memory.samples) // 2 :], default=0.0)),
    }


def _cpu() -> float:
    mine = psutil.Process().cpu_times()
    return float(mine.user + mine.system + mine.children_user + mine.children_system)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clinics", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.clinics)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(f"{name:<26} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
