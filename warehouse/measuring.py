"""What a refresh measures, in parts that need nothing of each other.

sql/metric/*.sql, sql/finding/*.sql (rows at grain) -> warehouse.metrics -> RESULT rows and findings
sql/schedule/*.sql (facts, courses, windows) -> warehouse.metrics.schedule -> who is due

Each part reads one snapshot, and the kept marts under the names that `kept.update` gives them, and writes
nothing. So all run in one process after the other, or each in a process of its own on another machine.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from warehouse import metrics, store
from warehouse.metrics.case_mix import CaseMixModel
from warehouse.store import Connection

YEAR = dt.timedelta(days=365)
"""Length of the period `year`, up to as_of."""

Found = dict[str, pl.DataFrame]
"""What a refresh, or one part of it, found out: `rows` (RESULT), `looks` taken, the day's `case_mix` model,
who is `due`, and the rows of the marts of findings, each by the mart's name."""


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
    found["case_mix_calibration"] = safety.calibration
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
    if not _finding(connection, "pairs_of_day", day=day(as_of))["found"][0]:
        found["reported_pair"] = metrics.reported_pairs(events)
    if not _finding(connection, "checks_of_hour", as_of=as_of)["found"][0]:
        found["data_quality"] = _finding(connection, "data_quality")
    return found


def _effects(connection: Connection, as_of: dt.datetime) -> Found:
    """Clinics and operators by what their patients gain, once a day."""
    if _finding(connection, "effects_of_day", day=day(as_of))["found"][0]:
        return {}
    scores = _finding(connection, "session_score", start=as_of - YEAR, as_of=as_of)
    return {"shrunken_effect": metrics.shrunken_effects(scores)}


def day(as_of: dt.datetime) -> dt.datetime:
    """The first instant of its UTC day."""
    return as_of.replace(hour=0, minute=0, second=0, microsecond=0)


PARTS: Mapping[str, Callable[[Connection, dt.datetime], Found]] = {
    "rates": _rates,
    "safety": _safety,
    "schedule": _schedule,
    "findings": _findings,
    "effects": _effects,
}
"""Independent of each other: each reads the marts as `kept.update` shows them, and writes nothing."""


def joined(connection: Connection, parts: Sequence[Found], as_of: dt.datetime) -> Found:
    """All parts as one, each row with its history."""
    rows = pl.concat([part["rows"] for part in parts if "rows" in part])
    previous = _grain(connection, "previous", day=day(as_of))
    found = {name: table for part in parts for name, table in part.items()}
    return found | {"rows": metrics.with_history(rows, previous)}


def _grain(connection: Connection, name: str, **bind: Any) -> pl.DataFrame:
    return connection.execute(store.statement(f"metric/{name}"), bind).pl()


def _finding(connection: Connection, name: str, **bind: Any) -> pl.DataFrame:
    return connection.execute(store.statement(f"finding/{name}"), bind).pl()


def _facts(connection: Connection, scores: pl.DataFrame, as_of: dt.datetime) -> metrics.Facts:
    """What the schedule's cards are made from."""

    def read(name: str, **bind: Any) -> pl.DataFrame:
        return connection.execute(store.statement(f"schedule/{name}"), bind).pl()

    start = as_of - YEAR
    # Kept windows and courses know of every session; a day of the past is told from those before it.
    newest = read("newest_session")["completed_at"][0]
    past = newest is not None and newest >= as_of
    since = None if past else start.date() - dt.timedelta(days=metrics.NEEDED_DAYS)
    sessions = read("session", since=None if past else start.date(), start=start, as_of=as_of)
    if not past:
        earlier = read("visit", since=since, until=start.date())
        sessions = pl.concat([earlier, sessions], how="diagonal")
    return metrics.Facts(
        sessions=sessions,
        devices=read("device", as_of=as_of),
        calibrations=read("calibration", as_of=as_of),
        scores=scores.select("clinic_id", "patient_key", "gais_score"),
        windows=None if past else read("window", since=since),
        courses=None if past else read("course", since=since),
    )


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
