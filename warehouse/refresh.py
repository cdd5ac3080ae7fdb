"""From core to mart.metric_result: read one snapshot, measure, replace the day's rows.

change feed -> warehouse.kept -> mart.session_outcome and the other marts by patient
sql/metric/*.sql (rows at grain) -> warehouse.metrics (measures) -> mart.metric_result
                                                                 -> flags -> mart.signal_event
sql/schedule/*.sql (facts, courses, windows) -> warehouse.metrics.schedule -> mart.patient_due
"""

import datetime as dt
import time
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from producers.contracts.errors import WarehouseConflict
from warehouse import checks, kept, metric_cards, metrics, signals, store
from warehouse.metrics.case_mix import CaseMixModel
from warehouse.store import Connection, Location

YEAR = dt.timedelta(days=365)
"""Length of the period `year`, up to as_of."""

_ATTEMPTS = 3


@dataclass(frozen=True)
class _Measured:
    """All that one refresh found out: RESULT rows, the looks taken, the day's case-mix model, who is due, and
    the rows of the marts of findings by name."""

    rows: pl.DataFrame
    looks: pl.DataFrame
    model: CaseMixModel | None
    due: pl.DataFrame
    findings: dict[str, pl.DataFrame]


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
                warnings = _checked(connection, measured.rows)
            rows = measured.rows.with_columns(
                as_of=pl.lit(as_of),
                snapshot_id=pl.lit(marts.snapshot_id),
                computed_at=pl.lit(_utc(computed_at)),
            )
            _replace(connection, location, replace(measured, rows=rows), marts, as_of, _utc(computed_at))
            break
        except WarehouseConflict:
            if attempt == _ATTEMPTS:
                raise
        finally:
            kept.forget(connection)
    return RefreshReport(
        as_of, marts.snapshot_id, rows.height, marts.patients, warnings, time.perf_counter() - began
    )


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


def _measure(connection: Connection, as_of: dt.datetime) -> _Measured:
    """RESULT rows of every card, from the marts as `kept.update` shows them."""
    connection.execute(store.statement("metric/scope"))

    def grain(name: str, **parameters: Any) -> pl.DataFrame:
        bound = parameters or {"start": as_of - YEAR, "as_of": as_of}
        return connection.execute(store.statement(f"metric/{name}"), bound).pl()

    sessions = grain("safety_session", start=as_of - YEAR, as_of=as_of, named=False).drop("session_id")
    safety = metrics.safety_metrics(sessions, grain("looks", as_of=as_of), start=as_of - YEAR, as_of=as_of)
    scores = grain("protocol_improvement")
    schedule = metrics.schedule(_facts(connection, scores, as_of), start=as_of - YEAR, as_of=as_of)
    rows = pl.concat(
        [
            metrics.adverse_event_incidence(grain("adverse_event_incidence")),
            metrics.protocol_improvement(scores, grain("protocol_scope")),
            metrics.maintenance_on_time(grain("maintenance_on_time")),
            metrics.device_in_calibration(grain("device_in_calibration")),
            metrics.follow_up_coverage(grain("follow_up_coverage")),
            safety.rows,
            schedule.rows,
        ]
    )
    previous = grain("previous", day=_day(as_of))
    events = _finding(connection, "adverse_event", start=as_of - YEAR, as_of=as_of)
    errors = _finding(connection, "depth_error", as_of=as_of)
    findings = {
        "left_out": _finding(connection, "left_out", start=as_of - YEAR, as_of=as_of),
        "hierarchy_test": safety.hierarchy,
        "severity_trend": metrics.severity(events),
        "device_drift": metrics.device_drift(errors, as_of=as_of.date()),
        "protocol_rank": schedule.protocols,
        "protocol_balance": schedule.balance,
    }
    if not _finding(connection, "pairs_of_day", day=_day(as_of))["found"][0]:
        findings["reported_pair"] = metrics.reported_pairs(events)
    return _Measured(metrics.with_history(rows, previous), safety.looks, safety.model, schedule.due, findings)


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
    measured: _Measured,
    marts: kept.Update,
    as_of: dt.datetime,
    at: dt.datetime,
) -> None:
    """Bring the kept marts to what was found; put the rows in place of the day's rows, unless those know more
    than ours; look at the signals once a day.

    All in one transaction: a flag and the signal it opens are seen together or not at all.
    """
    snapshot_id = marts.snapshot_id
    model = _model_rows(measured.model, as_of, snapshot_id)
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
        _insert(connection, "metric_rows", measured.rows, "metric/remember")
        metric_cards.remember(connection)
        connection.execute(store.statement("metric/forget_case_mix"), day)
        _insert(connection, "model_rows", model, "metric/remember_case_mix")
        # A day recomputed later repeats no look and moves no signal: what was decided stays decided.
        if newest is None or as_of >= newest:
            looks = _not_there(measured.looks, connection, as_of)
            _insert(connection, "look_rows", looks, "metric/remember_looks")
            signals.follow(connection, measured.rows, at=at)
            _replace_due(connection, measured.due, as_of, snapshot_id)
            for name, found in measured.findings.items():
                dated = found.with_columns(as_of=pl.lit(as_of), snapshot_id=pl.lit(snapshot_id))
                _execute_with(connection, "finding_rows", dated, f"finding/replace_{name}")


def _replace_due(connection: Connection, due: pl.DataFrame, as_of: dt.datetime, snapshot_id: int) -> None:
    """The due list is of the newest day only."""
    connection.execute(store.statement("schedule/forget_due"))
    rows = due.with_columns(as_of=pl.lit(as_of), snapshot_id=pl.lit(snapshot_id))
    _insert(connection, "due_rows", rows, "schedule/remember_due")


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


def _model_rows(model: CaseMixModel | None, as_of: dt.datetime, snapshot_id: int) -> pl.DataFrame:
    if model is None:
        return pl.DataFrame()
    return pl.DataFrame(
        {"term": model.terms, "coefficient": model.coefficients, "error": model.errors}
    ).with_columns(
        model_version=pl.lit(model.version, dtype=pl.Int32),
        family=pl.lit(model.family),
        outcome=pl.lit("session with an adverse event"),
        sessions=pl.lit(model.trials),
        events=pl.lit(model.events),
        as_of=pl.lit(as_of),
        snapshot_id=pl.lit(snapshot_id),
    )


def _computed(connection: Connection, as_of: dt.datetime) -> dict[str, Any]:
    return store.rows(connection, store.statement("metric/computed"), {"day": _day(as_of)})[0]


def _day(as_of: dt.datetime) -> dt.datetime:
    return as_of.replace(hour=0, minute=0, second=0, microsecond=0)


def _utc(moment: dt.datetime) -> dt.datetime:
    assert moment.tzinfo is not None, "a moment needs its zone"
    return moment.astimezone(dt.UTC)
