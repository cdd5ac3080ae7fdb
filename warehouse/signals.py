"""Signals in the warehouse: what the rules and people do is appended to mart.signal_event, never changed."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse import store
from warehouse.metrics import signals as rules
from warehouse.metrics import tracing
from warehouse.metrics.cards import CASE_MIX, SAFETY_CARDS
from warehouse.metrics.safety import SCOPES
from warehouse.store import Connection, Location


def follow(connection: Connection, rows: pl.DataFrame, *, at: dt.datetime) -> int:
    """Open, reopen and clear signals by the rows just computed; gives how many. Inside the caller's
    transaction.
    """
    current = connection.execute(store.statement("signal/current")).pl()
    events = rules.follow(rows, current, SAFETY_CARDS, at=at)
    _append(connection, events)
    return events.height


def listed(connection: Connection, *, every: bool = False) -> list[dict[str, Any]]:
    """Signals, oldest first; without `every` only those that are not closed."""
    found = store.rows(connection, store.statement("signal/current"))
    return [row for row in found if every or row["status"] != "closed"]


def shown(connection: Connection, signal_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One signal and its history. Raises CheckFailed where there is none, or the name begins several."""
    found = [row for row in listed(connection, every=True) if row["signal_id"].startswith(signal_id)]
    if not signal_id or len(found) != 1:
        raise CheckFailed(
            f"signal {signal_id}: {'no such signal' if not found else 'several begin like this'}"
        )
    history = store.rows(connection, store.statement("signal/history"), {"signal_id": found[0]["signal_id"]})
    return found[0], history


@dataclass(frozen=True)
class Behind:
    """What a signal rests on: its sessions in the year before `as_of`, and what those with an event share.

    `sessions`: pseudonymous, one row each (SESSION). `shared`: SHARED, within these sessions.
    """

    as_of: dt.datetime
    sessions: pl.DataFrame
    shared: pl.DataFrame

    def counts(self) -> dict[str, int]:
        """Distinct things behind the signal."""
        having = self.sessions.filter(pl.col("events") > 0)
        patients = having.select("clinic_id", "patient_key").n_unique() if having.height else 0
        return {
            "sessions": self.sessions.height,
            "sessions_with_event": having.height,
            "events": int(having["events"].sum()),
            "patients_with_event": patients,
            **{
                f"{name}s": self.sessions[name].n_unique()
                for name in ("clinic_id", "device", "cartridge_lot", "firmware")
            },
        }


def behind(connection: Connection, signal: dict[str, Any], *, as_of: dt.datetime) -> Behind:
    """From a signal to the sessions, patients, events, lots and firmware behind it.

    Source of the comparison: warehouse.metrics.tracing.
    """
    with store.reading(connection):
        connection.execute(store.statement("signal/outcomes"))
        bound = {"start": as_of - dt.timedelta(days=365), "as_of": as_of, "named": True}
        sessions = connection.execute(store.statement("metric/safety_session"), bound).pl()
    sessions = sessions.sort("clinic_id", "patient_key", "completed_at", "session_id")
    mine = tracing.trace(sessions, {SCOPES[signal["scope"]]: signal["scope_id"]})
    features = [name for name in (*SCOPES.values(), *CASE_MIX) if name != SCOPES[signal["scope"]]]
    return Behind(as_of, mine, tracing.shared_features(mine, list(dict.fromkeys(features))))


def act(
    connection: Connection,
    location: Location,
    signal_id: str,
    kind: str,
    *,
    by: str,
    at: dt.datetime,
    owner: str | None = None,
    until: dt.datetime | None = None,
    note: str | None = None,
) -> dict[str, Any]:
    """Append what a person did; gives the signal as it is then.

    Raises CheckFailed naming the rule that does not hold, WarehouseConflict where another writer came first.
    """
    with store.transaction(connection, location):
        signal, _ = shown(connection, signal_id)
        _append(connection, rules.act(signal, kind, by=by, at=at, owner=owner, until=until, note=note))
    return shown(connection, signal_id)[0]


def _append(connection: Connection, events: pl.DataFrame) -> None:
    if not events.height:
        return
    connection.register("event_rows", events)
    try:
        connection.execute(store.statement("signal/append"))
    finally:
        connection.unregister("event_rows")
