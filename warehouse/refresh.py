"""From core to mart.metric_result: read one snapshot, measure, replace the day's rows.

change feed -> warehouse.kept -> mart.session_outcome and the other marts by patient
sql/metric/*.sql (rows at grain) -> warehouse.metrics (measures) -> mart.metric_result
                                                                 -> flags -> mart.signal_event
sql/schedule/*.sql (facts, courses, windows) -> warehouse.metrics.schedule -> mart.patient_due
"""

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from producers.contracts.errors import WarehouseConflict
from warehouse import checks, kept, metric_cards, metrics, signals, store
from warehouse.metrics.case_mix import CaseMixModel
from warehouse.store import Connection, Location

YEAR = dt.timedelta(days=365)
"""Length of the period `year`, up to as_of."""

_ATTEMPTS = 3


Found = dict[str, pl.DataFrame]
"""What a refresh, or one part of it, found out: `rows` (RESULT), `looks` taken, the day's `case_mix` model,
who is `due`, and the rows of the marts of findings, each by the mart's name."""

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


def refresh(
    connection: Connection,
    location: Location,
    *,
    as_of: dt.datetime,
    computed_at: dt.datetime,
    rebuild: bool = False,
) -> RefreshReport:
    """Bring the kept marts up to date, compute every metric from what occurred before `as_of`, and replace
    the rows of the same UTC day.

    Of the marts only the patients are computed whose facts changed since the last refresh, or all with
    `rebuild`. Reading holds no lock and sees one snapshot; only the replacement takes the writers' turn, in
    one transaction.
    Raises WarehouseConflict when others came first three times; CheckFailed when a row cannot be measured.
    """
    began = time.perf_counter()
    as_of = _utc(as_of)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with kept.update(connection, rebuild=rebuild) as marts:
                measured = _measure(connection, as_of)
                warnings = _checked(connection, measured["rows"])
            _replace(connection, location, measured, marts, as_of, _utc(computed_at))
            break
        except WarehouseConflict:
            if attempt == _ATTEMPTS:
                raise
        finally:
            kept.forget(connection)
    seconds = time.perf_counter() - began
    height = measured["rows"].height
    return RefreshReport(as_of, marts.snapshot_id, height, marts.patients, warnings, seconds)


def refresh_if_changed(
    connection: Connection, location: Location, *, as_of: dt.datetime, computed_at: dt.datetime
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
    return refresh(connection, location, as_of=as_of, computed_at=computed_at)


def _rates(connection: Connection, as_of: dt.datetime) -> Found:
    """Plain rates and shares of the year."""
    connection.execute(store.statement("metric/scope"))
    made = {
        "adverse_event_incidence": metrics.adverse_event_incidence,
        "maintenance_on_time": metrics.maintenance_on_time,
        "device_in_calibration": metrics.device_in_calibration,
        "follow_up_coverage": metrics.follow_up_coverage,
    }
    year = {"start": as_of - YEAR, "as_of": as_of}
    return {"rows": pl.concat([make(_grain(connection, name, **year)) for name, make in made.items()])}


def _safety(connection: Connection, as_of: dt.datetime) -> Found:
    """Adverse events held against the others' with the same case mix, in sequence, and as reported."""
    year = {"start": as_of - YEAR, "as_of": as_of}
    sessions = _grain(connection, "safety_session", **year, named=False).drop("session_id")
    safety = metrics.safety_metrics(sessions, _grain(connection, "looks", as_of=as_of), **year)
    found = {"rows": safety.rows, "looks": safety.looks, "hierarchy_test": safety.hierarchy}
    return found | ({"case_mix": _model_rows(safety.model)} if safety.model else {})


def _schedule(connection: Connection, as_of: dt.datetime) -> Found:
    """What protocols do, and whether patients and devices keep their schedule."""
    year = {"start": as_of - YEAR, "as_of": as_of}
    connection.execute(store.statement("metric/scope"))
    scores = _grain(connection, "protocol_improvement", **year)
    improvement = metrics.protocol_improvement(scores, _grain(connection, "protocol_scope", **year))
    schedule = metrics.schedule(_facts(connection, scores, as_of), start=as_of - YEAR, as_of=as_of)
    return {
        "rows": pl.concat([improvement, schedule.rows]),
        "due": schedule.due,
        "protocol_rank": schedule.protocols,
        "protocol_balance": schedule.balance,
    }


def _findings(connection: Connection, as_of: dt.datetime) -> Found:
    """What stands beside the metrics: sessions left out, severity, drift, what is reported together."""
    year = {"start": as_of - YEAR, "as_of": as_of}
    events = _finding(connection, "adverse_event", **year)
    errors = _finding(connection, "depth_error", as_of=as_of)
    found = {
        "left_out": _finding(connection, "left_out", **year),
        "severity_trend": metrics.severity(events),
        "device_drift": metrics.device_drift(errors, as_of=as_of.date()),
    }
    if not _finding(connection, "pairs_of_day", day=_day(as_of))["found"][0]:
        found["reported_pair"] = metrics.reported_pairs(events)
    if not _finding(connection, "checks_of_hour", as_of=as_of)["found"][0]:
        found["data_quality"] = _finding(connection, "data_quality")
    return found


def _effects(connection: Connection, as_of: dt.datetime) -> Found:
    """Clinics and operators by what their patients gain, once a day."""
    if _finding(connection, "effects_of_day", day=_day(as_of))["found"][0]:
        return {}
    scores = _finding(connection, "session_score", start=as_of - YEAR, as_of=as_of)
    return {"shrunken_effect": metrics.shrunken_effects(scores)}


PARTS: Mapping[str, Callable[[Connection, dt.datetime], Found]] = {
    "rates": _rates,
    "safety": _safety,
    "schedule": _schedule,
    "findings": _findings,
    "effects": _effects,
}
"""Independent of each other: each reads the marts as `kept.update` shows them, and writes nothing."""


def _measure(connection: Connection, as_of: dt.datetime) -> Found:
    """All parts, and each row's history."""
    parts = [part(connection, as_of) for part in PARTS.values()]
    rows = pl.concat([part["rows"] for part in parts if "rows" in part])
    previous = _grain(connection, "previous", day=_day(as_of))
    found = {name: table for part in parts for name, table in part.items()}
    return found | {"rows": metrics.with_history(rows, previous)}


def _grain(connection: Connection, name: str, **bind: Any) -> pl.DataFrame:
    return connection.execute(store.statement(f"metric/{name}"), bind).pl()


def _finding(connection: Connection, name: str, **bind: Any) -> pl.DataFrame:
    return connection.execute(store.statement(f"finding/{name}"), bind).pl()


def _checked(connection: Connection, rows: pl.DataFrame) -> dict[str, int]:
    """Warnings of sql/check, while the marts about to be saved are in sight. Raises CheckFailed."""
    connection.register("metric_rows", rows)
    try:
        return checks.run(connection)
    finally:
        connection.unregister("metric_rows")


def _facts(connection: Connection, scores: pl.DataFrame, as_of: dt.datetime) -> metrics.Facts:
    """What the schedule's cards are made from."""

    def read(name: str, **bind: Any) -> pl.DataFrame:
        return connection.execute(store.statement(f"schedule/{name}"), bind).pl()

    start = as_of - YEAR
    # Kept windows and courses know of every session; a day of the past is told from those before it.
    newest = read("newest_session")["completed_at"][0]
    past = newest is not None and newest >= as_of
    since = None if past else start.date() - dt.timedelta(days=metrics.NEEDED_DAYS)
    return metrics.Facts(
        sessions=read("session", since=since, start=start, as_of=as_of),
        devices=read("device", as_of=as_of),
        calibrations=read("calibration", as_of=as_of),
        scores=scores.select("clinic_id", "patient_key", "gais_score"),
        windows=None if past else read("window", since=since),
        courses=None if past else read("course", since=since),
    )


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
        day = {"day": _day(as_of)}
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


def _model_rows(model: CaseMixModel) -> pl.DataFrame:
    return pl.DataFrame(
        {"term": model.terms, "coefficient": model.coefficients, "error": model.errors}
    ).with_columns(
        model_version=pl.lit(model.version, dtype=pl.Int32),
        family=pl.lit(model.family),
        outcome=pl.lit("session with an adverse event"),
        sessions=pl.lit(model.trials),
        events=pl.lit(model.events),
    )


def _computed(connection: Connection, as_of: dt.datetime) -> dict[str, Any]:
    return store.rows(connection, store.statement("metric/computed"), {"day": _day(as_of)})[0]


def _day(as_of: dt.datetime) -> dt.datetime:
    return as_of.replace(hour=0, minute=0, second=0, microsecond=0)


def _utc(moment: dt.datetime) -> dt.datetime:
    assert moment.tzinfo is not None, "a moment needs its zone"
    return moment.astimezone(dt.UTC)
