"""core: the latest truth after duplicates, corrections and withdrawals, on a real DuckLake."""

import datetime as dt

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.table import table
from tests.warehouse.facts import Warehouse
from warehouse import store

pytestmark = pytest.mark.integration


def sessions(warehouse: Warehouse) -> dict[str, str]:
    found = warehouse.read("SELECT clinic_id || '/' || session_id, area FROM core.session")
    return dict(found.iter_rows())


def test_the_newest_fact_of_an_entity_wins(warehouse):
    """Later at the clinic wins; at the same moment, later at the broker; then the greater id."""
    warehouse.put(
        "session_completed",
        """
        id | session_id | occurred_at      | received_at      | area
        ---+------------+------------------+------------------+-----
        b  | s1         | 2026-03-02 11:00 | 2026-03-02 11:00 | neck
        a  | s1         | 2026-03-02 10:00 | 2026-03-02 12:00 | face
        c  | s2         | 2026-03-02 10:00 | 2026-03-02 10:01 | face
        d  | s2         | 2026-03-02 10:00 | 2026-03-02 10:00 | neck
        e  | s3         | 2026-03-02 10:00 | 2026-03-02 10:00 | face
        f  | s3         | 2026-03-02 10:00 | 2026-03-02 10:00 | neck
        """,
    )
    assert sessions(warehouse) == {"north/s1": "neck", "north/s2": "face", "north/s3": "neck"}


def test_an_identifier_is_the_clinics_own(warehouse):
    """Two clinics may both have a session s1."""
    warehouse.put(
        "session_completed",
        "clinic_id | session_id | area\nnorth | s1 | face\neast | s1 | neck",
    )
    assert sessions(warehouse) == {"north/s1": "face", "east/s1": "neck"}


def test_corrections(warehouse):
    """Superseded and voided events are out, within their source only; a void undoes a correction and another
    void, in whatever order they came; nothing withdraws itself."""
    warehouse.put(
        "session_completed",
        """
        source            | id | session_id | supersedes | area
        ------------------+----+------------+------------+------------
        /clinics/north    | a1 | wrong-id   |            | superseded
        /clinics/north    | a2 | right-id   | a1         | kept
        /clinics/north    | b1 | chain      |            | superseded
        /clinics/north    | b2 | chain      | b1         | superseded
        /clinics/north    | b3 | chain      | b2         | kept
        /clinics/north    | c1 | voided     |            | voided
        /clinics/north    | d1 | restored   |            | kept
        /clinics/north    | d2 | mistaken   | d1         | voided
        /clinics/north    | e1 | unvoided   |            | kept
        /clinics/north    | f1 | itself     | f1         | kept
        /clinics/north/ii | c1 | other      |            | kept
        /clinics/north/ii | g1 | foreign    | b3         | kept
        """,
    )
    warehouse.put(
        "event_voided",
        """
        source         | id | voided_id
        ---------------+----+----------
        /clinics/north | v1 | c1
        /clinics/north | v2 | d2
        /clinics/north | v3 | e1
        /clinics/north | v4 | v3
        """,
    )
    found = {name.removeprefix("north/") for name in sessions(warehouse)}
    assert found == {"right-id", "chain", "restored", "unvoided", "itself", "other", "foreign"}
    assert set(sessions(warehouse).values()) == {"kept"}


ENTITIES = {
    "clinic": ("clinic_registered", "clinic_id", "display_name"),
    "operator": ("operator_registered", "operator_id", "role"),
    "device": ("device_registered", "device_id", "firmware"),
    "protocol": ("protocol_published", "protocol_id", "indication"),
    "reported_sign": ("adverse_event_reported", "adverse_event_id", "term"),
    "observed_reaction": ("expected_reaction_observed", "reaction_id", "sign"),
    "assessment": ("assessment_recorded", "assessment_id", "rater"),
    "follow_up": ("follow_up_completed", "follow_up_id", "channel"),
}


@pytest.mark.parametrize("view", ENTITIES)
def test_every_entity_keeps_the_same_rules(warehouse, view):
    """Newest, superseded, voided: the same for all that clinics state."""
    raw, key, value = ENTITIES[view]
    warehouse.put(
        raw,
        f"""
        id | {key} | supersedes | occurred_at      | {value}
        ---+-------+------------+------------------+-----------
        a1 | one   |            | 2026-03-01 10:00 | older
        a2 | one   |            | 2026-03-02 10:00 | kept
        b1 | two   |            | 2026-03-02 10:00 | superseded
        b2 | three | b1         | 2026-03-02 10:00 | kept
        c1 | four  |            | 2026-03-02 10:00 | voided
        """,
    )
    # A clinic is its own entity, so that its source must differ from the other clinics' only by name.
    source = "/clinics/" + ("four" if view == "clinic" else "north")
    if view == "clinic":
        warehouse.put("clinic_registered", "clinic_id | id | supersedes | display_name\nthree | b3 | | older")
        expected = {"one": "kept", "two": "superseded", "three": "kept"}
    else:
        expected = {"one": "kept", "three": "kept"}
    warehouse.put("event_voided", f"source | voided_id\n{source} | c1")
    found = dict(warehouse.read(f"SELECT {key}, {value} FROM core.{view}").iter_rows())  # noqa: S608
    assert found == expected


def test_calibrations_stand_one_by_one(warehouse):
    """A calibration has no key: two of a device on one day are two, and a void takes out its own."""
    warehouse.put(
        "device_calibrated",
        """
        id | device_id | occurred_at      | depth_error_mm
        ---+-----------+------------------+---------------
        a  | pen        | 2026-03-02 10:00 | 0.1
        b  | pen        | 2026-03-02 10:00 | 0.2
        c  | pen        | 2026-03-02 11:00 | 0.3
        """,
    )
    warehouse.put("event_voided", "voided_id\nc")
    assert warehouse.read("SELECT depth_error_mm FROM core.calibration ORDER BY 1")[
        "depth_error_mm"
    ].to_list() == [
        0.1,
        0.2,
    ]


def test_expected_reactions(warehouse):
    """Expected: a listed term, grade 1, not serious, begun within seven days and gone within seven more.
    The boundary is outside; unresolved is undecided while the rule could still expect it."""
    warehouse.put("session_completed", "session_id | completed_at\ns1 | 2026-03-02 10:00")
    reported = table("""
      adverse_event_id | session_id | term      | grade | serious | onset_at
      -----------------+------------+-----------+-------+---------+-----------------
      a-day            | s1         | erythema  | 1     | false   | 2026-03-02 10:00
      just-inside      | s1         | oedema    | 1     | false   | 2026-03-02 10:00
      seven-days       | s1         | oedema    | 1     | false   | 2026-03-02 10:00
      open             | s1         | bleeding  | 1     | false   | 2026-03-02 10:00
      grade-2          | s1         | erythema  | 2     | false   | 2026-03-02 10:00
      serious          | s1         | erythema  | 1     | true    | 2026-03-02 10:00
      unlisted         | s1         | infection | 1     | false   | 2026-03-02 10:00
      late-onset       | s1         | erythema  | 1     | false   | 2026-03-09 10:00
      last-onset       | s1         | erythema  | 1     | false   | 2026-03-09 09:59
      backwards        | s1         | erythema  | 1     | false   | 2026-03-02 10:00
      no-session       | s9         | erythema  | 1     | false   | 2026-03-02 10:00
    """)
    warehouse.put("adverse_event_reported", reported)
    warehouse.put(
        "adverse_event_resolved",
        """
        adverse_event_id | resolved_at
        -----------------+-----------------
        a-day            | 2026-03-03 10:00
        just-inside      | 2026-03-09 09:59
        seven-days       | 2026-03-09 10:00
        grade-2          | 2026-03-03 10:00
        serious          | 2026-03-03 10:00
        unlisted         | 2026-03-03 10:00
        late-onset       | 2026-03-10 10:00
        last-onset       | 2026-03-10 09:59
        backwards        | 2026-03-02 09:59
        no-session       | 2026-03-03 10:00
        """,
    )
    expected = table("""
      adverse_event_id | expected | days | until            | review
      -----------------+----------+------+------------------+-----------------
      a-day            | true     | 1.0  | 2026-03-09 10:00 | 2026-03-04 10:00
      backwards        |          |      | 2026-03-09 10:00 | 2026-03-04 10:00
      grade-2          | false    | 1.0  |                  |
      just-inside      | true     | 7.0  | 2026-03-09 10:00 | 2026-03-04 10:00
      last-onset       | true     | 1.0  | 2026-03-16 09:59 | 2026-03-11 09:59
      late-onset       | false    | 1.0  |                  |
      no-session       | true     | 1.0  | 2026-03-09 10:00 | 2026-03-04 10:00
      open             |          |      | 2026-03-09 10:00 | 2026-03-04 10:00
      serious          | false    | 1.0  |                  |
      seven-days       | false    | 7.0  | 2026-03-09 10:00 | 2026-03-04 10:00
      unlisted         | false    | 1.0  |                  |
    """)
    found = warehouse.read("""
      SELECT adverse_event_id, expected, days_to_resolution AS days, expected_until_at AS until,
        review_at AS review
      FROM core.adverse_event ORDER BY adverse_event_id
    """)
    assert_frame_equal(found, expected, abs_tol=0.001)


def test_the_latest_update_of_a_sign_wins(warehouse):
    """The newest statement gives a sign's state; it still occurred when it was reported. An update says
    nothing once it is voided or superseded, once the report is, or while there is none."""
    warehouse.put(
        "adverse_event_reported",
        """
        id | adverse_event_id | supersedes | occurred_at      | onset_at         | grade | term
        ---+------------------+------------+------------------+------------------+-------+---------
        r1 | worse            |            | 2026-03-02 10:00 | 2026-03-02 09:00 | 1     | erythema
        r2 | corrected-later  |            | 2026-03-02 10:00 | 2026-03-02 09:00 | 1     | erythema
        r3 | corrected-later  | r2         | 2026-03-05 10:00 | 2026-03-02 09:00 | 2     | erythema
        r4 | update-voided    |            | 2026-03-02 10:00 | 2026-03-02 09:00 | 1     | erythema
        r5 | report-voided    |            | 2026-03-02 10:00 | 2026-03-02 09:00 | 1     | erythema
        r6 | update-corrected |            | 2026-03-02 10:00 | 2026-03-02 09:00 | 1     | erythema
        r7 | at-once          |            | 2026-03-02 10:00 | 2026-03-02 09:00 | 1     | erythema
        """,
    )
    warehouse.put(
        "adverse_event_updated",
        """
        id | adverse_event_id | supersedes | occurred_at      | onset_at         | grade | term
        ---+------------------+------------+------------------+------------------+-------+----------
        u1 | worse            |            | 2026-03-03 10:00 | 2026-03-02 09:00 | 2     | erythema
        u2 | worse            |            | 2026-03-04 10:00 | 2026-03-02 08:00 | 3     | infection
        u3 | corrected-later  |            | 2026-03-04 10:00 | 2026-03-02 09:00 | 3     | erythema
        u4 | update-voided    |            | 2026-03-04 10:00 | 2026-03-02 09:00 | 3     | erythema
        u5 | report-voided    |            | 2026-03-04 10:00 | 2026-03-02 09:00 | 3     | erythema
        u6 | update-corrected |            | 2026-03-04 10:00 | 2026-03-02 09:00 | 3     | erythema
        u7 | update-corrected | u6         | 2026-03-04 11:00 | 2026-03-02 09:00 | 2     | erythema
        u8 | no-report        |            | 2026-03-04 10:00 | 2026-03-02 09:00 | 3     | erythema
        u9 | at-once          |            | 2026-03-02 10:00 | 2026-03-02 09:00 | 2     | erythema
        """,
    )
    warehouse.put("event_voided", "voided_id\nu4\nr5")
    expected = table("""
      adverse_event_id | grade | term      | onset_at         | occurred_at
      -----------------+-------+-----------+------------------+-----------------
      at-once          | 2     | erythema  | 2026-03-02 09:00 | 2026-03-02 10:00
      corrected-later  | 2     | erythema  | 2026-03-02 09:00 | 2026-03-05 10:00
      update-corrected | 2     | erythema  | 2026-03-02 09:00 | 2026-03-02 10:00
      update-voided    | 1     | erythema  | 2026-03-02 09:00 | 2026-03-02 10:00
      worse            | 3     | infection | 2026-03-02 08:00 | 2026-03-02 10:00
    """)
    found = warehouse.read("""
      SELECT adverse_event_id, grade, term, onset_at, occurred_at
      FROM core.adverse_event ORDER BY adverse_event_id
    """)
    assert_frame_equal(found, expected, check_dtypes=False)


def test_what_was_said_to_be_expected_is_judged_too(warehouse):
    """A reaction stated as expected is no adverse event, also while nobody has told its end; known to have
    lasted beyond its window, or to have begun too late, it is one."""
    warehouse.put("session_completed", "session_id | completed_at\ns1 | 2026-03-02 10:00")
    reactions = table("""
        id | reaction_id  | supersedes | occurred_at      | sign     | onset_at         | resolved_at
        ---+--------------+------------+------------------+----------+------------------+-----------------
        o1 | no-end       |            | 2026-03-02 10:05 | erythema | 2026-03-02 10:00 |
        o2 | gone-in-time |            | 2026-03-05 10:00 | oedema   | 2026-03-02 10:00 | 2026-03-04 10:00
        o3 | lasted       |            | 2026-03-02 10:05 | erythema | 2026-03-02 10:00 |
        o4 | lasted       | o3         | 2026-03-12 10:00 | erythema | 2026-03-02 10:00 | 2026-03-11 10:00
        o5 | began-late   |            | 2026-03-12 10:00 | peeling  | 2026-03-11 10:00 |
        o6 | voided       |            | 2026-03-12 10:00 | peeling  | 2026-03-11 10:00 |
        o7 | reported-too |            | 2026-03-12 10:00 | peeling  | 2026-03-11 10:00 |
    """)
    warehouse.put("expected_reaction_observed", reactions.with_columns(session_id=pl.lit("s1")))
    warehouse.put("event_voided", "voided_id\no6")
    warehouse.put(
        "adverse_event_reported",
        """
        adverse_event_id | session_id | term    | grade | onset_at
        -----------------+------------+---------+-------+-----------------
        reported-too     | s1         | peeling | 2     | 2026-03-11 10:00
        """,
    )
    found = warehouse.read("""
      SELECT adverse_event_id, term, grade, expected FROM core.adverse_event ORDER BY adverse_event_id
    """)
    expected = table("""
      adverse_event_id | term     | grade | expected
      -----------------+----------+-------+---------
      began-late       | peeling  | 1     | false
      lasted           | erythema | 1     | false
      reported-too     | peeling  | 2     | false
    """)
    assert_frame_equal(found, expected, check_dtypes=False)


def test_the_rule_is_data_without_gaps(warehouse):
    """Each version of the rule names a term once, and reviews before it stops expecting."""
    rules = warehouse.read("FROM core.expected_reaction_rule")
    assert not rules.select("rule_version", "term").is_duplicated().any()
    assert (rules["review_after_hours"] < rules["expected_within_hours"]).all()


def test_a_patients_visits(warehouse):
    """Visits in a row of one clinic's patient; the series is complete at its planned length, or at three
    where the protocol is unknown. Gaps are differences of UTC dates."""
    warehouse.put("protocol_published", "protocol_id | sessions_planned\nshort | 1")
    warehouse.put(
        "session_completed",
        """
        clinic_id | session_id | patient_key | protocol_id | session_number | phase       | completed_at
        ----------+------------+-------------+-------------+----------------+-------------+-----------------
        north     | s1         | a           | unknown     | 1              | series      | 2026-01-01 23:00
        north     | s2         | a           | unknown     | 2              | series      | 2026-02-01 01:00
        north     | s3         | a           | unknown     | 3              | series      | 2026-03-01 10:00
        north     | s4         | a           | unknown     | 4              | maintenance | 2026-06-01 10:00
        east      | s1         | a           | short       | 1              | series      | 2026-02-15 10:00
        """,
    )
    expected = table("""
      session_id | previous_session_id | next_session_id | next_phase  | since | to_next | done
      -----------+---------------------+-----------------+-------------+-------+---------+------
      s1         |                     |                 |             |       |         | true
      s1         |                     | s2              | series      |       | 31      | false
      s2         | s1                  | s3              | series      | 31    | 28      | false
      s3         | s2                  | s4              | maintenance | 28    | 92      | true
      s4         | s3                  |                 |             | 92    |         | true
    """)
    found = warehouse.read("""
      SELECT session_id, previous_session_id, next_session_id, next_phase,
        days_since_previous AS since, days_to_next AS to_next, series_completed AS done
      FROM core.patient_visit ORDER BY clinic_id, completed_at
    """)
    assert_frame_equal(found, expected)


def test_views_do_not_depend_on_the_readers_zone(warehouse):
    """An analyst in Auckland reads the same gaps and windows as everybody else."""
    warehouse.put(
        "session_completed",
        "session_id | completed_at\ns1 | 2026-03-27 10:30\ns2 | 2026-04-10 12:30",
    )
    warehouse.put(
        "adverse_event_reported", "adverse_event_id | session_id | onset_at\na | s1 | 2026-03-30 10:00"
    )
    sql = """
      SELECT days_to_next, epoch(expected_until_at), epoch(review_at)
      FROM core.patient_visit JOIN core.adverse_event USING (session_id)
    """
    in_utc = warehouse.read(sql)
    warehouse.connection.execute("SET TimeZone = 'Pacific/Auckland'")
    assert warehouse.read(sql).equals(in_utc)
    assert in_utc.row(0)[0] == 14


def test_views_are_made_after_what_they_read(warehouse):
    """Every view of the code exists and can be read; making them again changes nothing."""
    made = warehouse.read("SELECT name FROM meta.migration WHERE name LIKE 'core.%' OR name LIKE 'mart.%'")
    assert {"core.adverse_event", "core.patient_visit", "mart.metric_current"} <= set(made["name"])
    for name in made["name"]:
        warehouse.read(f"SELECT * FROM {name}")  # noqa: S608
    assert store.migrate(warehouse.connection, warehouse.location) == []


def test_mart_lists_clinics_and_newest_protocols(warehouse):
    """The dashboard's lists: a clinic as last registered, a protocol at its newest version."""
    warehouse.put(
        "clinic_registered",
        table("""
          clinic_id | occurred_at      | display_name | time_zone     | locale | opened_on
          ----------+------------------+--------------+---------------+--------+-----------
          north     | 2026-01-01 10:00 | Old name     | Europe/Berlin | de-DE  | 2024-05-01
          north     | 2026-01-02 10:00 | New name     | Europe/Berlin | de-DE  | 2024-05-01
        """),
    )
    warehouse.put(
        "protocol_published",
        """
        protocol_id | version | indication | occurred_at
        ------------+---------+------------+-----------------
        scar-15     | 2       | acne-scars | 2026-01-01 10:00
        scar-15     | 1       | texture    | 2026-01-02 10:00
        """,
    )
    assert warehouse.read("FROM mart.clinic").rows() == [
        ("north", "New name", "Europe/Berlin", "de-DE", dt.date(2024, 5, 1))
    ]
    assert warehouse.read("FROM mart.protocol").rows() == [("scar-15", 2, "acne-scars")]


def test_freshness_is_one_row_even_before_the_first_batch(warehouse):
    """Nothing landed: one row, no times, counts of 0; then the sums of the books."""
    assert warehouse.read("FROM mart.freshness").rows() == [(None, None, None, None, 0, 0, 0, 0)]
    books = pl.DataFrame(
        {
            "consumed": [10, 5],
            "landed": [7, 4],
            "duplicate": [2, 1],
            "quarantined": [1, 0],
            "newest_received_at": [dt.datetime(2026, 3, 2, 10, tzinfo=dt.UTC), None],
            "landed_at": [
                dt.datetime(2026, 3, 2, 11, tzinfo=dt.UTC),
                dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC),
            ],
        }
    )
    warehouse.connection.register("books", books)
    warehouse.connection.execute("INSERT INTO landing.batch BY NAME SELECT * FROM books")
    assert warehouse.read("FROM mart.freshness").rows() == [
        (books["newest_received_at"][0], books["landed_at"][1], None, None, 15, 11, 3, 1)
    ]
