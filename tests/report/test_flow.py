"""The weekly report as Prefect runs it: a real flow run against a real Prefect server."""

import asyncio
import contextlib
import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from prefect.artifacts import Artifact
from prefect.client.schemas.schedules import CronSchedule
from prefect.testing.utilities import prefect_test_harness
from starlette.testclient import TestClient

from dashboards.accounts import add_user
from dashboards.app import DashboardSettings, create_app
from flows.settings import Settings
from flows.weekly_report import NAME, deployment, weekly_report
from producers.contracts import CheckFailed
from tests.dashboards.conftest import PASSWORD, logged_in
from tests.report import world
from tests.report.world import CLINICS, WEEK
from warehouse import store

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


def test_the_run_and_its_files_are_found_from_prefect(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Prefect's API shows the run, completed, with an artifact of its own; every link in it is served by the
    dashboard's archive, and so is the archive itself."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterFlowRunId,
        FlowFilter,
        FlowFilterName,
    )
    from prefect.client.schemas.sorting import FlowRunSort

    monkeypatch.setenv("DERMASTREAM_DASHBOARD_URL", "https://dash.example")
    files = [Path(name) for name in weekly_report(week=WEEK.label, home=str(home))]
    with get_client(sync_client=True) as client:
        ours = FlowFilter(name=FlowFilterName(any_=[NAME]))
        (run,) = client.read_flow_runs(flow_filter=ours, sort=FlowRunSort.START_TIME_DESC, limit=1)
        mine = ArtifactFilterFlowRunId(any_=[run.id])
        (artifact,) = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=mine))
    assert (run.state_name, run.parameters["week"]) == ("Completed", WEEK.label)
    assert (artifact.key, artifact.type, artifact.description) == (NAME, "markdown", "3 editions of 2026-W46")
    links = re.findall(r"\]\((https://dash\.example(/[^)]*))\)", str(artifact.data))
    assert len(links) == len(files) + 1
    with _manager(home) as dashboard:
        answers = {path: dashboard.get(path) for _, path in links}
    assert {answer.status_code for answer in answers.values()} == {200}
    served = {path.rpartition("/")[2]: answer.content for path, answer in answers.items()}
    assert {file.name: file.read_bytes() for file in files}.items() <= served.items()
    assert files[0].stem in answers["/reports"].text


@contextlib.contextmanager
def _manager(home: Path) -> Iterator[TestClient]:
    """The dashboard of that home, as a manager of all clinics sees it."""
    accounts = home / "accounts.sqlite"
    add_user(accounts, "noor", PASSWORD, "network_manager", ())
    settings = DashboardSettings(
        store.Location.under(home), accounts, home / "secret", "http://127.0.0.1", home / "reports"
    )
    client = TestClient(create_app(settings, lambda: world.NOW))
    with logged_in(client, {"noor": client}):
        yield client


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
