"""How long each class of record is kept, and what becomes of it then.

Telemetry frames are rolled up into core.telemetry_rollup before they go, so core.telemetry_summary says the
same afterwards. Whatever goes is counted in landing.removed, so that the ledger still equals the rows, and
moves landing.horizon, so that nothing older lands again.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from warehouse import store
from warehouse.store import Connection, Location

FRAMES = "raw.telemetry_frame"
QUARANTINE = "landing.quarantine"


@dataclass(frozen=True)
class Retention:
    """Days that each class of record is kept; null: for ever."""

    telemetry_days: int | None = None
    quarantine_days: int | None = None
    clinical_days: int | None = None


@dataclass(frozen=True)
class _Class:
    """A relation that ages, by the column that says how old a row is."""

    relation: str
    moment: str
    days: int


def apply(
    connection: Connection, location: Location, retention: Retention, *, now: dt.datetime
) -> dict[str, int]:
    """Remove what is past its time, whole UTC days only, and give the events removed per relation."""
    removed = {}
    for aged in _classes(connection, retention):
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if events := _remove(connection, location, aged, midnight - dt.timedelta(days=aged.days), now):
            removed[aged.relation] = events
    return removed


def _classes(connection: Connection, retention: Retention) -> Iterator[_Class]:
    if retention.telemetry_days is not None:
        yield _Class(FRAMES, "occurred_at", retention.telemetry_days)
    if retention.quarantine_days is not None:
        yield _Class(QUARANTINE, "landed_at", retention.quarantine_days)
    if retention.clinical_days is not None:
        for row in store.rows(connection, store.statement("maintenance/clinical")):
            yield _Class(f"raw.{row['table']}", "occurred_at", retention.clinical_days)


def _remove(
    connection: Connection, location: Location, aged: _Class, before: dt.datetime, now: dt.datetime
) -> int:
    """One transaction: roll up, book, move the horizon, delete. Killed in between, nothing has happened."""

    def run(name: str) -> Connection:
        text = store.statement(f"maintenance/{name}").replace("MOMENT", aged.moment)
        bind = {"relation": aged.relation, "before": before, "now": now}
        text = text.replace("RELATION", aged.relation)
        return connection.execute(text, {k: v for k, v in bind.items() if f"${k}" in text})

    with store.transaction(connection, location):
        events = int(run("aged").fetchall()[0][0])
        if events:
            if aged.relation == FRAMES:
                run("roll_up_telemetry")
            run("book_aged")
            if aged.relation != QUARANTINE:
                run("horizon")
                table = aged.relation.removeprefix("raw.")
                connection.execute(
                    store.statement("maintenance/forget_keys"), {"table": table, "before": before}
                )
            run("remove_aged")
    return events
