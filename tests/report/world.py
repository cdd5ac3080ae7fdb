"""A small real warehouse for the report's tests: clinics, protocols, landing books and metric results."""

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scipy.stats import beta

from dashboards.report import IsoWeek
from warehouse import store

WEEK = IsoWeek.parse("2026-W46")
AS_OF = WEEK.end + dt.timedelta(hours=6)
COMPUTED_AT = AS_OF + dt.timedelta(minutes=1)
NOW = AS_OF + dt.timedelta(hours=1)
CLINICS = {"north": "North Clinic", "harbour": "Harbour Clinic", "west": "Westend Skin"}
PROTOCOLS = {"scar-15": "acne-scars", "lines-05": "wrinkles"}
BOOKS = {"consumed": 1234, "landed": 1200, "duplicate": 20, "quarantined": 14}

_INSERT_RESULT = """
INSERT INTO given
  (metric_id, metric_version, scope, scope_id, period, interval_start, interval_end, as_of, snapshot_id,
   numerator, denominator, value, lower, upper, level, unit, method, reason, computed_at)
VALUES
  ($metric_id, $metric_version, $scope, $scope_id, $period, $interval_start, $interval_end, $as_of,
   $snapshot_id, $numerator, $denominator, $value, $lower, $upper, $level, $unit, $method, $reason,
   $computed_at)
"""
_INSERT_CLINIC = """
INSERT INTO raw.clinic_registered
  (source, id, clinic_id, occurred_at, received_at, display_name, time_zone, locale, opened_on)
VALUES ($source, 'c1', $clinic, $at, $at, $name, 'Europe/Berlin', 'en', '2024-01-01')
"""
_INSERT_PROTOCOL = """
INSERT INTO raw.protocol_published
  (source, id, clinic_id, occurred_at, received_at, protocol_id, version, indication)
VALUES ('/clinics/north', $protocol, 'north', $at, $at, $protocol, 1, $indication)
"""
_INSERT_BATCH = """
INSERT INTO landing.batch
  (batch_id, consumed, landed, duplicate, quarantined, newest_received_at, landed_at)
VALUES ('b', $consumed, $landed, $duplicate, $quarantined, $at, $at)
"""
_UNITS = {"adverse_event_incidence": "per 100 sessions", "protocol_improvement": "GAIS grades"}


def result(
    metric_id: str,
    numerator: float,
    denominator: float,
    *,
    scope: str = "network",
    scope_id: str = "network",
    week: IsoWeek | None = None,
    as_of: dt.datetime = AS_OF,
    version: int = 1,
) -> dict[str, Any]:
    """One row of mart.metric_result with an exact binomial interval (a mean gets ± 0.2)."""
    scale = 100.0 if metric_id == "adverse_event_incidence" else 1.0
    row: dict[str, Any] = {
        "metric_id": metric_id, "metric_version": version, "scope": scope, "scope_id": scope_id,
        "period": "week" if week else "year",
        "interval_start": week.start if week else as_of - dt.timedelta(days=365),
        "interval_end": week.end if week else as_of,
        "as_of": as_of, "snapshot_id": 1, "numerator": numerator, "denominator": denominator,
        "value": None, "lower": None, "upper": None, "level": 0.95,
        "unit": _UNITS.get(metric_id, "proportion"), "method": "clopper-pearson", "reason": None,
        "computed_at": as_of + dt.timedelta(minutes=1),
    }  # fmt: skip
    if denominator == 0:
        return row | {"reason": "nobody at risk in the interval"}
    value = numerator / denominator
    if metric_id == "protocol_improvement":
        return row | {"value": value, "lower": value - 0.2, "upper": value + 0.2, "method": "t"}
    missing = denominator - numerator
    lower = float(beta.ppf(0.025, numerator, missing + 1)) if numerator else 0.0
    upper = float(beta.ppf(0.975, numerator + 1, missing)) if missing else 1.0
    return row | {"value": scale * value, "lower": scale * lower, "upper": scale * upper}


EARLIER = AS_OF - dt.timedelta(days=7)


def usual() -> list[dict[str, Any]]:
    """A quiet year: a dozen weeks of three clinics, all five metrics, nothing unusual."""
    rows = [
        result("adverse_event_incidence", 187, 5820),
        result("protocol_improvement", 1254.5, 1004),
        result("maintenance_on_time", 610, 1001),
        result("device_in_calibration", 34, 36),
        result("follow_up_coverage", 5600, 6420),
    ]
    for number, clinic in enumerate(CLINICS):
        about = {"scope": "clinic", "scope_id": clinic}
        rows += [
            result("adverse_event_incidence", 50 + 13 * number, 1800 + 140 * number, **about),
            result("maintenance_on_time", 190 + number, 330 + number, **about),
            result("device_in_calibration", 11 + number % 2, 12, **about),
            result("follow_up_coverage", 1700 + 150 * number, 2100 + 40 * number, **about),
        ]
    for protocol in PROTOCOLS:
        about = {"scope": "protocol", "scope_id": protocol}
        rows += [
            result("adverse_event_incidence", 90, 2910, **about),
            result("protocol_improvement", 627, 502, **about),
        ]
    for back in range(12):
        week = WEEK.shifted(-back)
        cases, sessions = 11 + back % 4, (96 if back == 0 else 340 - back)
        rows.append(result("adverse_event_incidence", cases, sessions, week=week))
        rows += [
            result(
                "adverse_event_incidence",
                3 + number,
                sessions // 3,
                scope="clinic",
                scope_id=clinic,
                week=week,
            )
            for number, clinic in enumerate(CLINICS)
        ]
    return rows


def replaced(rows: Iterable[dict[str, Any]], *others: dict[str, Any]) -> list[dict[str, Any]]:
    """`rows` with `others` in the place of the rows they are about."""

    def about(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in ("metric_id", "scope", "scope_id", "interval_start", "as_of"))

    keys = {about(row) for row in others}
    return [row for row in rows if about(row) not in keys] + list(others)


def write(connection: store.Connection, location: store.Location, rows: Iterable[dict[str, Any]]) -> None:
    """Make `rows` all there is in mart.metric_result."""
    with store.transaction(connection, location):
        connection.execute("DELETE FROM mart.metric_result")
        connection.execute("CREATE OR REPLACE TEMP TABLE given AS FROM mart.metric_result LIMIT 0")
        connection.executemany(_INSERT_RESULT, list(rows))
        connection.execute("INSERT INTO mart.metric_result FROM given")


def fill(home: Path) -> tuple[store.Connection, store.Location]:
    """A migrated DuckLake under `home` with clinics, protocols, books and the usual results."""
    location = store.Location.under(home)
    connection = store.connect(location)
    store.migrate(connection, location)
    born = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    with store.transaction(connection, location):
        for clinic, name in CLINICS.items():
            given = {"source": f"/clinics/{clinic}", "clinic": clinic, "at": born, "name": name}
            connection.execute(_INSERT_CLINIC, given)
        for protocol, indication in PROTOCOLS.items():
            given = {"protocol": protocol, "indication": indication, "at": born}
            connection.execute(_INSERT_PROTOCOL, given)
        for landed_at in (COMPUTED_AT - dt.timedelta(hours=2), COMPUTED_AT + dt.timedelta(hours=2)):
            connection.execute(_INSERT_BATCH, {**BOOKS, "at": landed_at})
    write(connection, location, usual())
    return connection, location
