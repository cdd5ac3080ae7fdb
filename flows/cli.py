"""The command line. Each command is a few lines that hand over; imports are late so that help is quick."""

import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Group, Parameter

from flows.commands import AsJson, Duration, Home, log_json, settings_of
from producers.contracts import DermastreamError, Retryable, SettingsError

_DOORS = Group("Look and ask", sort_key=1)
_EVENTS = Group("Events", sort_key=2)
_PROCESSES = Group("Single processes (the stack starts them itself)", sort_key=9)

app = App(
    name="dermastream",
    help="Event-driven, multi-clinic analytics for micro-needling clinics.",
    version=lambda: __import__("importlib.metadata").metadata.version("dermastream"),
    result_action="return_value",
)
metrics = App(name="metrics", help="Run and list the metrics.", group=_DOORS)
app.command(metrics)
app.command(
    "flows.commands.report:app", name="report", help="Weekly reports: make, find, send.", group=_DOORS
)
app.command("flows.commands.user:app", name="user", help="Who may read the dashboard.", group=_DOORS)
app.command(
    "flows.commands.query:app",
    name="query",
    help="The analysts' remote door: serve it, tokens, log.",
    group=_DOORS,
)
app.command("flows.commands.signals:app", name="signals", help="Signals: flags to look into.", group=_DOORS)
app.command(
    "flows.commands.warehouse:app", name="warehouse", help="Maintain, verify, back up, publish.", group=_DOORS
)
app.command(
    "flows.commands.privacy:app", name="privacy", help="Erase or export one person's data.", group=_DOORS
)
app.command(
    "flows.commands.gateway:app",
    name="gateway",
    help="Take a clinic's events in, make patients pseudonymous, keep them on disk, and send them on.",
    group=_EVENTS,
)


def main() -> None:
    """Entry point: one clear line per error, exit code 2 where we cannot start, 1 where a check failed."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it logs every reconnect; we say it once ourselves
    try:
        app()
    except DermastreamError as error:
        print(f"dermastream: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, SettingsError | Retryable) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


# ── the stack ───────────────────────────────────────────────────────────────────────────────────────────


@app.command
def demo(
    *,
    clinics: int | None = None,
    days: int | None = None,
    seed: int | None = None,
    speed: float | None = None,
    for_: Annotated[Duration, Parameter(name="--for", help="End by itself after this long, like 90s")] = None,
    check: Annotated[
        bool, Parameter(negative="", help="At the end account for every event; print JSON")
    ] = False,
    home: Home = None,
) -> None:
    """Start everything with simulated clinics: a year of history, then live. Ctrl-C stops it all.

    Started again in the same folder, it continues.

    Parameters
    ----------
    clinics
        Number of clinics [default: 12].
    days
        Days of history [default: 365].
    seed
        Seed of the simulation [default: 1].
    speed
        Simulated seconds per second while catching up with the clock [default: 1].
    """
    from flows import demo as run_demo

    options = {"--clinics": clinics, "--days": days, "--seed": seed, "--speed": speed}
    simulate = [text for name, value in options.items() if value is not None for text in (name, str(value))]
    settings = settings_of(home, discover=False)
    summary = run_demo.run(settings, simulate=simulate, for_seconds=for_, check=check)
    if summary is not None:
        print(json.dumps(summary, indent=2))


@app.command
def up(*, for_: Annotated[Duration, Parameter(name="--for")] = None, home: Home = None) -> None:
    """Start the stack on the settings given, without the simulator.

    External Kafka by KAFKA_BOOTSTRAP_SERVERS; see .env.example for all settings.
    """
    from flows import demo as run_demo

    run_demo.run(settings_of(home, discover=False), simulate=None, for_seconds=for_, check=False)


# ── events ──────────────────────────────────────────────────────────────────────────────────────────────


@app.command(group=_EVENTS)
def simulate(
    *,
    clinics: int | None = None,
    days: int | None = None,
    seed: int | None = None,
    speed: float | None = None,
    telemetry_days: Annotated[int | None, Parameter(help="Last days of history with telemetry")] = None,
    bad: Annotated[int | None, Parameter(help="Malformed events to plant")] = None,
    plant: Annotated[
        list[str] | None,
        Parameter(negative="", help="Truth to plant, like lot-breakouts:ratio=8; repeatable"),
    ] = None,
    config: Annotated[Path | None, Parameter(help="TOML file that sets parameters")] = None,
    duplicates: Annotated[float | None, Parameter(help="Share of events sent again")] = None,
    reordered: Annotated[float | None, Parameter(help="Share of events overtaken by later ones")] = None,
    late: Annotated[float | None, Parameter(help="Share of events sent minutes to months late")] = None,
    skewed: Annotated[float | None, Parameter(help="Share of clinics whose clock is wrong")] = None,
    unknown_versions: Annotated[int | None, Parameter(help="Events of unknown versions to plant")] = None,
    share: Annotated[str | None, Parameter(help="Clinics of this process, like 2/3: every third one")] = None,
    end: Annotated[str | None, Parameter(help="Day at which all ends, instead of now")] = None,
    history_only: Annotated[bool, Parameter(negative="", help="End where the clock stands")] = False,
    to: Annotated[Literal["kafka", "ndjson", "both"], Parameter(help="Where events go")] = "kafka",
    out: Annotated[Path | None, Parameter(help="File of one event a line, for ndjson and both")] = None,
    home: Home = None,
) -> None:
    """Simulate clinics: history as fast as possible, then live until stopped. Continues where it stopped.

    The same seed, options and --end give the same bytes, in however many processes (--share).
    """
    from flows.simulating import run

    log_json()
    given = {
        "clinics": clinics,
        "days": days,
        "seed": seed,
        "speed": speed,
        "telemetry_days": telemetry_days,
        "bad": bad,
        "plant": None if plant is None else tuple(plant),
        "config": config,
        "duplicates": duplicates,
        "reordered": reordered,
        "late": late,
        "skewed": skewed,
        "unknown_versions": unknown_versions,
        "share": share,
        "end": end,
    }
    if (out is None) != (to == "kafka"):
        raise SettingsError("--out FILE belongs to --to ndjson and --to both")
    options = {name: value for name, value in given.items() if value is not None}
    live = not history_only and end is None
    run(settings_of(home), options, out=out, kafka=to != "ndjson", live=live)


@app.command(group=_EVENTS)
def publish(
    file: Path,
    /,
    *,
    partial: Annotated[
        bool, Parameter(negative="", help="Send the good lines though others are refused")
    ] = False,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Validate a file of events, one JSON document a line, and send it. Refused lines are named.

    Nothing is sent while any line is refused, unless --partial.
    """
    from flows.simulating import publish as send

    sent = send(settings_of(home), file, partial=partial)
    if json_:
        print(json.dumps(sent))
    else:
        for line in sent["refused"]:
            print(f"line {line['line']}: {line['rule']} at {line['path']}: {line['detail']}", file=sys.stderr)
        print(f"{sent['published']} of {sent['events']} sent, {len(sent['refused'])} refused")
    if sent["refused"]:
        sys.exit(1)


app.command("flows.commands.topics:app", name="topics", help="Kafka topics of single clinics.", group=_EVENTS)
app.command(
    "flows.commands.quarantine:app",
    name="quarantine",
    help="Refused events: list, show, replay, discard.",
    group=_EVENTS,
)
app.command("flows.commands.contracts:app", name="contracts", help="What clinics can send.", group=_EVENTS)


# ── look and ask ────────────────────────────────────────────────────────────────────────────────────────


@app.command(group=_DOORS)
def status(*, json_: AsJson = False, home: Home = None) -> None:
    """Components, offsets and lag, totals, newest event, metric and snapshot."""
    from flows.clock import utc_now
    from flows.printing import print_status
    from flows.status import StatusReader

    with StatusReader(settings_of(home)) as reader:
        found = reader.read(utc_now())
    print(json.dumps(found, indent=2)) if json_ else print_status(found)


@app.command(group=_DOORS)
def sql(
    query: str | None = None,
    /,
    *,
    format_: Annotated[
        Literal["table", "json", "csv", "parquet", "arrow"], Parameter(name="--format")
    ] = "table",
    out: Annotated[Path | None, Parameter(help="File to write instead of printing")] = None,
    limit: Annotated[int, Parameter(help="Most rows printed as a table")] = 100,
    time_limit: Annotated[Duration, Parameter(help="Longest a statement may take [default: 60s]")] = 60.0,
    memory_mb: Annotated[int, Parameter(help="Most memory a statement may take")] = 1024,
    home: Home = None,
) -> None:
    """Ask the warehouse one SELECT, or, without one, open a shell with history and completion.

    Works while everything is running, and cannot change anything. Statements may come from a pipe.
    """
    from flows import asking
    from warehouse import limits, store

    settings = settings_of(home)
    connection = store.connect_analyst(settings.location, memory_limit=f"{memory_mb}MB")
    seconds = time_limit or 60.0
    with contextlib.closing(connection):
        limits.limit_memory(memory_mb)
        shell = asking.Shell(connection, limit=limit, seconds=seconds)
        if query is not None:
            asking.answer(connection, query, format_, out=out, limit=limit, seconds=seconds)
        elif sys.stdin.isatty():
            asking.converse(shell, settings.home / "sql_history")
        else:
            asking.from_stdin(shell, sys.stdin)


@metrics.command(name="run")
def metrics_run(
    *,
    rebuild: Annotated[
        bool, Parameter(help="Compute the marts anew from all facts, not from changes")
    ] = False,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Recompute every metric now."""
    from dataclasses import asdict

    from flows.clock import utc_now
    from warehouse import store
    from warehouse.refresh import refresh

    location = settings_of(home).location
    with contextlib.closing(store.connect(location)) as connection:
        store.migrate(connection, location)
        now = utc_now()
        done = asdict(refresh(connection, location, as_of=now, computed_at=now, rebuild=rebuild))
    print(
        json.dumps(done, default=str)
        if json_
        else f"{done['rows']} results at snapshot {done['snapshot_id']}"
    )


@metrics.command(name="list")
def metrics_list(*, json_: AsJson = False) -> None:
    """The metric cards: what each number is."""
    from dataclasses import asdict

    from flows.printing import print_cards
    from warehouse.metrics.cards import CARDS, FINDING_CARDS, SAFETY_CARDS
    from warehouse.metrics.schedule_cards import SCHEDULE_CARDS

    groups = (CARDS, SAFETY_CARDS, SCHEDULE_CARDS, FINDING_CARDS)
    every = [card for group in groups for card in group.values()]
    cards = [asdict(card) for card in every]
    print(json.dumps(cards, indent=2, default=str)) if json_ else print_cards(cards)


# ── single processes ────────────────────────────────────────────────────────────────────────────────────


def _work(home: Path | None, **what: bool) -> None:
    from flows import worker

    log_json()
    worker.work(settings_of(home), **what)


@app.command(group=_PROCESSES)
def work(*, home: Home = None) -> None:
    """Land events, refresh metrics and serve the report schedule, in one process."""
    _work(home)


@app.command(group=_PROCESSES)
def land(*, home: Home = None) -> None:
    """Land events only."""
    _work(home, land=True, refresh=False, reports=False)


@app.command(group=_PROCESSES)
def refresh(*, home: Home = None) -> None:
    """Refresh metrics and serve the report schedule only."""
    _work(home, land=False, refresh=True, reports=True)


@app.command(group=_PROCESSES)
def dashboard(*, home: Home = None) -> None:
    """Serve the dashboard."""
    from flows.dashboard import run

    run(settings_of(home))


if __name__ == "__main__":
    main()
