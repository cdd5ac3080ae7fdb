"""`dermastream signals`: look at signals and look after them."""

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.commands import AsJson, Home, settings_of

app = App(name="signals", help="Signals: flags that a person should look into.", result_action="return_value")

By = Annotated[str, Parameter(help="Who does it: a name or account")]
SignalId = Annotated[str, Parameter(help="The signal, or the beginning of its name")]


@contextlib.contextmanager
def _warehouse(home: Any, *, read_only: bool) -> Iterator[tuple[Any, Any]]:
    from warehouse import store

    location = settings_of(home).location
    with contextlib.closing(store.connect(location, read_only=read_only)) as connection:
        if not read_only:
            store.migrate(connection, location)
        yield connection, location


def _print(found: Any, json_: bool, lines: list[str]) -> None:
    print(json.dumps(found, indent=2, default=str) if json_ else "\n".join(lines))


def _line(row: dict[str, Any]) -> str:
    value = "" if row["value"] is None else f"  {row['value']:.2f} times the expected"
    owner = f"  {row['owner']}" if row["owner"] else ""
    what = f"{row['scope']} {row['scope_id']}"
    return f"{row['signal_id']}  {row['status']:<12} {row['flag']:<5} {what}{value}{owner}"


@app.command(name="list")
def list_(
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Closed ones too")] = False,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Signals that are not closed, oldest first."""
    from warehouse import signals

    with _warehouse(home, read_only=True) as (connection, _):
        found = signals.listed(connection, every=all_)
    _print(found, json_, [_line(row) for row in found] or ["no signals"])


@app.command
def show(signal: SignalId, /, *, json_: AsJson = False, home: Home = None) -> None:
    """One signal: its history, and the regulators' due dates if a report is due."""
    from warehouse import signals
    from warehouse.metrics.signals import due_dates

    with _warehouse(home, read_only=True) as (connection, _):
        found, history = signals.shown(connection, signal)
    clocks = due_dates(found["opened_at"].date()).to_dicts()
    lines = [_line(found), f"rule {found['metric_id']} version {found['metric_version']}", "history:"]
    for event in history:
        said = "  ".join(str(event[name]) for name in ("owner", "until", "note") if event[name] is not None)
        when = f"{event['happened_at']:%Y-%m-%d %H:%M} UTC"
        lines.append(f"  {when}  {event['kind']:<12} by {event['actor']}  {said}".rstrip())
    lines.append(f"if it must be reported, counted from {found['opened_at']:%Y-%m-%d}:")
    lines += [f"  {clock['due_on']}  {clock['who']} ({clock['source']})" for clock in clocks]
    _print({**found, "history": history, "due": clocks}, json_, lines)


@app.command
def trace(
    signal: SignalId,
    /,
    *,
    limit: Annotated[int, Parameter(help="Most rows of what the events share")] = 10,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """What is behind it: sessions, pseudonymous patients, events, lots and firmware, and what the events
    share.
    """
    from flows.clock import utc_now
    from warehouse import signals

    with _warehouse(home, read_only=True) as (connection, _):
        found, _ = signals.shown(connection, signal)
        behind = signals.behind(connection, found, as_of=utc_now())
    lines = [
        _line(found),
        *(f"{count:>8,} {name.replace('_', ' ')}" for name, count in behind.counts().items()),
    ]
    lines.append("what sessions with an event share, beside those without:")
    for row in behind.shared.head(limit).iter_rows(named=True):
        having = f"{row['sessions_with_event']} of {row['of_with_event']}"
        others = f"{row['sessions_without_event']} of {row['of_without_event']}"
        lines.append(f"  {row['feature']} {row['level']}: {having} against {others}, q {row['q']:.2g}")
    with_event = behind.sessions.filter(behind.sessions["events"] > 0).to_dicts()
    shared = behind.shared.to_dicts()
    _print(
        {**found, "counts": behind.counts(), "shared": shared, "sessions_with_event": with_event},
        json_,
        lines,
    )


def _act(signal: str, kind: str, by: str, json_: bool, home: Any, **what: Any) -> None:
    from flows.clock import utc_now
    from warehouse import signals

    with _warehouse(home, read_only=False) as (connection, location):
        found = signals.act(connection, location, signal, kind, by=by, at=utc_now(), **what)
    _print(found, json_, [_line(found)])


@app.command
def ack(signal: SignalId, /, *, by: By, json_: AsJson = False, home: Home = None) -> None:
    """Say that you have seen it; you become its owner where it has none."""
    _act(signal, "acknowledged", by, json_, home)


@app.command
def assign(
    signal: SignalId,
    /,
    *,
    to: Annotated[str, Parameter(help="The new owner")],
    by: By,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Give it an owner."""
    _act(signal, "assigned", by, json_, home, owner=to)


@app.command
def comment(
    signal: SignalId,
    /,
    *,
    note: Annotated[str, Parameter(help="What to say; no patient's data")],
    by: By,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Say something about it; nothing else changes."""
    _act(signal, "commented", by, json_, home, note=note)


@app.command
def snooze(
    signal: SignalId,
    /,
    *,
    until: Annotated[dt.date, Parameter(help="First day on which it may come back, UTC")],
    reason: str,
    by: By,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Keep it quiet until a day, with a reason."""
    end = dt.datetime.combine(until, dt.time(), tzinfo=dt.UTC)
    _act(signal, "snoozed", by, json_, home, until=end, note=reason)


@app.command
def close(
    signal: SignalId,
    /,
    *,
    conclusion: Annotated[str, Parameter(help="What was found; no patient's data")],
    by: By,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Close it with a conclusion. A new flag opens a new signal."""
    _act(signal, "closed", by, json_, home, note=conclusion)
