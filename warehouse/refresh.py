"""From core to mart.metric_result: read one snapshot, measure, replace the day's rows.

change feed -> warehouse.kept -> mart.session_outcome and the other marts by patient
warehouse.measuring, here or on other machines -> mart.metric_result, mart.patient_due, findings
                                               -> flags -> mart.signal_event
"""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from producers.contracts.errors import WarehouseConflict
from warehouse import checks, kept, measuring, metric_cards, metrics, signals, store
from warehouse.measuring import Found
from warehouse.store import Connection, Location

_ATTEMPTS = 3

_APART = frozenset(("rows", "looks", "case_mix", "due"))
"""Found, but no mart of findings: each of these is kept in a way of its own."""


@dataclass(frozen=True)
class RefreshReport:
    """What one refresh did: rows written, the snapshot they were computed from, patients whose marts were
    recomputed, rows by check that warns, and how long it took."""

    as_of: dt.datetime
    snapshot_id: int
    rows: int
    patients: int
    warnings: dict[str, int]
    seconds: float


Spread = Callable[[int, int, dt.datetime], Sequence[Found]]
"""Has every part of `measuring.PARTS` measured somewhere else: from the facts of a snapshot and the marts
saved in a later one, as of a moment."""


def refresh(
    connection: Connection,
    location: Location,
    *,
    as_of: dt.datetime,
    computed_at: dt.datetime,
    rebuild: bool = False,
    spread: Spread | None = None,
) -> RefreshReport:
    """Bring the kept marts up to date, compute every metric from what occurred before `as_of`, and replace
    the rows of the same UTC day.

    Of the marts only the patients are computed whose facts changed since the last refresh, or all with
    `rebuild`. Reading holds no lock and sees one snapshot; only the replacement takes the writers' turn, in
    one transaction. With `spread` others measure, who see only what is committed: the marts are saved first,
    and the rows follow in a second transaction.
    Raises WarehouseConflict when others came first three times; CheckFailed when a row cannot be measured.
    """
    began = time.perf_counter()
    as_of, at = _utc(as_of), _utc(computed_at)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            if spread:
                measured, marts, warnings = _elsewhere(connection, location, spread, as_of, rebuild=rebuild)
            else:
                measured, marts, warnings = _here(connection, as_of, rebuild=rebuild)
            _replace(connection, location, measured, marts, as_of, at)
            break
        except WarehouseConflict:
            if attempt == _ATTEMPTS:
                raise
        finally:
            kept.forget(connection)
    seconds = time.perf_counter() - began
    height = measured["rows"].height
    return RefreshReport(as_of, marts.snapshot_id, height, marts.patients, warnings, seconds)


_Outcome = tuple[Found, kept.Update, dict[str, int]]
"""What was measured, what became of the marts, and warnings."""


def _here(connection: Connection, as_of: dt.datetime, *, rebuild: bool) -> _Outcome:
    """All parts by this connection, from marts that nobody else sees yet."""
    with kept.update(connection, rebuild=rebuild) as marts:
        parts = [part(connection, as_of) for part in measuring.PARTS.values()]
        measured = measuring.joined(connection, parts, as_of)
        return measured, marts, _checked(connection, measured["rows"])


def _elsewhere(
    connection: Connection, location: Location, spread: Spread, as_of: dt.datetime, *, rebuild: bool
) -> _Outcome:
    """Save the marts, once they hold by their checks, and let others measure."""
    with kept.update(connection, rebuild=rebuild) as marts:
        _checked(connection, pl.DataFrame(schema=metrics.RESULT))
    with store.transaction(connection, location):
        kept.save(connection, marts)
    saved_in = store.snapshot_id(connection)
    parts = spread(marts.snapshot_id, saved_in, as_of)
    with kept.saved(location, marts.snapshot_id, saved_in) as reader:
        measured = measuring.joined(reader, parts, as_of)
        return measured, marts.saved(), _checked(reader, measured["rows"])


def refresh_if_changed(
    connection: Connection,
    location: Location,
    *,
    as_of: dt.datetime,
    computed_at: dt.datetime,
    spread: Spread | None = None,
) -> RefreshReport | None:
    """Refresh unless the day's rows are there, by today's cards, and nothing they rest on changed since.

    Telemetry frames change no metric. Gives None when there was nothing to do. Raises as `refresh` does.
    """
    computed = _computed(connection, _utc(as_of))
    cards = {f"{card.id}/{card.version}" for card in metrics.CARDS.values()}
    optional = {
        f"{card.id}/{card.version}"
        for card in (*metrics.SAFETY_CARDS.values(), *metrics.SCHEDULE_CARDS.values())
    }
    if cards <= set(computed["cards"]) <= cards | optional:
        since = {"since": computed["snapshot_id"]}
        if not store.rows(connection, store.statement("metric/changed_since"), since)[0]["changed"]:
            return None
    return refresh(connection, location, as_of=as_of, computed_at=computed_at, spread=spread)


def _checked(connection: Connection, rows: pl.DataFrame) -> dict[str, int]:
    """Warnings of sql/check, while the marts about to be saved are in sight. Raises CheckFailed."""
    connection.register("metric_rows", rows)
    try:
        return checks.run(connection)
    finally:
        connection.unregister("metric_rows")


def _replace(
    connection: Connection,
    location: Location,
    measured: Found,
    marts: kept.Update,
    as_of: dt.datetime,
    at: dt.datetime,
) -> None:
    """Bring the kept marts to what was found; put the rows in place of the day's rows, unless those know more
    than ours; look at the signals once a day.

    All in one transaction: a flag and the signal it opens are seen together or not at all.
    """
    snapshot_id = marts.snapshot_id
    stamp = (pl.lit(as_of).alias("as_of"), pl.lit(snapshot_id).alias("snapshot_id"))
    found = {name: table.with_columns(stamp) for name, table in measured.items() if name != "looks"}
    rows = found["rows"].with_columns(computed_at=pl.lit(at))
    with store.transaction(connection, location):
        kept.save(connection, marts)
        there = _computed(connection, as_of)["snapshot_id"]
        if there is not None and there > snapshot_id:
            raise WarehouseConflict(
                f"mart.metric_result as of {as_of:%Y-%m-%d} holds snapshot {there}, ours is {snapshot_id}"
            )
        newest = store.rows(connection, store.statement("metric/newest"))[0]["as_of"]
        day = {"day": measuring.day(as_of)}
        connection.execute(store.statement("metric/forget"), day)
        _execute_with(connection, "metric_rows", rows, "metric/remember")
        metric_cards.remember(connection)
        connection.execute(store.statement("metric/forget_case_mix"), day)
        if "case_mix" in found:
            _execute_with(connection, "model_rows", found["case_mix"], "metric/remember_case_mix")
        # A day recomputed later repeats no look and moves no signal: what was decided stays decided.
        if newest is None or as_of >= newest:
            looks = _not_there(measured["looks"], connection, as_of)
            _insert(connection, "look_rows", looks, "metric/remember_looks")
            signals.follow(connection, rows, at=at)
            connection.execute(store.statement("schedule/forget_due"))
            _insert(connection, "due_rows", found["due"], "schedule/remember_due")
            for name in sorted(found.keys() - _APART):
                _execute_with(connection, "finding_rows", found[name], f"finding/replace_{name}")


def _not_there(looks: pl.DataFrame, connection: Connection, as_of: dt.datetime) -> pl.DataFrame:
    """Looks without those that another refresh took since we read: a look is taken once."""
    taken = connection.execute(store.statement("metric/looks"), {"as_of": as_of}).pl()
    return looks.join(taken, on=["metric_id", "metric_version", "scope", "scope_id", "look"], how="anti")


def _insert(connection: Connection, name: str, rows: pl.DataFrame, statement: str) -> None:
    if rows.height:
        _execute_with(connection, name, rows, statement)


def _execute_with(connection: Connection, name: str, rows: pl.DataFrame, statement: str) -> None:
    """Run a statement while it can read `rows` by that name."""
    connection.register(name, rows)
    try:
        connection.execute(store.statement(statement))
    finally:
        connection.unregister(name)


def _computed(connection: Connection, as_of: dt.datetime) -> dict[str, Any]:
    return store.rows(connection, store.statement("metric/computed"), {"day": measuring.day(as_of)})[0]


def _utc(moment: dt.datetime) -> dt.datetime:
    assert moment.tzinfo is not None, "a moment needs its zone"
    return moment.astimezone(dt.UTC)
