"""What is counted in a dashboard's own statements, beside the slow or pure version of the same."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from dashboards.queries import EVERY_CLINIC, FEWEST, Reader, Scope
from tests.dashboards import world
from tests.dashboards.conftest import AS_OF, Lake, incidence
from warehouse import store
from warehouse.metrics.courses import time_to_return
from warehouse.metrics.risk_indicators import funnel_limits
from warehouse.metrics.survival import aalen_johansen

pytestmark = pytest.mark.integration


@pytest.fixture
def reader(lake: Lake) -> Iterator[Reader]:
    reader = Reader(lake.location)
    yield reader
    reader.close()


def test_funnel_limits(reader: Reader):
    """The funnel's limits are the exact ones of the metrics."""
    with reader.queries(EVERY_CLINIC) as queries:
        rows = queries.read("funnel", top=60.0)
    for level in (0.95, 0.998):
        mine = [row for row in rows if row["level"] == level]
        theirs = funnel_limits([row["expected"] for row in mine], target=1.0, kind="ratio", level=level)
        assert [row["upper"] for row in mine] == pytest.approx(theirs["upper"].to_list())
        assert [row["lower"] for row in mine] == pytest.approx(theirs["lower"].to_list())


def test_return_curve(reader: Reader, lake: Lake):
    """The curve is Aalen and Johansen's of the metrics, at every week it is drawn for."""
    with reader.queries(EVERY_CLINIC) as queries:
        rows = [
            row
            for row in queries.read("return_curve", clinic=None, as_of=AS_OF.date())
            if row["scope"] == "network"
        ]
    windows = lake.connection.execute("FROM mart.patient_window").pl()
    followed = time_to_return(windows, as_of=AS_OF.date()).with_columns(scope=pl.lit("network"))
    curve = aalen_johansen(followed, duration="days", cause="cause", by=["scope"]).filter(
        pl.col("cause") == 1
    )
    assert len(rows) > 10
    for row in rows:
        known = curve.filter(pl.col("time") <= row["days"]).sort("time")["incidence"].to_list()
        assert row["incidence"] == pytest.approx(known[-1] if known else 0.0, abs=1e-9), row["days"]


def test_return_curve_of_one_clinic_is_theirs(reader: Reader):
    """A clinic's manager gets their own curve, and no other clinic's."""
    own = Scope(frozenset({"clinic-north"}))
    with reader.queries(own) as queries:
        mine = queries.read("return_curve", clinic="clinic-north", as_of=AS_OF.date())
        foreign = queries.read("return_curve", clinic="clinic-mill", as_of=AS_OF.date())
    assert {row["scope"] for row in mine} == {"clinic", "network"}
    assert {row["scope"] for row in foreign} == {"network"}


def test_week_limits(reader: Reader, lake: Lake):
    """Each clinic's limits are the p chart's around its own average, and no other clinic's weeks count."""
    with reader.queries(EVERY_CLINIC) as queries:
        rows = queries.read("week_limit", metric="adverse_event_incidence")
    weeks = lake.connection.execute(
        "SELECT scope_id, interval_start, numerator, denominator FROM mart.metric_current"
        " WHERE metric_id = 'adverse_event_incidence' AND scope = 'clinic' AND period = 'week'"
        " AND denominator > 0 ORDER BY ALL"
    ).fetchall()
    assert [(row["clinic_id"], row["interval_start"]) for row in rows] == [week[:2] for week in weeks]
    for row, (clinic_id, _, _, sessions) in zip(rows, weeks, strict=True):
        own = [week[2:] for week in weeks if week[0] == clinic_id]
        average = sum(n for n, _ in own) / sum(of for _, of in own)
        half = 1.959963984540054 * (average * (1 - average) / sessions) ** 0.5
        expected = (100 * average, 100 * max(0, average - half), 100 * (average + half))
        assert (row["centre"], row["lower"], row["upper"]) == pytest.approx(expected)


# ── small cells ─────────────────────────────────────────────────────────────────────────────────────────


def _hidden(sizes: dict[str, int]) -> set[str]:
    """The slow version: hide the small; then, while one could be had by subtraction, the next smallest."""
    hidden = {name for name, size in sizes.items() if 0 < size < FEWEST}
    while hidden and (len(hidden) < 2 or sum(sizes[name] for name in hidden) < FEWEST):
        rest = sorted((size, name) for name, size in sizes.items() if size and name not in hidden)
        if not rest:
            break
        hidden.add(rest[0][1])
    return hidden


@pytest.mark.parametrize(
    "sizes",
    [
        {"a": 3, "b": 40, "c": 50},
        {"a": 1, "b": 2, "c": 50, "d": 60},
        {"a": 1, "b": 1, "c": 1, "d": 60, "e": 70},
        {"a": 4, "b": 4, "c": 9},
        {"a": 5, "b": 40, "c": 0},
        {"a": 3, "b": 0, "c": 0},
        {"a": 2, "b": 7, "c": 0, "d": 8},
    ],
    ids=str,
)
def test_small_cells_and_their_complements(tmp_path, sizes: dict[str, int]):
    """Exactly the cells of the slow version are hidden, with every number of theirs, for every reader
    alike."""
    location = store.Location.under(tmp_path)
    connection = store.connect(location)
    store.migrate(connection, location)
    lake = Lake(location, connection)
    week = {"period": "week", "interval_start": AS_OF - dt.timedelta(days=7), "interval_end": AS_OF}
    rows = [incidence("clinic", name, min(1, size), size or 1, **week) for name, size in sizes.items()]
    for row, size in zip(rows, sizes.values(), strict=True):
        if not size:
            row.update(denominator=0.0, value=None, lower=None, upper=None, numerator=0.0)
    lake.insert("mart.metric_result", *rows, incidence("network", "network", 2, sum(sizes.values()), **week))
    connection.close()
    expected = _hidden(sizes)
    reader = Reader(location)
    for scope in (EVERY_CLINIC, Scope(frozenset({"a"})), Scope(frozenset({"a", "b"}))):
        with reader.queries(scope) as queries:
            found = queries.results(("adverse_event_incidence",), list(sizes))
        clinics = [row for row in found if row["scope"] == "clinic"]
        assert {row["scope_id"] for row in clinics if row["suppressed"]} == {
            name for name in expected if scope.allows(name)
        }
        for row in clinics:
            if row["suppressed"]:
                assert [row[name] for name in ("numerator", "denominator", "value", "lower", "upper")] == [
                    None
                ] * 5
    reader.close()


# ── what a refresh keeps ────────────────────────────────────────────────────────────────────────────────

_SLOW_SESSIONS = """
SELECT session.clinic_id, session.session_id,
  (SELECT count(*) FROM core.adverse_event AS sign
    WHERE (sign.clinic_id, sign.session_id) = (session.clinic_id, session.session_id)) AS signs,
  (SELECT count(*) FROM core.adverse_event AS sign
    WHERE (sign.clinic_id, sign.session_id) = (session.clinic_id, session.session_id)
      AND coalesce(expected, expected_until_at > $as_of, false)) AS expected_signs,
  (SELECT max(grade) FROM core.adverse_event AS sign
    WHERE (sign.clinic_id, sign.session_id) = (session.clinic_id, session.session_id)) AS highest_grade,
  EXISTS (FROM core.follow_up AS contact
    WHERE (contact.clinic_id, contact.session_id) = (session.clinic_id, session.session_id)) AS followed_up
FROM core.session AS session
ORDER BY completed_at DESC, clinic_id, session_id
"""
_FILTERS = ("clinic", "device", "operator", "protocol", "skin_type", "lot", "cartridge")


_SIGNS = {
    "gone in time": (20, 19.5),
    "gone late": (20, 5),
    "not gone": (20, None),
    "may still go": (0.2, None),
}
"""Signs that are expected for some days: days before as_of of their begin and their end."""


def _sign(name: str, session: dict[str, Any], begun: float, gone: float | None) -> Iterator[tuple[str, Any]]:
    """(relation, row): a session, a sign an hour after it, and the sign's end."""

    def event(kind: str, days: float) -> dict[str, Any]:
        at = AS_OF - dt.timedelta(days=days)
        moments = dict.fromkeys(("occurred_at", "received_at", "landed_at"), at)
        return {
            "source": "/clinics/clinic-north",
            "id": f"{kind} {name}",
            "clinic_id": "clinic-north",
        } | moments

    done = AS_OF - dt.timedelta(days=begun, hours=1)
    yield "session_completed", session | event("session", begun) | {"session_id": name, "completed_at": done}
    onset = AS_OF - dt.timedelta(days=begun)
    sign = {"adverse_event_id": name, "session_id": name, "patient_key": session["patient_key"]}
    sign |= {"term": "erythema", "grade": 1, "serious": False, "onset_at": onset, "became_aware_at": onset}
    yield "adverse_event_reported", event("sign", begun) | sign
    if gone is not None:
        end = {"adverse_event_id": name, "resolved_at": AS_OF - dt.timedelta(days=gone)}
        yield "adverse_event_resolved", event("end", gone) | end


def test_sessions_are_those_of_core(reader: Reader, lake: Lake):
    """The list of sessions from the marts, and what is connected with them, are what core says of each."""
    session = dict(world.rows(AS_OF))["raw.session_completed"][0]
    for name, (begun, gone) in _SIGNS.items():
        for relation, row in _sign(name, session, begun, gone):
            lake.insert(f"raw.{relation}", row)
    with store.transaction(lake.connection, lake.location):
        for name in ("session_outcome", "session_sign"):
            lake.connection.execute(f"DELETE FROM mart.{name}")  # noqa: S608 - names are ours
            lake.connection.execute(f"INSERT INTO mart.{name} BY NAME FROM core.{name}")
    slow = store.rows(lake.connection, _SLOW_SESSIONS, {"as_of": AS_OF})
    expected = {row["session_id"] for row in slow if row["expected_signs"]}
    assert expected == {"gone in time", "may still go"}
    period = {"start": AS_OF - dt.timedelta(days=364), "as_of": AS_OF}
    with reader.queries(Scope(None, people=True)) as queries:
        fast = queries.read("session_list", **dict.fromkeys(_FILTERS), **period, most=1000)
        connected = queries.read(
            "connected", **dict.fromkeys({*_FILTERS} - {"protocol", "skin_type"}), **period
        )
        mix = queries.read("mix", clinic="clinic-north", **period)
    assert [{name: row[name] for name in slow[0]} for row in fast] == slow
    with_event = {row["id"]: row["sessions_with_event"] for row in connected if row["kind"] == "clinic"}
    for clinic_id in with_event:
        mine = [row for row in slow if row["clinic_id"] == clinic_id]
        assert with_event[clinic_id] == sum(row["signs"] > row["expected_signs"] for row in mine)
    assert sum(row["sessions"] for row in mix) == sum(row["clinic_id"] == "clinic-north" for row in slow)


_SLOW_OUTCOMES = """
WITH outcome AS (
  SELECT 'adverse event' AS kind, clinic_id, session_id, onset_at AS moment, term AS what, grade, serious,
    resolved_at AS ended_at,
    CASE WHEN counts_from_at IS NULL THEN true WHEN counts_from_at < $as_of THEN false END AS expected
  FROM core.adverse_event
  UNION ALL
  SELECT 'follow-up', clinic_id, session_id, occurred_at,
    channel || if(adverse_event_found, ': adverse event found', ': nothing found'), NULL, NULL, NULL, NULL
  FROM core.follow_up
  UNION ALL
  SELECT 'assessment', clinic_id, session_id, occurred_at, scale || ' ' || score, NULL, NULL, NULL, NULL
  FROM core.assessment
)
SELECT kind, moment, what, grade, serious, ended_at, expected
FROM outcome
WHERE clinic_id = $clinic AND session_id = $session
ORDER BY moment, kind, what
"""


def test_one_session_is_that_of_core(reader: Reader, lake: Lake):
    """One session and what came of it, read without all others, are what core says: corrected, withdrawn,
    and with signs that are gone."""
    facts = dict(world.rows(AS_OF))
    session = facts["raw.session_completed"][0]
    for name, (begun, gone) in _SIGNS.items():
        for relation, row in _sign(name, session, begun, gone):
            lake.insert(f"raw.{relation}", row)
    north = [row for row in facts["raw.session_completed"] if row["clinic_id"] == "clinic-north"]
    corrected, moved, withdrawn = north[1:4]
    later = {"occurred_at": AS_OF, "received_at": AS_OF, "landed_at": AS_OF}
    lake.insert(
        "raw.session_completed", corrected | later | {"id": "c", "supersedes": corrected["id"], "passes": 9}
    )
    lake.insert(
        "raw.session_completed",
        moved | later | {"id": "m", "supersedes": moved["id"], "session_id": "elsewhere"},
    )
    void = {"source": withdrawn["source"], "clinic_id": "clinic-north", "voided_id": withdrawn["id"]}
    lake.insert("raw.event_voided", void | later | {"id": "v"})
    contact = next(row for row in facts["raw.follow_up_completed"] if row["clinic_id"] == "clinic-north")
    lake.insert(
        "raw.follow_up_completed",
        contact | later | {"id": "f", "supersedes": contact["id"], "adverse_event_found": True},
    )
    ended = next(name for name, (_, gone) in _SIGNS.items() if gone is not None)
    *_, (_, end) = _sign(ended, session, *_SIGNS[ended])
    of_another = {"id": "e", "supersedes": end["id"], "adverse_event_id": "of another session"}
    lake.insert("raw.adverse_event_resolved", end | later | of_another)
    with store.transaction(lake.connection, lake.location):
        lake.connection.execute("DELETE FROM mart.session_sign")
        lake.connection.execute("INSERT INTO mart.session_sign BY NAME FROM core.session_sign")
    slow = store.rows(lake.connection, "FROM core.session")
    known = {(row["clinic_id"], row["session_id"]): row for row in slow}
    asked = {*known, *((row["clinic_id"], row["session_id"]) for row in north)}
    assert len(asked) == len(known) + 2  # the moved one's old name, and the withdrawn one
    outcomes = 0
    with reader.queries(Scope(None, people=True)) as queries:
        for clinic, name in sorted(asked):
            found = queries.read("session", clinic=clinic, session=name)
            assert [row["session_id"] for row in found] == [name] * ((clinic, name) in known)
            for row in found:
                assert {column: row[column] for column in row if column in slow[0]} == {
                    column: known[clinic, name][column] for column in row if column in slow[0]
                }
            bind = {"clinic": clinic, "session": name, "as_of": AS_OF}
            if found:
                expected = store.rows(lake.connection, _SLOW_OUTCOMES, bind)
                assert queries.read("session_outcome", **bind) == expected, name
                outcomes += len(expected)
    assert outcomes > len(_SIGNS) + 10
