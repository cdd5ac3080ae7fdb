"""Courses, windows, cover and who is due: each rule as a table, then plain loops on random patients."""

import datetime as dt
import random

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from producers.contracts.errors import CheckFailed
from tests.table import table
from warehouse.metrics.courses import (
    CourseRules,
    rebuild_courses,
    series,
    time_to_return,
    window_status,
    window_summary,
    windows,
)
from warehouse.metrics.coverage import persistence, proportion_of_days_covered, sliding_coverage
from warehouse.metrics.due import (
    due_list,
    follow_up_by_first_contacts,
    follow_up_in_window,
    maintenance_demand,
)

pytestmark = pytest.mark.unit

DAY = dt.timedelta(days=1)
AS_OF = dt.date(2026, 9, 1)


def sessions(text: str) -> pl.DataFrame:
    frame = table(text, patient_key=pl.String, completed_on=pl.Date, indication=pl.String)
    return frame.with_columns(clinic_id=pl.lit("north"))


def random_sessions(seed: int, patients: int = 120) -> pl.DataFrame:
    """Patients of two clinics with gaps around every border of the rules, some on one day, some of another
    indication."""
    rng = random.Random(seed)
    rows = []
    for patient in range(patients):
        day = dt.date(2025, 1, 1) + rng.randrange(300) * DAY
        indication = "scars"
        for n in range(rng.randint(1, 7)):
            rows.append((rng.choice("ab"), f"p{patient % 40}", f"s{patient}-{n}", day, indication))
            gap = [0, 27, 28, 29, 42, 43, 89, 90, 91, 183, 184, 364, 365, 366, 400]
            day += rng.choice(gap) * DAY
            if rng.random() < 0.1:
                indication = rng.choice(["scars", "lines"])
    columns = ["clinic_id", "patient_key", "session_id", "completed_on", "indication"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def plain_courses(frame: pl.DataFrame, rules: CourseRules) -> dict[str, tuple]:
    """Course, number and the rule that began it by session, one patient at a time."""
    found = {}
    for _, part in frame.sort("clinic_id", "patient_key", "completed_on", "session_id").group_by(
        "clinic_id", "patient_key", maintain_order=True
    ):
        before, course, number = None, 0, 0
        for row in part.iter_rows(named=True):
            if before is None:
                rule = "first session"
            else:
                days = (row["completed_on"] - before["completed_on"]).days
                complete = number >= rules.sessions_planned
                if row["indication"] != before["indication"]:
                    rule = "indication changed"
                elif not complete and days > rules.series_break_days:
                    rule = "series broken off"
                elif complete and days > rules.maintenance_break_days:
                    rule = "maintenance lapsed"
                else:
                    rule = None
            if rule:
                course, number = course + 1, 1
            elif days > 0:
                number += 1
            found[row["clinic_id"], row["session_id"]] = (course, number, rule)
            before = row
    return found


# ── rules as tables ─────────────────────────────────────────────────────────────────────────────────────


def test_every_rule_that_begins_a_course():
    """A gap in the series, a lapsed maintenance and another indication each begin a course, and say so; two
    sessions on one day are one visit."""
    given = sessions("""
      patient_key | session_id | completed_on | indication
      ------------+------------+--------------+-----------
      a           | a1         | 2025-01-01   | scars
      a           | a2         | 2025-02-01   | scars
      a           | a2-again   | 2025-02-01   | scars
      a           | a3         | 2025-03-01   | scars
      a           | a4         | 2025-08-01   | scars
      a           | a5         | 2026-08-02   | scars
      b           | b1         | 2026-01-01   | scars
      b           | b2         | 2026-04-02   | scars
      b           | b3         | 2026-05-01   | lines
    """)
    found = rebuild_courses(given)
    expected = table(
        """
      session_id | course | session_number | days_since_previous | kind        | started_by
      -----------+--------+----------------+---------------------+-------------+-------------------
      a1         | 1      | 1              |                     | series      | first session
      a2         | 1      | 2              | 31                  | series      |
      a2-again   | 1      | 2              | 0                   | series      |
      a3         | 1      | 3              | 28                  | maintenance |
      a4         | 1      | 4              | 153                 | maintenance |
      a5         | 2      | 1              |                     | series      | maintenance lapsed
      b1         | 1      | 1              |                     | series      | first session
      b2         | 2      | 1              |                     | series      | series broken off
      b3         | 3      | 1              |                     | series      | indication changed
    """,
        course=pl.Int32, session_number=pl.Int32, days_since_previous=pl.Int32,
    )  # fmt: skip
    assert_frame_equal(found.select(expected.columns), expected)


def test_which_session_fell_into_which_window():
    """Early before day 28 or 90, on time to day 42 or 183, late after; who may still come is not yet due; who
    could not any more has lapsed; and a course for another indication replaces the window."""
    given = sessions("""
      patient_key | session_id | completed_on | indication
      ------------+------------+--------------+-----------
      early       | e1         | 2026-01-01   | scars
      early       | e2         | 2026-01-28   | scars
      edge        | f1         | 2026-01-01   | scars
      edge        | f2         | 2026-01-29   | scars
      edge        | f3         | 2026-03-12   | scars
      edge        | f4         | 2026-09-01   | scars
      late        | g1         | 2026-01-01   | scars
      late        | g2         | 2026-02-13   | scars
      other       | h1         | 2026-07-30   | scars
      other       | h2         | 2026-08-10   | lines
    """)
    judged = window_status(windows(rebuild_courses(given)), as_of=AS_OF)
    expected = table("""
      session_id | kind        | next_session_id | due_from   | due_until  | status
      -----------+-------------+-----------------+------------+------------+------------
      e1         | series      | e2              | 2026-01-29 | 2026-02-12 | early
      e2         | series      |                 | 2026-02-25 | 2026-03-11 | lapsed
      f1         | series      | f2              | 2026-01-29 | 2026-02-12 | on time
      f2         | series      | f3              | 2026-02-26 | 2026-03-12 | on time
      f3         | maintenance | f4              | 2026-06-10 | 2026-09-11 | not yet due
      g1         | series      | g2              | 2026-01-29 | 2026-02-12 | late
      g2         | series      |                 | 2026-03-13 | 2026-03-27 | lapsed
      h1         | series      |                 | 2026-08-27 | 2026-09-10 | replaced
      h2         | series      |                 | 2026-09-07 | 2026-09-21 | not yet due
    """)
    assert_frame_equal(judged.select(expected.columns), expected)
    later = window_status(windows(rebuild_courses(given)), as_of=AS_OF + DAY)
    assert later.filter(session_id="f3")["status"].item() == "on time"


def test_summary_counts_only_what_is_decided():
    """Not yet due and replaced windows are shown, and are in no denominator; nothing decided has a reason."""
    given = sessions("""
      patient_key | session_id | completed_on | indication
      ------------+------------+--------------+-----------
      a           | a1         | 2026-01-01   | scars
      a           | a2         | 2026-02-01   | scars
      b           | b1         | 2026-01-01   | scars
      c           | c1         | 2026-08-31   | scars
    """)
    judged = window_status(windows(rebuild_courses(given)), as_of=AS_OF)
    found = window_summary(judged, by=["clinic_id"]).row(0, named=True)
    assert {name: found[name] for name in ("on_time", "lapsed", "not_yet_due", "decided")} == {
        "on_time": 1, "lapsed": 2, "not_yet_due": 1, "decided": 3,
    }  # fmt: skip
    assert found["on_time_share"] == pytest.approx(1 / 3)
    assert found["lower"] < 1 / 3 < found["upper"]
    nothing = window_summary(judged.filter(status="not yet due"), by=[]).row(0, named=True)
    assert (nothing["on_time_share"], nothing["reason"]) == (None, "no window is decided yet")
    assert window_summary(judged.head(0), by=["clinic_id"]).height == 0


def test_series_completed_ongoing_and_broken_off():
    """Three sessions complete a series; ninety days of silence break it off."""
    given = sessions("""
      patient_key | session_id | completed_on | indication
      ------------+------------+--------------+-----------
      done        | a1         | 2026-01-01   | scars
      done        | a2         | 2026-02-01   | scars
      done        | a3         | 2026-03-01   | scars
      going       | b1         | 2026-06-03   | scars
      gone        | c1         | 2026-06-02   | scars
    """)
    found = series(rebuild_courses(given), as_of=AS_OF)
    assert dict(found.select("patient_key", "status").iter_rows()) == {
        "done": "completed", "going": "ongoing", "gone": "broken off",
    }  # fmt: skip
    before = series(rebuild_courses(given), as_of=dt.date(2026, 3, 1))
    assert before["status"].to_list() == ["ongoing"]


def test_time_to_return_censors_and_competes():
    """Returned, replaced, left for a named cause, and not yet back: never a lapse."""
    given = sessions("""
      patient_key | session_id | completed_on | indication
      ------------+------------+--------------+-----------
      back        | a1         | 2026-01-01   | scars
      back        | a2         | 2026-05-01   | scars
      new-course  | b1         | 2026-01-01   | scars
      new-course  | b2         | 2026-04-11   | lines
      withdrew    | c1         | 2026-01-01   | scars
      waiting     | d1         | 2026-01-01   | scars
    """).with_columns(sessions_planned=pl.lit(1))
    exits = sessions("patient_key | exited_on | cause\nwithdrew | 2026-03-02 | 3").with_columns(
        pl.col("exited_on").cast(pl.Date)
    )
    opened = windows(rebuild_courses(given)).filter(pl.col("session_id").str.ends_with("1"))
    found = time_to_return(opened, as_of=AS_OF, exits=exits)
    assert found.select("patient_key", "days", "cause").rows() == [
        ("back", 120.0, 1), ("new-course", 100.0, 2), ("waiting", 243.0, 0), ("withdrew", 60.0, 3),
    ]  # fmt: skip


# ── cover ───────────────────────────────────────────────────────────────────────────────────────────────


def covers(text: str) -> pl.DataFrame:
    frame = table(text, completed_on=pl.Date)
    return frame.with_columns(clinic_id=pl.lit("north"))


def test_days_covered_count_once():
    """Of 100 days, two overlapping sessions cover 50 and 10 + 50 more; carried over they cover 100."""
    given = covers("""
      patient_key | completed_on | valid_days
      ------------+--------------+-----------
      a           | 2026-01-01   | 50
      a           | 2026-01-11   | 50
    """)
    options = {"start": dt.date(2026, 1, 1), "end": dt.date(2026, 4, 11)}
    assert proportion_of_days_covered(given, **options)["value"].item() == pytest.approx(0.6)
    carried = proportion_of_days_covered(given, carry_over=True, **options)
    assert carried["value"].item() == 1.0
    slid = sliding_coverage(given, width_days=50, step_days=50, **options)
    assert slid["value"].to_list() == [1.0, 0.2]


def test_cover_before_the_interval_reaches_in_and_nobody_observed_has_a_reason():
    """A session in December covers into January; a patient who joins after the end is not observed."""
    given = covers("""
      patient_key | completed_on | valid_days
      ------------+--------------+-----------
      a           | 2025-12-22   | 20
    """)
    people = covers("patient_key | completed_on\na | 2025-01-01\nnew | 2026-02-01\nnever | 2025-01-01")
    found = proportion_of_days_covered(
        given, start=dt.date(2026, 1, 1), end=dt.date(2026, 1, 21),
        subjects=people.rename({"completed_on": "since"}), observed_from="since",
    )  # fmt: skip
    assert found.select("patient_key", "days_observed", "days_covered", "value", "reason").rows() == [
        ("a", 20, 10, 0.5, None),
        ("new", 0, 0, None, "no day observed"),
        ("never", 20, 0, 0.0, None),
    ]


@pytest.mark.parametrize("carry_over", [False, True])
def test_who_is_asked_for_changes_nobodys_cover(carry_over):
    """Half of the patients, in any order: each has what a look at everybody gives, in the order asked for."""
    rng, first = np.random.default_rng(31), dt.date(2025, 10, 1)
    given = pl.DataFrame(
        {
            "clinic_id": rng.choice(["east", "north"], 300),
            "patient_key": [f"p{n}" for n in rng.integers(0, 60, 300)],
            "completed_on": [first + dt.timedelta(days=int(n)) for n in rng.integers(0, 200, 300)],
            "valid_days": rng.integers(0, 60, 300),
        }
    )  # fmt: skip
    options = {"start": dt.date(2026, 1, 1), "end": dt.date(2026, 6, 1), "carry_over": carry_over}
    everybody = proportion_of_days_covered(given, **options)
    people = everybody.select("clinic_id", "patient_key").sample(40, shuffle=True, seed=1)
    found = proportion_of_days_covered(given, subjects=people, **options)
    expected = people.join(everybody, on=["clinic_id", "patient_key"], how="left", maintain_order="left")
    assert found.equals(expected)


def test_persistence_and_implementation_apart():
    """One stops early after perfect cover, one goes on with a hole, one is covered still."""
    given = covers("""
      patient_key | completed_on | valid_days
      ------------+--------------+-----------
      stops       | 2026-01-01   | 100
      holes       | 2026-01-01   | 100
      holes       | 2026-05-01   | 123
      fresh       | 2026-08-22   | 100
    """)
    found = persistence(given, as_of=AS_OF, permissible_gap_days=30).sort("patient_key")
    assert found.select("patient_key", "persistent_days", "discontinued").rows() == [
        ("fresh", 10, False), ("holes", 243, False), ("stops", 100, True),
    ]  # fmt: skip
    assert found["implementation"].to_list() == pytest.approx([1.0, 1 - 20 / 243, 1.0])


# ── plain loops ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", [1, 2, random.SystemRandom().randrange(10**6)])
def test_courses_and_windows_by_plain_loops(seed):
    """On random patients: courses one patient at a time, the status of each window from its dates."""
    print(f"seed {seed}")
    rules = CourseRules(grace_days=1)
    frame = random_sessions(seed)
    found = rebuild_courses(frame, rules)
    expected = plain_courses(frame, rules)
    for row in found.iter_rows(named=True):
        key = row["clinic_id"], row["session_id"]
        assert (row["course"], row["session_number"], row["started_by"]) == expected[key]
    for as_of in (dt.date(2025, 9, 1), dt.date(2026, 6, 1)):
        for row in window_status(windows(found, rules), as_of=as_of).iter_rows(named=True):
            first, last = rules.maintenance_days if row["kind"] == "maintenance" else rules.series_gap_days
            back = row["returned_on"] if row["returned_on"] and row["returned_on"] < as_of else None
            waited = ((back or as_of) - row["opened_on"]).days
            if back:
                status = "early" if waited < first else "on time" if waited <= last + 1 else "late"
            elif (
                row["replaced_on"]
                and row["replaced_on"] < as_of
                and (row["replaced_on"] - row["opened_on"]).days <= last + 1
            ):
                status = "replaced"
            else:
                status = "lapsed" if waited > last + 1 else "not yet due"
            assert row["status"] == status


@pytest.mark.parametrize("carry_over", [False, True])
def test_cover_by_counting_days(carry_over):
    """Each day of each patient, one at a time."""
    rng = random.Random(5)
    start, end = dt.date(2026, 1, 1), dt.date(2026, 5, 1)
    rows = [
        ("north", f"p{n % 9}", start + rng.randrange(-60, 140) * DAY, rng.choice([0, 5, 30, 60]))
        for n in range(60)
    ]
    frame = pl.DataFrame(
        rows, schema=["clinic_id", "patient_key", "completed_on", "valid_days"], orient="row"
    )
    found = proportion_of_days_covered(frame, start=start, end=end, carry_over=carry_over)
    for row in found.iter_rows(named=True):
        held: set[dt.date] = set()
        for _, _, on, valid in sorted(r for r in rows if r[1] == row["patient_key"] and r[2] < end):
            day = on
            if carry_over and held:
                day = max(on, max(held) + DAY)
            held |= {day + n * DAY for n in range(valid)}
        assert row["days_covered"] == len([day for day in held if start <= day < end])


def test_persistence_by_counting_days():
    """Day by day: how long until more than ten uncovered days in a row, and how many were covered till
    then."""
    rng = random.Random(6)
    start = dt.date(2026, 1, 1)
    rows = [
        ("north", f"p{n % 12}", start + rng.randrange(140) * DAY, rng.choice([0, 5, 20, 40]))
        for n in range(60)
    ]
    frame = pl.DataFrame(
        rows, schema=["clinic_id", "patient_key", "completed_on", "valid_days"], orient="row"
    )
    as_of = start + 150 * DAY
    for row in persistence(frame, as_of=as_of, permissible_gap_days=10).iter_rows(named=True):
        mine = sorted((on, valid) for _, key, on, valid in rows if key == row["patient_key"])
        held: set[dt.date] = set()
        day, end = mine[0][0], mine[0][0] + mine[0][1] * DAY
        while day < as_of and (day - end).days <= 10:
            held |= {day for on, valid in mine if on <= day < on + valid * DAY}
            end = max([end, *(on + valid * DAY for on, valid in mine if on <= day)])
            day += DAY
        stopped = (day - end).days > 10
        days = ((end if stopped else as_of) - mine[0][0]).days
        assert (row["persistent_days"], row["discontinued"]) == (days, stopped)
        if days:
            covered = len([day for day in held if day < mine[0][0] + days * DAY])
            assert row["implementation"] == pytest.approx(covered / days)


# ── who is due ──────────────────────────────────────────────────────────────────────────────────────────


def returning(count: int, seed: int) -> pl.DataFrame:
    """Windows of patients who come back for maintenance as in DOMAIN.md: 47 %, around 125 days."""
    rng = random.Random(seed)
    rows = []
    for patient in range(count):
        day, n = dt.date(2024, 6, 1) + rng.randrange(800) * DAY, 0
        while n < 3 or rng.random() < 0.47:
            rows.append(("north", f"p{patient}", f"s{patient}-{n}", day, "scars"))
            day += (rng.randint(28, 42) if n < 2 else round(rng.lognormvariate(4.83, 0.3))) * DAY
            n += 1
    columns = ["clinic_id", "patient_key", "session_id", "completed_on", "indication"]
    return windows(rebuild_courses(pl.DataFrame(rows, schema=columns, orient="row")))


def test_the_due_list():
    """Due from day 90, overdue after day 183, gone from the list when the course is over or the patient
    back."""
    given = sessions("""
      patient_key | session_id | completed_on | indication
      ------------+------------+--------------+-----------
      soon        | a1         | 2026-06-04   | scars
      due         | b1         | 2026-06-03   | scars
      last-day    | c1         | 2026-03-02   | scars
      overdue     | d1         | 2026-03-01   | scars
      ended       | e1         | 2025-08-31   | scars
      back        | f1         | 2026-05-01   | scars
      back        | f2         | 2026-08-10   | scars
    """).with_columns(sessions_planned=pl.lit(1))
    found = due_list(windows(rebuild_courses(given)), as_of=AS_OF, at_risk_below=0.0)
    assert found.select("patient_key", "state", "days_overdue").rows() == [
        ("overdue", "overdue", 1), ("last-day", "due", 0), ("due", "due", 0),
    ]  # fmt: skip
    assert due_list(windows(rebuild_courses(given)).head(0), as_of=AS_OF).height == 0


def test_waiting_long_is_a_risk():
    """Of patients who waited 160 days hardly anybody comes in time: at risk; at 95 days most who come do."""
    found = due_list(returning(1500, 1), as_of=dt.date(2026, 8, 1))
    waited = (dt.date(2026, 8, 1) - pl.col("last_on")).dt.total_days()
    inside = found.filter(pl.col("state") != "overdue")
    assert set(inside.filter(waited > 165)["state"]) == {"at risk"}
    assert set(inside.filter(waited < 100)["state"]) == {"due"}
    chances = inside.sort(waited)["chance_in_time"].to_list()
    assert chances[0] > chances[-1]


def test_the_forecast_holds_what_came():
    """Over eight worlds, about 95 % of 96 weekly counts lie in their interval, and the total is near."""
    inside, expected, came = 0, 0.0, 0
    for seed in range(8):
        opened, as_of = returning(700, seed), dt.date(2025, 12, 1)
        for week in maintenance_demand(opened, as_of=as_of).iter_rows(named=True):
            start = week["week_start"]
            count = opened.filter(
                (pl.col("kind") == "maintenance")
                & (pl.col("opened_on") < as_of)
                & pl.col("returned_on").is_between(start, start + 6 * DAY)
            ).height
            inside += week["lower"] <= count <= week["upper"]
            expected, came = expected + week["expected"], came + count
    assert inside >= 86
    assert expected == pytest.approx(came, rel=0.1)


def test_nobody_waiting_expects_nobody():
    """No windows: 0 expected, and a reason."""
    found = maintenance_demand(returning(5, 1).head(0), as_of=AS_OF, weeks=2)
    assert found.select("expected", "lower", "upper").rows() == [(0.0, 0.0, 0.0)] * 2
    assert found["reason"].unique().to_list() == ["nobody is waiting for the next session"]


def test_follow_ups_in_their_window():
    """The first contact from day 1 to day 14 counts; one that can still come is not missing."""
    done = table("""
      clinic_id | session_id | completed_on
      ----------+------------+-------------
      north     | in-time    | 2026-08-01
      north     | same-day   | 2026-08-01
      north     | late       | 2026-08-01
      north     | none       | 2026-08-01
      north     | open       | 2026-08-20
    """)
    contacts = table("""
      clinic_id | session_id | followed_on
      ----------+------------+------------
      north     | in-time    | 2026-08-15
      north     | same-day   | 2026-08-01
      north     | late       | 2026-08-16
      north     | open       | 2026-09-01
    """)
    found = follow_up_in_window(done, contacts, as_of=AS_OF)
    assert found["follow_up"].to_list() == ["in time", "early", "late", "missing", "not yet due"]


def test_the_first_contacts_say_as_much_as_all_of_them():
    """Random contacts, before and after the session and as_of: the first one and the first one on a later day
    than the session decide as the whole list does."""
    rng = np.random.default_rng(11)
    done = pl.DataFrame(
        {
            "clinic_id": "north", "session_id": [f"s{n}" for n in range(400)],
            "completed_on": [AS_OF - dt.timedelta(days=int(days)) for days in rng.integers(-2, 40, 400)],
        }
    )  # fmt: skip
    of = rng.integers(0, 400, 500)
    contacts = done[of].select(
        "clinic_id", "session_id",
        followed_on=pl.col("completed_on") + pl.duration(days=pl.Series(rng.integers(0, 30, 500))),
    )  # fmt: skip
    first = (
        contacts.filter(pl.col("followed_on") < AS_OF)
        .join(done, on=["clinic_id", "session_id"])
        .group_by("clinic_id", "session_id")
        .agg(
            pl.col("followed_on").min(),
            followed_from_day_1_on=pl.col("followed_on")
            .filter(pl.col("followed_on") > pl.col("completed_on"))
            .min(),
        )
    )
    beside = done.join(first, on=["clinic_id", "session_id"], how="left", maintain_order="left")
    expected = follow_up_in_window(done, contacts, as_of=AS_OF)
    found = follow_up_by_first_contacts(beside, as_of=AS_OF)
    assert set(expected["follow_up"]) == {"in time", "early", "late", "missing", "not yet due"}
    assert found.select(expected.columns).equals(expected)


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (random_sessions(1).drop("indication"), "sessions.indication: column is missing"),
        (random_sessions(1).with_columns(pl.lit("s").alias("session_id")), "session_id must be unique"),
        (
            random_sessions(1).with_columns(pl.col("completed_on").cast(pl.String)),
            "completed_on: must be Date",
        ),
        (random_sessions(1).with_columns(sessions_planned=pl.lit(0)), "sessions_planned: must be at least 1"),
    ],
)
def test_broken_sessions_are_refused(broken, message):
    """The frame, the column and the rule are named."""
    with pytest.raises(CheckFailed, match=message):
        rebuild_courses(broken)


def test_rules_that_contradict_themselves_are_refused():
    """A course cannot end before its window does."""
    with pytest.raises(CheckFailed, match="series_break_days"):
        CourseRules(series_break_days=30)
    with pytest.raises(CheckFailed, match="maintenance_days"):
        CourseRules(maintenance_days=(183, 90))


def test_no_session_has_no_course():
    """Empty in, empty out, with the same columns."""
    nothing = random_sessions(1).head(0)
    assert rebuild_courses(nothing).height == windows(rebuild_courses(nothing)).height == 0
