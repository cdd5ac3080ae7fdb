"""refresh: from raw facts to mart.metric_result, on a real DuckLake."""

import datetime as dt
import threading

import polars as pl
import pytest

from producers.contracts.errors import CheckFailed, WarehouseConflict
from tests.table import table
from tests.warehouse.facts import Warehouse
from warehouse import metrics, store
from warehouse.metrics import CARDS, RESULT
from warehouse.refresh import refresh, refresh_if_changed

pytestmark = pytest.mark.integration

AS_OF = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)  # a Wednesday
COMPUTED_AT = dt.datetime(2026, 11, 18, 12, 1, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def results(warehouse: Warehouse, metric_id: str, period: str = "year") -> dict[str, tuple[float, float]]:
    """Numerator and denominator by scope, from the current rows."""
    found = warehouse.read(
        "SELECT scope || '/' || scope_id, numerator, denominator FROM mart.metric_current "
        "WHERE metric_id = $metric_id AND period = $period",
        {"metric_id": metric_id, "period": period},
    )
    return {
        name.removeprefix("network/").removeprefix("clinic/"): counts for name, *counts in found.iter_rows()
    }


def refreshed(warehouse: Warehouse, metric_id: str, *, as_of: dt.datetime = AS_OF) -> dict[str, list[float]]:
    refresh(warehouse.connection, warehouse.location, as_of=as_of, computed_at=COMPUTED_AT)
    return results(warehouse, metric_id)


# ── adverse events ──────────────────────────────────────────────────────────────────────────────────────


def test_only_known_outcomes_count(warehouse):
    """A follow-up or a reported sign makes the outcome known, from as_of on not yet; an expected reaction
    is known, but no event."""
    warehouse.put(
        "session_completed",
        """
        clinic_id | session_id | protocol_id | completed_at
        ----------+------------+-------------+-----------------
        north     | fine       | scar-15     | 2026-10-01 10:00
        north     | expected   | scar-15     | 2026-10-01 10:00
        north     | event      | lines-05    | 2026-10-01 10:00
        north     | two-events | lines-05    | 2026-10-01 10:00
        north     | unknown    | lines-05    | 2026-10-01 10:00
        silent    | fine       | lines-05    | 2026-10-01 10:00
        """,
    )
    warehouse.put(
        "follow_up_completed",
        """
        follow_up_id | session_id | occurred_at
        -------------+------------+-----------------
        f1           | fine       | 2026-10-04 10:00
        f2           | fine       | 2026-10-05 10:00
        f3           | unknown    | 2026-11-18 12:00
        """,
    )
    warehouse.put(
        "adverse_event_reported",
        """
        adverse_event_id | session_id | term      | onset_at
        -----------------+------------+-----------+-----------------
        a1               | expected   | erythema  | 2026-10-01 11:00
        a2               | event      | erythema  | 2026-10-01 11:00
        a3               | event      | oedema    | 2026-10-01 11:00
        a4               | two-events | breakout  | 2026-10-02 11:00
        a5               | two-events | infection | 2026-10-02 11:00
        """,
    )
    warehouse.put(
        "adverse_event_resolved",
        "adverse_event_id | resolved_at\na1 | 2026-10-03 11:00\na2 | 2026-10-09 11:00\na3 | 2026-10-02 11:00",
    )
    assert refreshed(warehouse, "adverse_event_incidence") == {
        "network": [2, 4],
        "north": [2, 4],
        "silent": [0, 0],
        "protocol/scar-15": [0, 2],
        "protocol/lines-05": [2, 2],
    }


def test_an_open_sign_is_expected_until_its_window_ends(warehouse):
    """Unresolved at as_of: expected to the last minute of its seven days, an adverse event from their end."""
    warehouse.put("session_completed", "session_id | completed_at\ns | 2026-11-10 09:00")
    warehouse.put(
        "adverse_event_reported", "adverse_event_id | session_id | onset_at\na | s | 2026-11-10 10:00"
    )
    ends = dt.datetime(2026, 11, 17, 10, tzinfo=dt.UTC)
    assert refreshed(warehouse, "adverse_event_incidence", as_of=ends - HOUR)["network"] == [0, 1]
    assert refreshed(warehouse, "adverse_event_incidence", as_of=ends)["network"] == [1, 1]
    warehouse.put("adverse_event_resolved", "adverse_event_id | resolved_at\na | 2026-11-17 09:59")
    assert refreshed(warehouse, "adverse_event_incidence", as_of=ends)["network"] == [0, 1]


def test_weeks_begin_on_monday_at_midnight_utc(warehouse):
    """The instant of Monday 00:00 belongs to the new week; weeks tile, the newest is unfinished, and a week
    without sessions is there without a value."""
    warehouse.put(
        "session_completed",
        """
        session_id | completed_at
        -----------+------------------------
        a          | 2026-11-08 23:59:59.999
        b          | 2026-11-09 00:00:00
        c          | 2026-11-15 23:59:59.999
        d          | 2026-11-16 00:00:00
        """,
    )
    warehouse.put(
        "follow_up_completed",
        table("follow_up_id | session_id\na | a\nb | b\nc | c\nd | d").with_columns(
            occurred_at=pl.lit(AS_OF - HOUR)
        ),
    )
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    weeks = warehouse.read("""
      SELECT interval_start, interval_end, denominator, value, reason FROM mart.metric_current
      WHERE metric_id = 'adverse_event_incidence' AND period = 'week' AND scope_id = 'north'
      ORDER BY interval_start
    """)
    assert weeks["denominator"].tail(4).to_list() == [0, 1, 2, 1]
    assert weeks["value"].tail(4).to_list() == [None, 0, 0, 0]
    assert weeks["reason"].is_null().tail(4).to_list() == [False, True, True, True]
    assert set(weeks["interval_start"].dt.weekday()) == {1}
    assert set(weeks["interval_start"].dt.time()) == {dt.time(0)}
    assert weeks["interval_end"][:-1].equals(weeks["interval_start"][1:])
    assert weeks["interval_start"].min() == dt.datetime(2025, 11, 24, tzinfo=dt.UTC)
    assert weeks["interval_start"].max() == dt.datetime(2026, 11, 16, tzinfo=dt.UTC)


def test_the_year_is_half_open(warehouse):
    """365 days up to as_of: the first instant is in, as_of itself is not."""
    moments = {
        "before": -365 * DAY - HOUR,
        "first": -365 * DAY,
        "last": -HOUR,
        "as-of": 0 * DAY,
        "after": HOUR,
    }
    warehouse.put(
        "session_completed",
        pl.DataFrame({"session_id": list(moments), "completed_at": [AS_OF + m for m in moments.values()]}),
    )
    warehouse.put(
        "follow_up_completed",
        pl.DataFrame({"follow_up_id": list(moments), "session_id": list(moments)}),
    )
    assert refreshed(warehouse, "adverse_event_incidence")["network"] == [0, 2]


# ── adherence ───────────────────────────────────────────────────────────────────────────────────────────


def test_maintenance(warehouse):
    """On time is 90 to 183 days after the session before; early, late and lapsed are not; who is not yet due
    or never finished the series is not counted; a patient counts once, by the first decision of the year."""
    days = {
        # days before as_of of the third session of the series, then of maintenance sessions
        "at-89": [150, 61],
        "at-90": [150, 60],
        "at-183": [200, 17],
        "at-184": [200, 16],
        "lapsed": [184],
        "not-yet-due": [183],
        "twice": [350, 240, 10],  # on time after 110 days, late after 230
        "then-not-yet-due": [250, 150],
        "late-then-on-time": [340, 100, 5],
        "on-time-then-lapsed": [560, 460, 340],
        "long-ago": [600],
    }
    rows = [
        {
            "session_id": f"{patient}-{n}",
            "patient_key": patient,
            "session_number": 3 + n,
            "phase": "maintenance" if n else "series",
            "completed_at": AS_OF - ago * DAY,
        }
        for patient, agos in days.items()
        for n, ago in enumerate(agos)
    ]
    warehouse.put("session_completed", pl.DataFrame(rows))
    warehouse.put(
        "session_completed",
        "session_id | patient_key | session_number | completed_at\ndrop-2 | dropped | 2 | 2026-02-01 10:00",
    )
    # on time: at-90, at-183, twice, then-not-yet-due, on-time-then-lapsed (its first decision is too old)
    assert refreshed(warehouse, "maintenance_on_time") == {"network": [5, 9], "north": [5, 9]}


def test_a_short_series_that_goes_on_to_maintenance_counts(warehouse):
    """A clinic may call a series complete after one session by its next one; knowledge of a later return does
    not leak into an earlier as_of."""
    warehouse.put(
        "session_completed",
        """
        session_id | session_number | phase       | completed_at
        -----------+----------------+-------------+-----------------
        s1         | 1              | series      | 2026-02-01 10:00
        s2         | 2              | maintenance | 2026-10-01 10:00
        """,
    )
    before = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
    assert refreshed(warehouse, "maintenance_on_time", as_of=before)["network"] == [0, 0]
    assert refreshed(warehouse, "maintenance_on_time")["network"] == [0, 1]


def test_calibration(warehouse):
    """In calibration up to 183 days after the last one; never calibrated is out; not yet in service is not
    counted; a calibration that lands late, or is voided, changes the result."""
    warehouse.put(
        "device_registered",
        """
        clinic_id | device_id | in_service_on
        ----------+-----------+--------------
        north     | fresh     | 2024-01-01
        north     | at-183    | 2024-01-01
        north     | at-184    | 2024-01-01
        north     | never     | 2024-01-01
        north     | future    | 2026-11-19
        east      | fresh     | 2026-11-18
        """,
    )
    warehouse.put(
        "device_calibrated",
        """
        id | clinic_id | device_id | occurred_at
        ---+-----------+-----------+-----------------
        a  | north     | fresh     | 2025-01-01 10:00
        b  | north     | fresh     | 2026-11-01 10:00
        c  | north     | at-183    | 2026-05-19 00:00
        d  | north     | at-184    | 2026-05-18 23:59
        e  | north     | never     | 2026-11-18 12:00
        """,
    )
    assert refreshed(warehouse, "device_in_calibration") == {
        "network": [2, 5],
        "north": [2, 4],
        "east": [0, 1],
    }
    warehouse.put("device_calibrated", "id | device_id | occurred_at\nf | at-184 | 2026-06-01 10:00")
    warehouse.put("event_voided", "voided_id\nb")
    assert refreshed(warehouse, "device_in_calibration")["north"] == [2, 4]


def test_follow_up_coverage(warehouse):
    """Sessions at least 14 days old; one followed up twice counts once, a follow-up of another clinic not."""
    warehouse.put(
        "session_completed",
        """
        clinic_id | session_id | completed_at
        ----------+------------+-----------------
        north     | old        | 2026-10-01 10:00
        north     | at-14      | 2026-11-04 12:00
        north     | younger    | 2026-11-04 12:01
        east      | old        | 2026-10-01 10:00
        """,
    )
    warehouse.put(
        "follow_up_completed",
        """
        clinic_id | follow_up_id | session_id | occurred_at
        ----------+--------------+------------+-----------------
        north     | f1           | old        | 2026-10-04 10:00
        north     | f2           | old        | 2026-10-05 10:00
        north     | f3           | younger    | 2026-11-05 10:00
        north     | f4           | at-14      | 2026-11-18 12:00
        """,
    )
    assert refreshed(warehouse, "follow_up_coverage") == {"network": [1, 3], "north": [1, 2], "east": [0, 1]}


# ── effectiveness ───────────────────────────────────────────────────────────────────────────────────────


def test_improvement_counts_a_patient_once(warehouse):
    """GAIS only, 14 to 90 days after the latest session; the newest score, a clinician's first."""
    warehouse.put(
        "session_completed",
        """
        clinic_id | session_id | patient_key | protocol_id | completed_at
        ----------+------------+-------------+-------------+-----------------
        north     | s1         | a           | lines-05    | 2026-05-01 10:00
        north     | s2         | a           | scar-15     | 2026-06-01 10:00
        north     | s3         | b           | scar-15     | 2026-06-01 10:00
        north     | s4         | c           | scar-15     | 2026-06-01 10:00
        east      | s1         | a           | lines-05    | 2026-06-01 10:00
        """,
    )
    warehouse.put(
        "assessment_recorded",
        """
        clinic_id | assessment_id | patient_key | scale        | score | occurred_at      | rater
        ----------+---------------+-------------+--------------+-------+------------------+----------
        north     | before-latest | a           | gais         | 5.0   | 2026-05-20 10:00 | clinician
        north     | earlier       | a           | gais         | 4.0   | 2026-07-01 10:00 | clinician
        north     | newest        | a           | gais         | 2.0   | 2026-08-30 23:00 | clinician
        north     | self-rated    | a           | gais         | 5.0   | 2026-08-30 23:00 | patient
        north     | too-late      | a           | gais         | 5.0   | 2026-08-31 00:00 | clinician
        north     | other-scale   | a           | satisfaction | 90.0  | 2026-08-01 10:00 | clinician
        north     | day-14        | b           | gais         | 3.0   | 2026-06-15 01:00 | clinician
        north     | day-13        | c           | gais         | 1.0   | 2026-06-14 23:00 | clinician
        east      | newest        | a           | gais         | 1.0   | 2026-07-01 10:00 | clinician
        """,
    )
    assert refreshed(warehouse, "protocol_improvement") == {
        "network": [6, 3],  # 2 + 1 + 3
        "protocol/scar-15": [3, 2],
        "protocol/lines-05": [3, 1],
    }


# ── books ───────────────────────────────────────────────────────────────────────────────────────────────


def some_facts(warehouse: Warehouse) -> None:
    warehouse.put(
        "session_completed", "session_id | completed_at\ns1 | 2026-10-01 10:00\ns2 | 2026-10-02 10:00"
    )
    warehouse.put("follow_up_completed", "follow_up_id | session_id\nf1 | s1")
    warehouse.put("device_registered", "device_id\npen")


def everything(warehouse: Warehouse) -> pl.DataFrame:
    return warehouse.read("FROM mart.metric_result").sort(pl.all())


def test_an_empty_warehouse_has_results_without_values(warehouse):
    """Before the first event each metric has its network row, with a reason, no number; no group, no row."""
    report = refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    found = everything(warehouse)
    assert report.rows == found.height
    assert set(found["metric_id"]) == set(CARDS)
    assert set(found["scope"]) == {"network"}
    assert found["reason"].null_count() == 0
    assert found.select(pl.col("value", "lower", "upper").is_null().all()).row(0) == (True, True, True)


def test_the_table_takes_the_result_as_it_is(warehouse):
    """Columns and types of RESULT are those of the table, which adds as_of, snapshot and time."""
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    found = everything(warehouse)
    assert {name: found.schema[name] for name in RESULT} == RESULT
    assert set(found.columns) - set(RESULT) == {"as_of", "snapshot_id", "computed_at"}
    assert set(found.select("as_of", "computed_at").iter_rows()) == {(AS_OF, COMPUTED_AT)}


def test_refreshing_twice_gives_the_same_rows(warehouse):
    """A rerun replaces the day's rows with equal ones; a run the next day leaves them as they were."""
    some_facts(warehouse)
    first = refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    rows = everything(warehouse)
    again = refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    assert again.rows == first.rows
    assert again.snapshot_id == first.snapshot_id + 1
    assert everything(warehouse).drop("snapshot_id").equals(rows.drop("snapshot_id"))
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF + DAY, computed_at=COMPUTED_AT + DAY)
    kept = everything(warehouse).filter(pl.col("as_of") == AS_OF)
    assert kept.drop("snapshot_id").equals(rows.drop("snapshot_id"))
    assert set(warehouse.read("FROM mart.metric_current")["as_of"]) == {AS_OF + DAY}


def test_a_later_moment_of_the_day_replaces_the_earlier(warehouse):
    """One day has one set of rows, whatever the hour, also where a zone's midnight is not UTC's."""
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    evening = dt.datetime(2026, 11, 19, 1, tzinfo=dt.timezone(2 * HOUR))  # 23:00 UTC
    refresh(warehouse.connection, warehouse.location, as_of=evening, computed_at=COMPUTED_AT)
    assert set(everything(warehouse)["as_of"]) == {evening}


def test_one_refresh_is_one_file(warehouse):
    """However often the day is refreshed, the current snapshot holds its rows in a single file."""
    some_facts(warehouse)
    for _ in range(3):
        refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    info = warehouse.read("FROM ducklake_table_info('dermastream') WHERE table_name = 'metric_result'")
    assert (info["file_count"][0], info["delete_file_count"][0]) == (1, 0)


def test_a_refresh_reads_one_snapshot(warehouse):
    """What lands while a refresh reads is in none of its numbers."""
    some_facts(warehouse)
    other = Warehouse(store.cursor(warehouse.connection), warehouse.location)
    with store.reading(warehouse.connection) as snapshot_id:
        count = "SELECT count(*) FROM raw.session_completed"
        before = warehouse.read(count)
        other.put("session_completed", "session_id | completed_at\ns3 | 2026-10-03 10:00")
        assert warehouse.read(count).equals(before)
        assert store.snapshot_id(warehouse.connection) == snapshot_id
    assert store.snapshot_id(warehouse.connection) == snapshot_id + 1
    assert warehouse.read(count)[0, 0] == before[0, 0] + 1


def test_an_older_snapshot_never_replaces_a_newer(warehouse):
    """Rows that know more than ours stay; the refresh gives up after three tries and says so."""
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    warehouse.connection.execute("UPDATE mart.metric_result SET snapshot_id = 1000000")
    before = everything(warehouse)
    with pytest.raises(WarehouseConflict, match=r"2026-11-18 holds snapshot 1000000"):
        refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    assert everything(warehouse).equals(before)


def test_two_refreshers_take_turns(warehouse):
    """Two threads refreshing at once both succeed, and leave one set of rows."""
    some_facts(warehouse)
    sessions = [store.cursor(warehouse.connection) for _ in range(2)]
    failures: list[Exception] = []

    def run(session: store.Connection) -> None:
        try:
            refresh(session, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    key = ["metric_id", "metric_version", "scope", "scope_id", "period", "interval_start"]
    assert not everything(warehouse).select(key).is_duplicated().any()


def test_nothing_changed_means_nothing_to_do(warehouse):
    """After a refresh there is nothing to do until a fact that a metric reads lands; frames are none."""

    def look(as_of: dt.datetime = AS_OF) -> bool:
        report = refresh_if_changed(
            warehouse.connection, warehouse.location, as_of=as_of, computed_at=COMPUTED_AT
        )
        return report is not None

    assert [look(), look()] == [True, False]
    warehouse.put("telemetry_frame", "device_id | sequence\npen | 1")
    warehouse.put("operator_registered", "operator_id\nop")
    assert not look()
    for name, facts in {
        "session_completed": "session_id | completed_at\ns1 | 2026-10-01 10:00",
        "follow_up_completed": "follow_up_id | session_id\nf1 | s1",
        "adverse_event_reported": "adverse_event_id | session_id | onset_at\na1 | s1 | 2026-10-01 10:00",
        "adverse_event_resolved": "adverse_event_id | resolved_at\na1 | 2026-10-02 10:00",
        "assessment_recorded": "assessment_id | session_id | score\ng1 | s1 | 2.0",
        "device_registered": "device_id\npen",
        "device_calibrated": "device_id\npen",
        "protocol_published": "protocol_id\nscar-15",
        "clinic_registered": "display_name\nNorth",
        "event_voided": "voided_id\nnone-such",
    }.items():
        warehouse.put(name, facts)
        assert [look(), look()] == [True, False], name
    assert [look(AS_OF + DAY), look(AS_OF + DAY)] == [True, False]


def test_changed_views_and_expired_history_count_as_changes(warehouse):
    """A new definition asks for new numbers, and so does history that can no longer be looked through."""

    def look() -> bool:
        return (
            refresh_if_changed(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
            is not None
        )

    assert [look(), look()] == [True, False]
    warehouse.connection.execute(store.statement("core/expected_reaction_rule"))
    assert [look(), look()] == [True, False]
    warehouse.put("telemetry_frame", "device_id | sequence\npen | 1")
    warehouse.put("telemetry_frame", "device_id | sequence\npen | 2")
    assert not look()
    newest = store.snapshot_id(warehouse.connection)
    warehouse.connection.execute(
        "CALL ducklake_expire_snapshots('dermastream', versions => ?)", [list(range(newest - 2))]
    )
    assert not look()
    warehouse.connection.execute(
        "CALL ducklake_expire_snapshots('dermastream', versions => ?)", [[newest - 2]]
    )
    assert [look(), look()] == [True, False]


# ── checks ──────────────────────────────────────────────────────────────────────────────────────────────


def broken(monkeypatch, **change: pl.Expr) -> None:
    """Every card's rows pass through this on their way to be published."""
    real = metrics.with_history
    monkeypatch.setattr(metrics, "with_history", lambda *given: real(*given).with_columns(**change))


def test_a_share_above_one_is_not_published(warehouse, monkeypatch):
    """The rows that break the rule are named, and the results of before stay."""
    some_facts(warehouse)
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    before = everything(warehouse)
    broken(monkeypatch, numerator=pl.col("denominator") + 1)
    with pytest.raises(
        CheckFailed, match=r"numerator_within_denominator: \d+ rows break it, first metric_id"
    ):
        refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    assert everything(warehouse).equals(before)


def test_the_same_cell_twice_is_not_published(warehouse, monkeypatch):
    """Results have one row a metric, scope, period and interval."""
    real = metrics.with_history
    monkeypatch.setattr(metrics, "with_history", lambda *given: pl.concat([real(*given)] * 2))
    with pytest.raises(CheckFailed, match=r"metric_grain: \d+ rows break it"):
        refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    assert not everything(warehouse).height


def test_clinics_that_do_not_add_up_are_a_warning(warehouse, monkeypatch):
    """The network is the sum of its clinics; where it is not, the refresh says so and goes on."""
    some_facts(warehouse)
    report = refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    assert report.warnings == {}
    lost = pl.when(pl.col("scope") == "clinic").then(0.0).otherwise("numerator")
    broken(monkeypatch, numerator=lost)
    report = refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    assert report.warnings["clinics_sum_to_network"] >= 1


def test_a_session_that_would_stand_twice_is_not_published(warehouse):
    """A mart's row of another patient with the same session: what was recomputed is not what is there."""
    warehouse.put("session_completed", "session_id | completed_at\nlong-ago | 2024-10-01 10:00")
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
    with store.transaction(warehouse.connection, warehouse.location):
        warehouse.connection.execute("UPDATE mart.session_outcome SET patient_key = 'other'")
    warehouse.put("follow_up_completed", "follow_up_id | session_id | patient_key\nf2 | long-ago | pat")
    with pytest.raises(CheckFailed, match=r"session_grain: 1 rows break it, first clinic_id north"):
        refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=COMPUTED_AT)
