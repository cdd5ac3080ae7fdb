"""The weekly reports as a Prefect flow on a cron: the network edition and one for each clinic.

Issuing is idempotent: an unchanged edition is not issued twice, so a retry or a double schedule does no harm.
"""

import contextlib
import datetime as dt
from pathlib import Path

import structlog
from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.schedules import Cron

from dashboards.report import IsoWeek, build, editions
from flows.settings import Settings
from producers.contracts import CheckFailed
from warehouse import store

log = structlog.get_logger("weekly_report")

NAME = "weekly-report"


@flow(name=NAME, retries=2, retry_delay_seconds=60, persist_result=False)
def weekly_report(week: str | None = None, clinic: str | None = None, home: str | None = None) -> list[str]:
    """Issue every edition of one week, or one clinic's, and give the paths of their files.

    `week` like 2026-W47, null: the last one that had ended when this run was due, however late it starts.
    `home` null: as the environment says. A clinic without any metric result gets no edition; an artifact
    says which and why. Raises CheckFailed where nothing at all could be issued.
    """
    settings = Settings.load(**({"home": Path(home)} if home else {}))
    due: dt.datetime = runtime.flow_run.scheduled_start_time
    chosen = IsoWeek.parse(week) if week else IsoWeek.last_completed(due)
    issued: dict[str, list[Path]] = {}
    refused: dict[str, str] = {}
    with contextlib.closing(store.connect(settings.location, read_only=True)) as connection:
        for edition in [clinic] if clinic else editions(connection):
            name = edition or "network"
            try:
                issued[name] = build(
                    connection,
                    week=chosen,
                    clinic=edition,
                    archive=settings.archive_dir,
                    now=dt.datetime.now(dt.UTC),
                    dashboard_url=settings.reader_url,
                )
            except CheckFailed as error:
                refused[name] = str(error)
            log.info("report", week=chosen.label, edition=name, issued=name in issued)
    create_markdown_artifact(
        key=NAME,
        markdown=listing(chosen, issued, refused),
        description=f"{len(issued)} editions of {chosen}",
    )
    if not issued:
        raise CheckFailed(f"no report for {chosen}: {next(iter(refused.values()))}")
    return [str(path) for paths in issued.values() for path in paths]


def listing(week: IsoWeek, issued: dict[str, list[Path]], refused: dict[str, str]) -> str:
    """What was issued and what was not, as Markdown."""
    lines = [f"# Weekly reports, {week}", "", "| edition | files |", "|---|---|"]
    for name, paths in issued.items():
        files = ", ".join(f"[{path.suffix[1:]}]({path.resolve().as_uri()})" for path in paths)
        lines.append(f"| {name} | `{paths[0].stem}`: {files} |")
    lines += [f"| {name} | not issued: {reason} |" for name, reason in refused.items()]
    return "\n".join(lines) + "\n"


def deployment(settings: Settings) -> RunnerDeployment:
    """The flow on its schedule, cron in an IANA time zone, to be served by the worker process.

    Weeks end on Monday 00:00 UTC: a cron that fires before then reports the week before.
    """
    found = weekly_report.to_deployment(
        name="scheduled",
        schedule=Cron(settings.report_cron, timezone=settings.report_time_zone),
        parameters={"home": str(settings.home.resolve())},
        concurrency_limit=1,
        description="The weekly reports of the network and of each clinic, written to the archive folder.",
        tags=["dermastream"],
        entrypoint_type=EntrypointType.MODULE_PATH,
        _sync=True,  # type: ignore[call-arg]  # else a coroutine where a loop runs
    )
    assert isinstance(found, RunnerDeployment)
    return found
