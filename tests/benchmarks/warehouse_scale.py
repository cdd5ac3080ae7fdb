"""How the warehouse does at size: dashboards, one session, full scans, refresh of a day, full rebuild.

    uv run python -m tests.benchmarks.warehouse_scale --frames 5000000 --sessions 250000 --json
    uv run python -m tests.benchmarks.warehouse_scale --sessions 20000 --frames 400000 --commits 1000

A network of three years is put straight into a lake of its own, then two more days of it. Seconds depend on
the machine and on what else runs there, so that CPU seconds and the load are told beside them. With
`--commits` as many small commits follow, the questions are asked again, and once more after maintenance.
"""

import argparse
import datetime as dt
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dashboards.queries import FEWEST, FEWEST_OTHERS
from tests.benchmarks import network
from warehouse import kept, maintenance, metrics, store
from warehouse.refresh import refresh
from warehouse.store import Connection, Location

DAYS = 3 * 365

SESSION = """
SELECT count(*), avg(list_avg(depth_mm)) FROM raw.telemetry_frame
WHERE clinic_id = $clinic_id AND device_id = $device_id AND session_id = $session_id
  AND occurred_at >= $started_at AND occurred_at < $completed_at
"""
SOME_SESSIONS = """
SELECT clinic_id, device_id, session_id, started_at, completed_at FROM raw.session_completed
WHERE supersedes IS NULL ORDER BY hash(session_id) LIMIT 20
"""
SCAN = """
SELECT clinic_id, device_id, count(*) AS frames, avg(battery_percent) AS battery, max(sequence) AS newest
FROM raw.telemetry_frame GROUP BY ALL
"""
SMALL_COMMIT = """
INSERT INTO raw.telemetry_frame BY NAME
SELECT '/clinics/c0' AS source, 'small-' || $number || '-' || k AS id, 'c0' AS clinic_id,
  $at + to_seconds(k) AS occurred_at, occurred_at AS received_at, 'pen0' AS device_id, k AS sequence,
  100::INTEGER AS sample_interval_ms, [1.0, 1.1]::FLOAT[] AS depth_mm, 90::FLOAT AS battery_percent
FROM range(50) AS frame (k)
"""


def timed(work: Callable[[], Any]) -> dict[str, float]:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "seconds": round(time.perf_counter() - began, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
    }


def p95(times: list[float]) -> float:
    """In milliseconds."""
    return round(1000 * sorted(times)[int(0.95 * (len(times) - 1))], 1)


def one_by_one(works: list[Callable[[], Any]]) -> dict[str, float]:
    """p95 by the clock and by CPU of each work once, after one to warm up."""
    works[0]()
    taken = [timed(work) for work in works]
    return {
        "p95_ms": p95([one["seconds"] for one in taken]),
        "p95_cpu_ms": p95([one["cpu_seconds"] for one in taken]),
    }


def questions(connection: Connection) -> dict[str, Any]:
    """What dashboards, a nurse and an analyst ask."""
    every = {
        "every_clinic": True, "clinic_ids": [], "fewest": FEWEST, "fewest_others": FEWEST_OTHERS,
        "metrics": list(metrics.CARDS), "weeks": False,
    }  # fmt: skip

    def page(name: str, bind: dict[str, Any]) -> Callable[[], Any]:
        return lambda: connection.execute(store.statement(f"dashboard/{name}"), bind).fetchall()

    def session(row: dict[str, Any]) -> Callable[[], Any]:
        return lambda: connection.execute(SESSION, row).fetchall()

    sessions = store.rows(connection, SOME_SESSIONS)
    frames = connection.execute("SELECT count(*) FROM raw.telemetry_frame").fetchall()[0][0]
    connection.execute(SCAN).fetchall()
    scan = timed(lambda: connection.execute(SCAN).fetchall())
    return {
        "dashboard_result": one_by_one([page("result", every)] * 20),
        "dashboard_freshness": one_by_one([page("freshness", {})] * 20),
        "one_session": one_by_one([session(row) for row in sessions]),
        "full_scan": scan | {"rows_per_second": round(frames / scan["seconds"])},
    }


def marts(connection: Connection, location: Location, *, rebuild: bool) -> dict[str, Any]:
    """The kept marts alone, without metrics."""
    patients = 0

    def work() -> None:
        nonlocal patients
        with kept.update(connection, rebuild=rebuild) as update:
            patients = update.patients
        with store.transaction(connection, location):
            kept.save(connection, update)
        kept.forget(connection)

    return timed(work) | {"patients": patients}


def refreshed(connection: Connection, location: Location, day: int) -> dict[str, float]:
    """Everything as of the morning after `day` days."""
    as_of = network.midnight(day) + dt.timedelta(hours=6)
    return timed(lambda: refresh(connection, location, as_of=as_of, computed_at=as_of))


def small_commits(connection: Connection, location: Location, commits: int) -> None:
    for number in range(commits):
        at = network.midnight(DAYS) + dt.timedelta(minutes=number)
        with store.transaction(connection, location):
            connection.execute(SMALL_COMMIT, {"number": number, "at": at})


def measure(
    home: Path, *, clinics: int, sessions: int, frames: int, commits: int, memory: str
) -> dict[str, Any]:
    location = Location.under(home)
    connection = store.connect(location, memory_limit=memory)
    store.migrate(connection, location)
    size = {"clinics": clinics, "sessions": sessions}

    def fill() -> None:
        network.put_registry(connection, location, clinics=clinics)
        network.put_days(connection, location, **size, first=0, last=DAYS)
        network.put_frames(connection, location, each=max(frames // sessions, 1), first=0, last=DAYS)

    filled = timed(fill)
    done: dict[str, Any] = {
        "load_before": os.getloadavg()[0],
        "sessions": connection.execute("SELECT count(*) FROM raw.session_completed").fetchall()[0][0],
        "frames": connection.execute("SELECT count(*) FROM raw.telemetry_frame").fetchall()[0][0],
        "fill": filled,
        "marts_full_rebuild": marts(connection, location, rebuild=True),
        "metrics_first": refreshed(connection, location, DAYS),
        "metrics_again": refreshed(connection, location, DAYS),
    }
    network.put_days(connection, location, **size, first=DAYS, last=DAYS + 1)
    done["marts_one_day"] = marts(connection, location, rebuild=False)
    network.put_days(connection, location, **size, first=DAYS + 1, last=DAYS + 2)
    done["refresh_one_day"] = refreshed(connection, location, DAYS + 2)
    done["questions"] = questions(connection)
    if commits:
        done["commits"] = commits
        done["committing"] = timed(lambda: small_commits(connection, location, commits))
        done["questions_after_commits"] = questions(connection)
        policy = maintenance.Policy(snapshots_for=dt.timedelta(0))
        now = dt.datetime.now(dt.UTC)
        done["maintenance"] = timed(
            lambda: maintenance.maintain(connection, location, policy, pins=[], now=now)
        )
        done["questions_after_maintenance"] = questions(connection)
    done["bytes"] = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    done["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    done["load_after"] = os.getloadavg()[0]
    connection.close()
    return done


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=5_000_000)
    parser.add_argument("--sessions", type=int, default=250_000)
    parser.add_argument("--clinics", type=int, default=50)
    parser.add_argument("--commits", type=int, default=0)
    parser.add_argument("--memory", default="2GB", help="DuckDB's limit")
    parser.add_argument("--home", type=Path, help="an empty folder to leave the warehouse in")
    parser.add_argument("--json", action="store_true", help="one line")
    given = vars(parser.parse_args())
    indent = None if given.pop("json") else 1
    kept_home = given.pop("home")
    home = kept_home or Path(tempfile.mkdtemp())
    try:
        print(json.dumps(measure(home, **given), indent=indent))
    finally:
        if not kept_home:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
