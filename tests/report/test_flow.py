"""The weekly report as Prefect runs it: a real flow run against a real Prefect server."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from prefect.artifacts import Artifact
from prefect.client.schemas.schedules import CronSchedule
from prefect.testing.utilities import prefect_test_harness

from flows.settings import Settings
from flows.weekly_report import NAME, deployment, weekly_report
from producers.contracts import CheckFailed
from tests.report import world
from tests.report.world import CLINICS, WEEK

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def prefect_server() -> Iterator[None]:
    """A Prefect server of this module's own."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose warehouse has results for the network and two of three clinics."""
    folder = tmp_path_factory.mktemp("home")
    connection, location = world.fill(folder)
    world.write(connection, location, [row for row in world.usual() if row["scope_id"] != "west"])
    connection.close()
    return folder


def test_a_run_issues_every_edition_and_lists_it(home: Path):
    """One run issues the network's and each clinic's edition; its artifact says which and which not."""
    files = [Path(name) for name in weekly_report(week=WEEK.label, home=str(home))]
    assert {file.parent.name for file in files} == {"network", "clinic-north", "clinic-harbour"}
    assert len(files) == 15
    assert all(file.parent.parent == home / "reports" / WEEK.label and file.stat().st_size for file in files)
    artifact = Artifact.get(NAME)
    assert artifact is not None
    assert "| clinic-west | not issued: no metric results for west: run `dermastream refresh` |" in str(
        artifact.data
    )
    for file in files:
        assert file.resolve().as_uri() in str(artifact.data)


def test_a_retry_issues_nothing_twice(home: Path):
    """The same run again gives the same files."""
    first = weekly_report(week=WEEK.label, home=str(home))
    assert weekly_report(week=WEEK.label, home=str(home)) == first
    assert len(list((home / "reports").rglob("*.pdf"))) == 3


def test_a_run_for_a_clinic_without_results_fails(home: Path):
    """Asked for one edition that cannot be issued, the run fails and says why."""
    flow = weekly_report.with_options(retries=0)
    with pytest.raises(CheckFailed, match=r"no report for 2026-W46: no metric results for west"):
        flow(week=WEEK.label, clinic="west", home=str(home))
    assert set(CLINICS) >= {"west"}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles"])
def test_the_schedule_keeps_its_local_hour_across_clock_changes(home: Path, zone: str):
    """The report is due on Mondays at seven by the clinic network's own clocks, in summer and in winter."""
    settings = Settings.load(home=home, report_time_zone=zone)
    given = deployment(settings, ["Asia/Tokyo"]).schedules or []
    (mine,) = [each for each in given if each.parameters == {"zone": zone}]
    schedule = mine.schedule
    assert {str(each.parameters.get("zone", "hourly")) for each in given} == {zone, "Asia/Tokyo", "hourly"}
    assert isinstance(schedule, CronSchedule)
    start = dt.datetime(2026, 3, 1, tzinfo=ZoneInfo(zone))
    found = asyncio.run(_dates(schedule, start))
    local = [date.astimezone(ZoneInfo(zone)) for date in found]
    assert {(date.weekday(), date.hour, date.minute) for date in local} == {(0, 7, 0)}
    assert len({date.utcoffset() for date in local}) == 2


async def _dates(schedule: CronSchedule, start: dt.datetime) -> list[dt.datetime]:
    from prefect.server.schemas.schedules import CronSchedule as Scheduled

    served = Scheduled(cron=schedule.cron, timezone=schedule.timezone)
    return list(await served.get_dates(n=40, start=start))


def test_the_deployment_runs_from_anywhere_on_this_home(home: Path):
    """The deployment names its flow by module and its home by full path, whoever serves it from wherever."""
    found = deployment(Settings.load(home=home))
    assert found.entrypoint == "flows.weekly_report.weekly_report"
    assert found.parameters == {"home": str(home.resolve())}
    assert found.concurrency_limit == 1


def test_the_server_keeps_the_schedule_of_each_zone(home: Path):
    """Prefect's server takes the deployment with one schedule for each zone and the hourly look, each with
    what its runs are told."""
    from prefect.client.orchestration import get_client

    found = deployment(Settings.load(home=home, report_time_zone="Europe/Berlin"), ["America/Los_Angeles"])
    identifier = found.apply()
    with get_client(sync_client=True) as client:
        kept = client.read_deployment(identifier)
    told = {(str(each.schedule.timezone), str(each.parameters)) for each in kept.schedules}  # type: ignore[union-attr]
    assert told == {
        ("Europe/Berlin", "{'zone': 'Europe/Berlin'}"),
        ("America/Los_Angeles", "{'zone': 'America/Los_Angeles'}"),
        ("UTC", "{'catch_up': True}"),
    }
