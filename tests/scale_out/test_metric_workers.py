"""Metrics measured by two Dask workers on PostgreSQL and S3 are those of one embedded process, row by row."""

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import distributed
import polars as pl
import pytest
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness

from flows import spreading
from flows.stack import ports
from producers.contracts import WarehouseUnavailable
from tests.benchmarks import network
from tests.scale_out.conftest import Lake
from warehouse import store
from warehouse.refresh import RefreshReport, Spread, refresh

pytestmark = pytest.mark.integration

SIZE = {"clinics": 3, "sessions": 1_500}
DAYS = 500
TABLES = (
    "metric_result", "signal_event", "surveillance_look", "case_mix_coefficient", "patient_due", "left_out",
    "hierarchy_test", "severity_trend", "device_drift", "protocol_rank", "protocol_balance", "reported_pair",
    "shrunken_effect", "case_mix_calibration",
    "session_outcome", "session_sign", "patient_assessment", "patient_window", "patient_course",
)  # fmt: skip
"""What a refresh writes."""


@pytest.fixture(scope="module")
def prefect_url() -> Iterator[str]:
    """A real Prefect server, of this module."""
    with prefect_test_harness(server_startup_timeout=120):
        yield PREFECT_API_URL.value()


@contextmanager
def running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *command], env=environment, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


@contextmanager
def cluster(lake: Lake, prefect_url: str, home: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, each a process of its own: its address, and the workers."""
    address = f"tcp://127.0.0.1:{ports.any_free()}"
    environment = lake.environment | {"PREFECT_API_URL": prefect_url, "DERMASTREAM_HOME": str(home)}
    ears = ["--host", "127.0.0.1", "--no-dashboard"]
    worker = ["worker", address, "--nthreads", "1", "--memory-limit", "0", "--no-nanny", *ears]
    with (
        running(
            ["scheduler", "--port", address.rsplit(":", 1)[1], *ears], home / "scheduler.log", environment
        ),
        running([*worker, "--name", "one"], home / "one.log", environment) as one,
        running([*worker, "--name", "two"], home / "two.log", environment) as two,
    ):
        with distributed.Client(address, timeout=240) as client:
            client.wait_for_workers(2, timeout=240)
        yield address, [one, two]


def fill(connection: store.Connection, location: store.Location) -> None:
    store.migrate(connection, location)
    network.put_registry(connection, location, clinics=SIZE["clinics"])
    network.put_days(connection, location, **SIZE, first=0, last=DAYS)


def day(
    connection: store.Connection, location: store.Location, number: int, spread: Spread | None
) -> RefreshReport:
    """The refresh of the morning after so many days."""
    as_of = network.midnight(number) + dt.timedelta(hours=6)
    return refresh(connection, location, as_of=as_of, computed_at=as_of, spread=spread)


def contents(connection: store.Connection) -> dict[str, list[tuple[str, ...]]]:
    """Every row a refresh wrote, but for the numbers of snapshots."""
    found = {}
    for name in TABLES:
        rows = connection.table(f"dermastream.mart.{name}").pl().select(pl.exclude("snapshot_id"))
        shown = rows.select(pl.selectors.float().round_sig_figs(9).cast(pl.String), ~pl.selectors.float())
        found[name] = sorted(tuple(map(str, row)) for row in shown.iter_rows())
    return found


def test_two_workers_measure_what_one_process_measures(
    scaled_out: Lake, prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Both take part; then one is killed, and the next day is measured by the other."""
    monkeypatch.setenv("DERMASTREAM_HOME", str(tmp_path))
    location = store.Location(
        scaled_out.environment["DERMASTREAM_CATALOG"], scaled_out.environment["DERMASTREAM_DATA_PATH"]
    )
    alone = store.Location.under(tmp_path / "embedded")
    with (
        store.connect(location) as connection,
        store.connect(alone) as embedded,
        cluster(scaled_out, prefect_url, tmp_path) as (address, workers),
    ):
        spread = spreading.over(address, seconds=300)
        for place, base, by in ((connection, location, spread), (embedded, alone, None)):
            fill(place, base)
            day(place, base, DAYS, by)
        assert contents(connection) == contents(embedded)
        with distributed.Client(address, timeout=60) as client:
            counts = client.run(lambda dask_worker: len(dask_worker.state.log))
        assert len([one for one in counts.values() if one]) == 2

        workers[0].kill()
        for place, base, by in ((connection, location, spread), (embedded, alone, None)):
            network.put_days(place, base, **SIZE, first=DAYS, last=DAYS + 1)
            assert day(place, base, DAYS + 1, by).patients < 40, "one more day looks at its own patients"
        assert contents(connection) == contents(embedded)

        workers[1].kill()
        with pytest.raises(WarehouseUnavailable, match="metric workers at tcp"):
            spreading.over(address, seconds=2)(1, 1, network.midnight(DAYS))
    with pytest.raises(WarehouseUnavailable, match="metric workers at tcp"):
        spreading.over(address, seconds=2)(1, 1, network.midnight(DAYS))
