"""The weekly reports as a Prefect flow: due on a cron in each clinic's time zone, looked after every hour.

Issuing and mailing are idempotent: a retry, a double schedule or two runs at once do no harm.
"""

import contextlib
import datetime as dt
from collections.abc import Collection
from pathlib import Path
from zoneinfo import ZoneInfo

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.schedules import Cron, Schedule

from dashboards.report import IsoWeek, editions
from flows.clock import utc_now
from flows.delivery.reporting import Outcome, Reporting, scope_of
from flows.delivery.sender import Tally
from flows.delivery.working import sender_of
from flows.settings import Settings
from producers.contracts import CheckFailed
from warehouse import store

NAME = "weekly-report"

CATCH_UP = "23 * * * *"
"""When late data and late reports are looked for: hourly, off the hour at which reports are due."""


@flow(name=NAME, retries=2, retry_delay_seconds=60, persist_result=False)
def weekly_report(
    week: str | None = None,
    clinic: str | None = None,
    home: str | None = None,
    zone: str | None = None,
    catch_up: bool = False,
) -> list[str]:
    """Issue editions, plan their mail and send it; gives the paths of the files.

    `zone`: the hour of that zone's clinics has come; what is complete is issued, the rest is waited for.
    `catch_up`: look again at what is waited for, and at issued reports for late data. Neither: a person asks
    for `week` like 2026-W47 (null: the last one that had ended when this run was due) and, if named, one
    clinic; nothing is waited for. `home` null: as the environment says. A clinic without any metric result
    gets no edition. Raises CheckFailed where a person asked and nothing at all could be issued.
    """
    settings = Settings.load(**({"home": Path(home)} if home else {}))
    due: dt.datetime = runtime.flow_run.scheduled_start_time
    if not settings.location.exists():
        store.connect(settings.location, read_only=True)  # says what is missing, and makes nothing
    with contextlib.closing(store.connect(settings.location)) as connection:
        store.migrate(connection, settings.location)
        reporting = Reporting(settings, connection, utc_now())
        if zone or catch_up:
            if zone:
                reporting.expect_zone(zone, ended_week(due, zone))
            reporting.expect_forgotten()
            outcomes = reporting.catch_up()
        else:
            chosen = IsoWeek.named(week, due)
            wanted = [scope_of(each) for each in ([clinic] if clinic else editions(connection))]
            outcomes = [reporting.issue(chosen, wanted, wait=False)]
    sent = sender_of(settings, utc_now).run() if settings.delivers else Tally()
    create_markdown_artifact(
        key=NAME,
        markdown=listing(outcomes, sent, settings.reader_url),
        description=", ".join(f"{len(each.issued)} editions of {each.week}" for each in outcomes)
        or "none due",
    )
    if not (zone or catch_up) and not outcomes[0].issued:
        (failed,) = outcomes
        raise CheckFailed(f"no report for {failed.week}: {next(iter(failed.refused.values()))}")
    return [str(path) for each in outcomes for paths in each.issued.values() for path in paths]


def ended_week(due: dt.datetime, zone: str) -> IsoWeek:
    """The week before the one that a zone's calendar shows at `due`. East of Greenwich it may end, by UTC,
    some hours later: until then it is only waited for."""
    local = due.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return IsoWeek.of(local.replace(tzinfo=dt.UTC)).shifted(-1)


def listing(outcomes: list[Outcome], sent: Tally, url: str) -> str:
    """What was issued, waited for and sent, as Markdown; files as the dashboard at `url` serves them, or as
    files where it is empty."""
    lines = []
    for outcome in outcomes:
        lines += [f"# Weekly reports, {outcome.week}", "", "| edition | files |", "|---|---|"]
        for scope, paths in outcome.issued.items():
            files = ", ".join(f"[{path.suffix[1:]}]({_address(path, url)})" for path in paths)
            lines.append(f"| {scope} | `{paths[0].stem}`: {files} |")
        lines += [f"| {scope} | not issued: {reason} |" for scope, reason in outcome.refused.items()]
        lines += [
            f"| {scope} | waits for {', '.join(sorted(behind))} |" for scope, behind in outcome.behind.items()
        ]
        lines += ["", f"{outcome.planned} mails planned.", ""]
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in vars(sent).items())
    lines += [f"Mail: {told}.", "", f"[Archive of all reports]({url}/reports)" if url else ""]
    return "\n".join(lines) + "\n"


def _address(path: Path, url: str) -> str:
    """`<week>/<edition>/<file>` of the archive, for a browser."""
    return "/".join((url, "reports", *path.parts[-3:])) if url else path.resolve().as_uri()


def deployment(settings: Settings, zones: Collection[str] = ()) -> RunnerDeployment:
    """The flow on its schedules, to be served by the worker process: the cron in each of the clinics' IANA
    zones and in the network's, and the hourly look."""
    wanted = sorted({settings.report_time_zone, *zones})
    schedules: list[Schedule] = [
        Cron(settings.report_cron, timezone=zone, parameters={"zone": zone}, slug=_slug(zone))
        for zone in wanted
    ]
    schedules.append(Cron(CATCH_UP, timezone="UTC", parameters={"catch_up": True}, slug="catch-up"))
    found = weekly_report.to_deployment(
        name="scheduled",
        schedules=schedules,
        parameters={"home": str(settings.home.resolve())},
        concurrency_limit=1,
        description="The weekly reports of the network and of each clinic, archived and mailed.",
        tags=["dermastream"],
        entrypoint_type=EntrypointType.MODULE_PATH,
        _sync=True,  # type: ignore[call-arg]  # else a coroutine where a loop runs
    )
    assert isinstance(found, RunnerDeployment)
    return found


def _slug(zone: str) -> str:
    return zone.lower().replace("/", "-").replace("_", "-")
