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
   numerator, denominator, value, lower, upper, level, unit, method, reason, computed_at, expected, flag)
VALUES
  ($metric_id, $metric_version, $scope, $scope_id, $period, $interval_start, $interval_end, $as_of,
   $snapshot_id, $numerator, $denominator, $value, $lower, $upper, $level, $unit, $method, $reason,
   $computed_at, $expected, $flag)
"""
INSERT_CLINIC = """
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
_INSERT_DEVICE = """
INSERT INTO raw.device_registered (source, id, clinic_id, occurred_at, received_at, device_id, in_service_on)
VALUES ('/clinics/' || $clinic, $device, $clinic, $at, $at, $device, '2025-01-01')
"""
_INSERT_CALIBRATION = """
INSERT INTO raw.device_calibrated (source, id, clinic_id, occurred_at, received_at, device_id)
VALUES ('/clinics/' || $clinic, 'cal-' || $device, $clinic, $at, $at, $device)
"""
_INSERT_SESSION = """
INSERT INTO raw.session_completed
  (source, id, clinic_id, occurred_at, received_at, session_id, patient_key, completed_at, device_id)
VALUES ('/clinics/' || $clinic, $id, $clinic, $at, $at, $id, $id, $at, $device)
"""
_INSERT_DUE = """
INSERT INTO mart.patient_due
  (clinic_id, patient_key, session_id, kind, last_on, due_from, due_until, state, days_overdue, as_of)
VALUES ($clinic, $patient, 's-' || $patient, 'maintenance', $as_of::DATE - 120, $as_of::DATE - 30,
  $as_of::DATE + 63, $state, 0, $as_of)
"""
_INSERT_SIGNAL = """
INSERT INTO mart.signal_event
  (signal_id, number, kind, happened_at, actor, metric_id, metric_version, scope, scope_id, flag, value, q,
   owner)
VALUES ($signal, $number, $kind, $at, 'rule', $metric, 1, $scope, $scope_id, 'high', $value, $q, $owner)
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
        "computed_at": as_of + dt.timedelta(minutes=1), "expected": None, "flag": None,
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


def ratio(clinic: str, observed: int, expected: float, *, flag: str | None = None) -> dict[str, Any]:
    """A clinic's adverse events over the expected ones, for the funnel."""
    row = result("adverse_event_ratio", observed, expected, scope="clinic", scope_id=clinic)
    value = observed / expected
    limits = {"value": value, "lower": value * 0.6, "upper": value * 1.7}
    return row | limits | {"expected": expected, "unit": "ratio", "flag": flag}


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
    rows += [ratio("north", 50, 55.5), ratio("harbour", 63, 61.0), ratio("west", 112, 64.0, flag="high")]
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


def eleven_weeks_before() -> list[dict[str, Any]]:
    """A rolling figure as it was each week before."""
    days = [AS_OF - dt.timedelta(days=7 * back) for back in range(1, 12)]
    return [
        result("maintenance_on_time", 600 - 5 * back, 1001, as_of=as_of) for back, as_of in enumerate(days, 1)
    ]


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
            connection.execute(INSERT_CLINIC, given)
        for protocol, indication in PROTOCOLS.items():
            given = {"protocol": protocol, "indication": indication, "at": born}
            connection.execute(_INSERT_PROTOCOL, given)
        for landed_at in (COMPUTED_AT - dt.timedelta(hours=2), COMPUTED_AT + dt.timedelta(hours=2)):
            connection.execute(_INSERT_BATCH, {**BOOKS, "at": landed_at})
        _fill_safety(connection)
    write(connection, location, usual())
    return connection, location


SIGNALS = (
    ("new1", 1, "opened", 2, "clinic", "west", None),
    ("old1", 1, "opened", 40, "cartridge_lot", "L-42", None),
    ("old1", 2, "acknowledged", 30, "cartridge_lot", "L-42", "Dana Ruiz"),
    ("shut1", 1, "opened", 60, "operator", "north/op-3", None),
    ("shut1", 2, "closed", 1, "operator", "north/op-3", None),
    ("gone1", 1, "opened", 90, "clinic", "north", None),
    ("gone1", 2, "closed", 50, "clinic", "north", None),
    ("later", 1, "opened", -1, "clinic", "north", None),
)
"""signal_id, number, kind, days before AS_OF, scope, scope_id, owner; the last is not known yet at AS_OF."""

DUE = {"north": (12, 6, 9), "harbour": (30, 2, 8), "west": (7, 11, 5)}
"""Patients due, at risk and overdue."""

DEVICES = {
    ("north", "pen-1"): 30,
    ("north", "pen-2"): 200,
    ("west", "pen-9"): None,
    ("harbour", "pen-5"): 183,
}
"""Days before AS_OF of the last calibration; null for never."""


def _fill_safety(connection: store.Connection) -> None:
    """Signals, people due, devices and sessions of the week."""
    for signal, number, kind, days, scope, scope_id, owner in SIGNALS:
        given = {"signal": signal, "number": number, "kind": kind, "scope": scope, "scope_id": scope_id}
        more = {"metric": "adverse_event_ratio", "owner": owner, "at": AS_OF - dt.timedelta(days=days)}
        opened = {"value": 1.75, "q": 0.004} if kind == "opened" else {"value": None, "q": None}
        connection.execute(_INSERT_SIGNAL, given | more | opened)
    for clinic, counted in DUE.items():
        for state, count in zip(("due", "at risk", "overdue"), counted, strict=True):
            people = [
                {"clinic": clinic, "patient": f"{clinic}-{state}-{i}", "state": state, "as_of": AS_OF}
                for i in range(count)
            ]
            connection.executemany(_INSERT_DUE, people)
    born = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    for (clinic, device), days in DEVICES.items():
        connection.execute(_INSERT_DEVICE, {"clinic": clinic, "device": device, "at": born})
        if days is not None:
            given = {"clinic": clinic, "device": device, "at": AS_OF - dt.timedelta(days=days)}
            connection.execute(_INSERT_CALIBRATION, given)
    _fill_sessions(connection)


def _fill_sessions(connection: store.Connection) -> None:
    """Two sessions of the week in each clinic, and one right after it."""
    for clinic in CLINICS:
        for number, at in enumerate((WEEK.start, WEEK.end - dt.timedelta(hours=9), WEEK.end)):
            _insert_session(connection, clinic, number, at)


def put_back(connection: store.Connection, location: store.Location) -> None:
    """Sessions and results as `fill` made them."""
    with store.transaction(connection, location):
        connection.execute("DELETE FROM raw.session_completed")
        _fill_sessions(connection)
    write(connection, location, usual())


def _insert_session(connection: store.Connection, clinic: str, number: int, at: dt.datetime) -> None:
    given = {"clinic": clinic, "id": f"{clinic}-{number}", "at": at, "device": "pen-x"}
    connection.execute(_INSERT_SESSION, given)


def add_session(
    connection: store.Connection, location: store.Location, clinic: str, number: int, at: dt.datetime
) -> None:
    """One more session, landed."""
    with store.transaction(connection, location):
        _insert_session(connection, clinic, number, at)
