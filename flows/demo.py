"""`dermastream demo` and `dermastream up`: the stack from nothing to a page, and its clean end."""

import contextlib
import datetime as dt
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from flows.clock import utc_now
from flows.settings import Settings
from flows.stack import state
from flows.stack.stack import Stack
from flows.status import StatusReader
from producers.contracts import CheckFailed
from warehouse import store

SETTLE_SECONDS = 60.0
"""Longest wait, after the simulator has stopped, for the rest to be landed."""
REPORT_EVERY_SECONDS = 2.0

console = Console(stderr=True, highlight=False)


def run(
    settings: Settings,
    *,
    simulate: list[str] | None,
    for_seconds: float | None,
    check: bool,
) -> dict[str, Any] | None:
    """Run the stack until told to stop; with `check`, give the account of every produced event.

    Raises CheckFailed when an event that was produced is not accounted for.
    """
    stop = threading.Event()
    with state.held(settings.home), _stopping_on_signals(stop):
        stack = Stack(settings, simulate)
        _migrate(stack.settings)
        accounts = _accounts(stack.settings)
        try:
            console.print(f"starting in {stack.settings.home} …", soft_wrap=True)
            if not stack.start(lambda line: console.print(f"  {line}"), stop.is_set):
                return None
            _greet(stack, accounts)
            with StatusReader(stack.settings) as reader:
                _watch(stack, reader, stop, for_seconds)
                summary = _account(stack, reader) if check and simulate is not None else None
        finally:
            console.print("stopping …")
            begun = time.monotonic()
            stack.stop()
            console.print(f"stopped in {time.monotonic() - begun:.0f} s")
    if summary is not None and not summary["accounted"]:
        raise CheckFailed(f"not everything produced is accounted for: {json.dumps(summary)}")
    return summary


@contextlib.contextmanager
def _stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    previous = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _migrate(settings: Settings) -> None:
    connection = store.connect(settings.location)
    try:
        store.migrate(connection, settings.location)
    finally:
        connection.close()


def _accounts(settings: Settings) -> list[tuple[str, str, str]]:
    from dashboards.accounts import ensure_demo_users

    return ensure_demo_users(settings.home / "dashboard" / "accounts.sqlite", [DEMO_CLINIC])


ANALYST_COMMAND = 'dermastream sql "FROM mart.metric_current"'
DEMO_CLINIC = "harbour-light"
"""The clinic whose manager gets a demo log-in."""


def _greet(stack: Stack, accounts: list[tuple[str, str, str]]) -> None:
    console.print(f"\n[bold]Dashboard[/bold]  {stack.dashboard_url}", soft_wrap=True)
    for name, password, role in accounts:
        console.print(f"           log in as [bold]{name}[/bold] / {password}   ({role})", soft_wrap=True)
    console.print(
        f"[bold]Prefect[/bold]    {stack.prefect_url}   (log-in: see {state.PREFECT_AUTH_FILE} in the home)"
    )
    home = "" if stack.settings.home == Path(".dermastream").resolve() else f" --home {stack.settings.home}"
    console.print(f"[bold]Analysts[/bold]   {ANALYST_COMMAND}{home}", soft_wrap=True)
    console.print("Ctrl-C stops everything.\n")


def _watch(stack: Stack, reader: StatusReader, stop: threading.Event, for_seconds: float | None) -> None:
    """Say what is going on until stopped, or until the time is over."""
    deadline = time.monotonic() + for_seconds if for_seconds is not None else float("inf")
    with console.status("waiting for the first events …") as line:
        while not stop.wait(min(REPORT_EVERY_SECONDS, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return
            if not stack.alive:
                raise CheckFailed(f"the supervisor ended: see {stack.settings.home / 'logs'}")
            text = _progress_line(stack, reader)
            line.update(text)
            if not console.is_terminal:
                console.print(text, soft_wrap=True)


def _progress_line(stack: Stack, reader: StatusReader) -> str:
    found = reader.read(utc_now())
    totals = found.get("totals", {})
    lag = "?" if found["lag_events"] is None else f"{found['lag_events']:,}"
    return (
        f"produced {_produced(stack.settings.home).get('acknowledged', 0):,}  "
        f"landed {totals.get('landed', 0):,}  quarantined {totals.get('quarantined', 0):,}  "
        f"lag {lag}  metrics refreshed {_ago(found.get('newest_metric_at'))}"
    )


def _ago(at: str | None) -> str:
    if at is None:
        return "not yet"
    return f"{(utc_now() - dt.datetime.fromisoformat(at)).total_seconds():.0f} s ago"


def _produced(home: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((home / "simulator.json").read_text()))
    return {}


def _account(stack: Stack, reader: StatusReader) -> dict[str, Any]:
    """Stop the simulator, let the rest land, and compare what it says with what the warehouse holds.

    Events that somebody else published meanwhile are not the simulator's and do not count.
    """
    from producers.simulator import load_manifest
    from producers.simulator.manifest import world_of

    stack.stop_simulator()
    deadline = time.monotonic() + SETTLE_SECONDS
    while (now := reader.read(utc_now()))["lag_events"] != 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    manifest = load_manifest(stack.settings.home)
    if manifest is None:
        raise CheckFailed(f"the simulator has produced nothing: see {stack.settings.home / 'logs'}")
    totals = now["totals"]
    landed = _landed_of(stack.settings, [clinic.clinic_id for clinic in world_of(manifest).clinics])
    return {
        "produced": manifest.events,
        "landed": landed,
        "planted_bad": manifest.bad,
        "quarantined": totals["quarantined"],
        "duplicates": totals["duplicate"],
        "consumed": totals["consumed"],
        "lag_events": now["lag_events"],
        "balanced": now["balanced"],
        "newest_metric_at": now["newest_metric_at"],
        "accounted": (
            manifest.events == landed
            and manifest.bad == totals["quarantined"]
            and totals["duplicate"] == manifest.duplicates
            and now["lag_events"] == 0
            and now["balanced"]
        ),
    }


def _landed_of(settings: Settings, clinic_ids: list[str]) -> int:
    with contextlib.closing(store.connect(settings.location, read_only=True)) as connection:
        found = store.rows(connection, store.statement("status/landed_of"), {"clinic_ids": clinic_ids})
    return int(found[0]["events"])
