"""Courses of treatment rebuilt from sessions by named rules, and the window that every session opens.

sessions -> courses (which course, which number, why it began) -> windows (when the next session was wanted,
which session fell into it) -> status as of a day

Only dates and indications decide; what a clinic calls a session is not used. Days are differences of dates.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import numbers, require, starts
from warehouse.metrics.intervals import wilson


@dataclass(frozen=True)
class CourseRules:
    """When a session belongs to the course before it, and when the next one is on time. All in days.

    `series_gap_days` [S] and `maintenance_days` [S]: first and last day on which the next session is on time.
    `grace_days`: added to the last day before a return counts as late [A]. `series_break_days`: a longer gap
    inside a series breaks it off, and the next session starts a new course [A]. `maintenance_break_days`: the
    same in maintenance [A]. `indication_starts_course`: another indication starts a new course [A].
    """

    sessions_planned: int = 3
    series_gap_days: tuple[int, int] = (28, 42)
    maintenance_days: tuple[int, int] = (90, 183)
    grace_days: int = 0
    series_break_days: int = 90
    maintenance_break_days: int = 365
    indication_starts_course: bool = True

    def __post_init__(self) -> None:
        for name in ("series_gap_days", "maintenance_days"):
            first, last = getattr(self, name)
            if not 0 < first <= last:
                raise CheckFailed(f"CourseRules.{name}: must be two days, 0 < first <= last")
        if self.sessions_planned < 1 or self.grace_days < 0:
            raise CheckFailed("CourseRules: sessions_planned must be at least 1, grace_days at least 0")
        if self.series_break_days < self.series_gap_days[1] + self.grace_days:
            raise CheckFailed("CourseRules.series_break_days: must not be before the series window ends")
        if self.maintenance_break_days < self.maintenance_days[1] + self.grace_days:
            raise CheckFailed("CourseRules.maintenance_break_days: must not be before the window ends")


RULES = CourseRules()

STARTED_BY = ("first session", "indication changed", "series broken off", "maintenance lapsed", None)
STATUSES = ("early", "on time", "late", "lapsed", "not yet due", "replaced")
"""Of a window: came back before, in, after it; did not (in time for the course to go on); may still; began
another course, for another indication, while it was open."""

PATIENT = ("clinic_id", "patient_key")

WINDOW: dict[str, pl.DataType] = {
    "clinic_id": pl.String(),
    "patient_key": pl.String(),
    "course": pl.Int32(),
    "session_id": pl.String(),
    "session_number": pl.Int32(),
    "kind": pl.String(),
    "opened_on": pl.Date(),
    "due_from": pl.Date(),
    "due_until": pl.Date(),
    "next_session_id": pl.String(),
    "returned_on": pl.Date(),
    "days_to_return": pl.Int32(),
    "replaced_on": pl.Date(),
    "breaks_on": pl.Date(),
}

COURSE: dict[str, pl.DataType] = {
    "clinic_id": pl.String(),
    "patient_key": pl.String(),
    "course": pl.Int32(),
    "indication": pl.String(),
    "started_by": pl.String(),
    "started_on": pl.Date(),
    "last_on": pl.Date(),
    "sessions_planned": pl.Int32(),
    "sessions_done": pl.Int32(),
    "completed_on": pl.Date(),
    "newest": pl.Boolean(),
}
"""`sessions_done` counts up to the plan; `completed_on` is the day of the last planned session, else null."""


def rebuild_courses(sessions: pl.DataFrame, rules: CourseRules = RULES) -> pl.DataFrame:
    """Every session with its course, one row a session, by patient and time.

    `sessions`: `clinic_id`, `patient_key`, `session_id` (unique within the clinic), `completed_on` (date),
    `indication`, and, where the protocol says so, `sessions_planned` (null: the rules'). Adds `course` (1, 2,
    … of a patient), `session_number` (in its course), `days_since_previous` (in the course; null for its
    first), `kind` of the window it opens (`series` until the planned number is reached, then `maintenance`)
    and `started_by` (the rule that began the course; null inside it). Sessions of one day are one visit: the
    later one keeps the number. Raises CheckFailed.
    """
    told = _sessions(sessions, rules)
    patient = starts(told, PATIENT)
    day = told["completed_on"].to_physical().to_numpy().astype(np.int64)
    indication = told["indication"].cast(pl.Categorical).to_physical().to_numpy().astype(np.int64)
    course, number, started, gap = _courses(
        patient, day, indication, told["sessions_planned"].to_numpy(),
        rules.series_break_days, rules.maintenance_break_days, rules.indication_starts_course,
    )  # fmt: skip
    names = pl.Series(STARTED_BY, dtype=pl.String)
    return told.with_columns(
        course=pl.Series(course),
        session_number=pl.Series(number),
        days_since_previous=pl.Series(gap).replace(-1, None),
        started_by=names.gather(started),
    ).with_columns(
        kind=pl.when(pl.col("session_number") >= pl.col("sessions_planned"))
        .then(pl.lit("maintenance"))
        .otherwise(pl.lit("series"))
    )


def _sessions(sessions: pl.DataFrame, rules: CourseRules) -> pl.DataFrame:
    needed = (*PATIENT, "session_id", "completed_on", "indication")
    require(sessions, "sessions", needed)
    if sessions.schema["completed_on"] != pl.Date:
        raise CheckFailed(f"sessions.completed_on: must be Date, is {sessions.schema['completed_on']}")
    told = sessions
    if "sessions_planned" not in told.columns:
        told = told.with_columns(sessions_planned=pl.lit(rules.sessions_planned))
    told = told.with_columns(pl.col("sessions_planned").fill_null(rules.sessions_planned).cast(pl.Int32))
    numbers(told, "sessions", "sessions_planned", least=1)
    if told.select("clinic_id", "session_id").is_duplicated().any():
        raise CheckFailed("sessions: clinic_id, session_id must be unique")
    return told.select(*needed, "sessions_planned").sort(*PATIENT, "completed_on", "session_id")


@numba.njit(cache=True)
def _courses(
    first: np.ndarray,
    day: np.ndarray,
    indication: np.ndarray,
    planned: np.ndarray,
    series_break: int,
    maintenance_break: int,
    by_indication: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Course, number in it, rule that began it (index of STARTED_BY) and days since the session before."""
    size = len(day)
    course, number = np.empty(size, np.int32), np.empty(size, np.int32)
    started, gap = np.full(size, 4, np.int32), np.full(size, -1, np.int32)
    for i in range(size):
        if first[i]:
            course[i], number[i], started[i] = 1, 1, 0
            continue
        days = day[i] - day[i - 1]
        maintained = number[i - 1] >= planned[i - 1]
        if by_indication and indication[i] != indication[i - 1]:
            rule = 1
        elif not maintained and days > series_break:
            rule = 2
        elif maintained and days > maintenance_break:
            rule = 3
        else:
            rule = 4
        started[i] = rule
        if rule < 4:
            course[i], number[i] = course[i - 1] + 1, 1
        else:
            course[i], gap[i] = course[i - 1], days
            number[i] = number[i - 1] + (1 if days > 0 else 0)
    return course, number, started, gap


def windows(courses: pl.DataFrame, rules: CourseRules = RULES) -> pl.DataFrame:
    """The window that each visit opens, and which session fell into it, one WINDOW row a visit.

    `courses`: as `rebuild_courses` gives them. Of sessions on one day the last opens the window. `due_from`
    and `due_until` are the first and last day on time (grace included); `breaks_on` is the first day on which
    the course no longer goes on; `replaced_on` the day another indication's course began while it was open.
    No as_of is in it: see `window_status`.
    """
    (s0, s1), (m0, m1) = rules.series_gap_days, rules.maintenance_days
    maintained = pl.col("kind") == "maintenance"

    def days(maintenance: int, series: int) -> pl.Expr:
        return pl.duration(days=pl.when(maintained).then(maintenance).otherwise(series))

    same_patient = (pl.col("clinic_id") == pl.col("clinic_id").shift(-1)) & (
        pl.col("patient_key") == pl.col("patient_key").shift(-1)
    )
    follows = same_patient & (pl.col("course") == pl.col("course").shift(-1))
    next_on = pl.col("completed_on").shift(-1)
    replaced = same_patient & (pl.col("started_by").shift(-1) == "indication changed")
    opened = courses.with_columns(
        next_session_id=pl.when(follows).then(pl.col("session_id").shift(-1)),
        returned_on=pl.when(follows).then(next_on),
        replaced_on=pl.when(replaced).then(next_on),
        opened_on=pl.col("completed_on"),
        due_from=pl.col("completed_on") + days(m0, s0),
        due_until=pl.col("completed_on") + days(m1 + rules.grace_days, s1 + rules.grace_days),
        breaks_on=pl.col("completed_on")
        + days(rules.maintenance_break_days + 1, rules.series_break_days + 1),
    )
    same_day = (pl.col("returned_on") == pl.col("opened_on")).fill_null(False)
    return (
        opened.filter(~same_day)
        .with_columns(
            days_to_return=(pl.col("returned_on") - pl.col("opened_on")).dt.total_days().cast(pl.Int32)
        )
        .select(pl.col(column).cast(dtype) for column, dtype in WINDOW.items())
    )


def window_status(opened: pl.DataFrame, *, as_of: dt.date) -> pl.DataFrame:
    """Windows opened before `as_of`, with `status` (STATUSES) as known at the start of that day.

    A session on or after `as_of` has not come yet. A window that is not over is "not yet due", whatever the
    patient will do: it is never counted as lapsed.
    """
    require(opened, "windows", ("opened_on", "due_from", "due_until"))
    day = pl.lit(as_of)
    returned = (pl.col("returned_on") < day).fill_null(False)
    replaced = (pl.col("replaced_on") < day).fill_null(False) & (
        pl.col("replaced_on") <= pl.col("due_until")
    ).fill_null(False)
    on = pl.col("returned_on")
    status = (
        pl.when(returned & (on < pl.col("due_from")))
        .then(pl.lit("early"))
        .when(returned & (on <= pl.col("due_until")))
        .then(pl.lit("on time"))
        .when(returned)
        .then(pl.lit("late"))
        .when(replaced)
        .then(pl.lit("replaced"))
        .when(pl.col("due_until") < day)
        .then(pl.lit("lapsed"))
        .otherwise(pl.lit("not yet due"))
    )
    return opened.filter(pl.col("opened_on") < day).with_columns(status=status)


def window_summary(
    judged: pl.DataFrame, *, by: Sequence[str] = ("clinic_id", "kind"), level: float = 0.95
) -> pl.DataFrame:
    """Counts of each status and the share on time of the windows decided, one row a group.

    `judged`: as `window_status` gives them. Decided are early, on time, late and lapsed; `on_time_share` has
    Wilson's interval and is null, with a `reason`, where none was decided.
    """
    require(judged, "windows", (*by, "status"))
    counts = [
        (pl.col("status") == status).sum().cast(pl.Int64).alias(status.replace(" ", "_"))
        for status in STATUSES
    ]
    found = judged.group_by(by).agg(counts).sort(by) if by else judged.select(counts)
    decided = pl.col("early") + pl.col("on_time") + pl.col("late") + pl.col("lapsed")
    found = found.with_columns(decided=decided)
    lower, upper = wilson(found["on_time"], found["decided"], level=level)
    return found.with_columns(
        on_time_share=pl.when(pl.col("decided") > 0).then(pl.col("on_time") / pl.col("decided")),
        lower=lower,
        upper=upper,
        level=pl.lit(level),
        reason=pl.when(pl.col("decided") == 0).then(pl.lit("no window is decided yet")),
    )


def series(courses: pl.DataFrame, *, as_of: dt.date, rules: CourseRules = RULES) -> pl.DataFrame:
    """One row a course begun before `as_of`, as `course_facts` gives it, and its `status`."""
    return series_status(
        course_facts(courses.filter(pl.col("completed_on") < as_of)), as_of=as_of, rules=rules
    )


def course_facts(courses: pl.DataFrame) -> pl.DataFrame:
    """One row a course, COURSE: what its sessions say of it, whatever the day. `courses`: as
    `rebuild_courses` gives them."""
    planned = pl.col("sessions_planned").last()
    reached = pl.col("session_number") >= pl.col("sessions_planned")
    found = courses.group_by(*PATIENT, "course", maintain_order=True).agg(
        indication=pl.col("indication").first(),
        started_by=pl.col("started_by").first(),
        started_on=pl.col("completed_on").first(),
        last_on=pl.col("completed_on").last(),
        sessions_planned=planned,
        sessions_done=pl.min_horizontal(pl.col("session_number").max(), planned),
        completed_on=pl.col("completed_on").filter(reached).first(),
    )
    return found.with_columns(newest=pl.col("course") == pl.col("course").max().over(PATIENT)).select(
        pl.col(column).cast(dtype) for column, dtype in COURSE.items()
    )


def series_status(found: pl.DataFrame, *, as_of: dt.date, rules: CourseRules = RULES) -> pl.DataFrame:
    """Courses, COURSE, whose sessions all came before `as_of`, with `status`: `completed`; `ongoing` while a
    next session would still belong to it; else `broken off`."""
    open_until = pl.col("last_on") + pl.duration(days=rules.series_break_days)
    return found.with_columns(
        status=pl.when(pl.col("completed_on").is_not_null())
        .then(pl.lit("completed"))
        .when(pl.col("newest") & (open_until >= pl.lit(as_of)))
        .then(pl.lit("ongoing"))
        .otherwise(pl.lit("broken off"))
    )


def time_to_return(
    opened: pl.DataFrame, *, as_of: dt.date, kind: str = "maintenance", exits: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Windows as subjects of a survival analysis: `days` and `cause`, one row a window of that kind.

    `cause`: 1 returned; 2 began another course (replaced); the number in `exits` (3 or more: withdrew, found
    a contraindication, completed elsewhere …) for a patient who left between; 0 censored at `as_of`, or on
    the day the course ceased to go on (`breaks_on`): a later visit is a new course, not a return. `exits`:
    `clinic_id`, `patient_key`, `exited_on` (date), `cause`. Whoever is not yet due is censored.
    """
    mine = opened.filter((pl.col("kind") == kind) & (pl.col("opened_on") < as_of))
    if exits is not None:
        require(exits, "exits", (*PATIENT, "exited_on", "cause"))
        numbers(exits, "exits", "cause", least=3)
        first = exits.select(*PATIENT, "exited_on", _exit=pl.col("cause").cast(pl.Int64)).sort("exited_on")
        mine = mine.sort("opened_on").join_asof(
            first,
            left_on="opened_on",
            right_on="exited_on",
            by=list(PATIENT),
            strategy="forward",
            check_sortedness=False,
        )
    else:
        mine = mine.with_columns(exited_on=pl.lit(None, pl.Date), _exit=pl.lit(None, pl.Int64))
    end = pl.min_horizontal("returned_on", "replaced_on", "exited_on", "breaks_on", pl.lit(as_of))
    return mine.with_columns(
        days=(end - pl.col("opened_on")).dt.total_days().cast(pl.Float64),
        cause=pl.when(end >= pl.lit(as_of))
        .then(0)
        .when(pl.col("returned_on") == end)
        .then(1)
        .when(pl.col("replaced_on") == end)
        .then(2)
        .when(pl.col("exited_on") == end)
        .then(pl.col("_exit"))
        .otherwise(0)
        .cast(pl.Int64),
    ).drop("exited_on", "_exit")
