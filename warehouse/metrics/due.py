"""Who is due for maintenance, and how many will come in the next weeks."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import require, two_sided
from warehouse.metrics.courses import time_to_return
from warehouse.metrics.survival import kaplan_meier

DUE: dict[str, pl.DataType] = {
    "clinic_id": pl.String(),
    "patient_key": pl.String(),
    "session_id": pl.String(),
    "kind": pl.String(),
    "last_on": pl.Date(),
    "due_from": pl.Date(),
    "due_until": pl.Date(),
    "state": pl.String(),
    "days_overdue": pl.Int32(),
    "chance_in_time": pl.Float64(),
}
"""One row a patient with an open window; `state` is due, at risk or overdue; `chance_in_time` is the chance
to come by `due_until` of those who had not come so far; null where nobody was followed that long."""


def due_list(
    opened: pl.DataFrame,
    *,
    as_of: dt.date,
    at_risk_below: float = 0.2,
    kinds: Sequence[str] = ("maintenance",),
) -> pl.DataFrame:
    """Patients whose next session may be booked now, by clinic and urgency, DUE rows: pseudonyms only.

    `opened`: windows of `courses.windows`. Of each patient the newest window, unless another course has
    replaced it. `due`: from `due_from` to `due_until`; `at risk`: the same, but of earlier patients who had
    waited as long fewer than `at_risk_below` came in time; `overdue`: after `due_until` and before the course
    counts as ended. Chances come from the Kaplan-Meier curve of all windows of the kind.
    """
    if not 0 <= at_risk_below <= 1:
        raise CheckFailed("at_risk_below: must lie between 0 and 1")
    require(opened, "windows", ("opened_on", "due_from", "due_until", "breaks_on"))
    known = opened.filter(pl.col("opened_on") < as_of)
    day = pl.lit(as_of)
    # Of a patient's windows only the newest can be without a return, a replacement and an end of its course.
    waiting = known.filter(
        pl.col("kind").is_in(kinds)
        & ~(pl.col("returned_on") < day).fill_null(False)
        & ~(pl.col("replaced_on") < day).fill_null(False)
        & (pl.col("due_from") <= day)
        & (pl.col("breaks_on") > day)
    )
    chances = [_with_chance(waiting, known, kind, as_of) for kind in kinds]
    overdue = (day - pl.col("due_until")).dt.total_days()
    return (
        pl.concat(chances)
        .with_columns(
            state=pl.when(overdue > 0)
            .then(pl.lit("overdue"))
            .when(pl.col("chance_in_time") < at_risk_below)
            .then(pl.lit("at risk"))
            .otherwise(pl.lit("due")),
            days_overdue=overdue.clip(lower_bound=0),
            last_on=pl.col("opened_on"),
        )
        .select(pl.col(column).cast(dtype) for column, dtype in DUE.items())
        .sort(
            "clinic_id",
            pl.col("days_overdue"),
            "chance_in_time",
            "patient_key",
            descending=[False, True, False, False],
        )
    )


def _with_chance(waiting: pl.DataFrame, known: pl.DataFrame, kind: str, as_of: dt.date) -> pl.DataFrame:
    mine = waiting.filter(pl.col("kind") == kind)
    subjects = time_to_return(known, as_of=as_of, kind=kind).with_columns(event=pl.col("cause") == 1)
    curve = kaplan_meier(subjects, duration="days", event="event")
    times, free = curve["time"].to_numpy(), np.append(1.0, curve["survival"].to_numpy())

    def free_after(days: pl.Series) -> pl.Series:
        """The share of earlier patients who had not come within as many days."""
        return pl.Series(free[np.searchsorted(times, days.to_numpy(), side="right")])

    waited = mine.select((pl.lit(as_of) - pl.col("opened_on")).dt.total_days() - 1).to_series()
    allowed = mine.select((pl.col("due_until") - pl.col("opened_on")).dt.total_days()).to_series()
    now, then = free_after(waited), free_after(allowed)
    known_that_far = allowed <= (times[-1] if len(times) else -1)
    return mine.with_columns(
        chance_in_time=pl.when(known_that_far & (now > 0)).then((1 - then / now).clip(0.0, 1.0))
    )


def maintenance_demand(
    opened: pl.DataFrame,
    *,
    as_of: dt.date,
    weeks: int = 12,
    by: Sequence[str] = (),
    kind: str = "maintenance",
    level: float = 0.95,
) -> pl.DataFrame:
    """Returns expected in each of the coming weeks, with a prediction interval; one row a group and week.

    Patients who have not returned wait by whole weeks; the chance to come in a week, given that one has not
    come before, is that of all earlier windows of the kind at the same wait, in the whole of `opened`.
    `expected` sums the chances over the patients waiting now; the interval holds the chance of each patient
    and the error of the weekly chances, and is not below 0. Windows that open after `as_of` are not in it:
    with maintenance 90 days and later they add next to nothing within 12 weeks. Gives `week` (1 to `weeks`),
    `week_start`, `waiting`, `expected`, `lower`, `upper`, `level`, `reason`.

    Source: life table hazards, Cutler and Ederer, Journal of Chronic Diseases 8 (1958) 699-712; variance by
    the delta method.
    """
    quantile = two_sided(level)
    if weeks < 1:
        raise CheckFailed("weeks: must be at least 1")
    require(opened, "windows", by)
    subjects = time_to_return(opened, as_of=as_of, kind=kind)
    hazard, variance = _weekly_hazards(subjects, weeks)
    open_now = subjects.filter((pl.col("cause") == 0) & (pl.col("breaks_on") > as_of))
    lag = (open_now["days"] // 7).cast(pl.Int64)
    waits = open_now.select(by).with_columns(_lag=lag) if by else pl.DataFrame({"_lag": lag})
    keys = opened.select(by).unique().sort(by) if by else pl.DataFrame(height=1)
    numbered = waits.group_by(*by, "_lag").len()
    if by:
        numbered = numbered.join(keys.with_row_index("_key"), on=list(by), how="left")
    waiting = np.zeros((keys.height, len(hazard)))
    where = numbered["_key"].to_numpy() if by else np.zeros(numbered.height, dtype=np.int64)
    np.add.at(waiting, (where, numbered["_lag"].to_numpy()), numbered["len"].to_numpy())
    expected, spread = _expected(waiting, hazard, variance, weeks)
    half = quantile * np.sqrt(spread)
    rows = [
        {
            **key,
            "week": week + 1,
            "week_start": as_of + dt.timedelta(days=7 * week),
            "waiting": int(waiting[number].sum()),
            "expected": expected[number, week],
            "lower": max(0.0, expected[number, week] - half[number, week]),
            "upper": expected[number, week] + half[number, week],
        }
        for number, key in enumerate(keys.iter_rows(named=True) if by else [{}])
        for week in range(weeks)
    ]
    schema = {**{name: opened.schema[name] for name in by}, **_DEMAND}
    return pl.DataFrame(rows, schema=schema).with_columns(
        level=pl.lit(level),
        reason=pl.when(pl.col("waiting") == 0).then(pl.lit("nobody is waiting for the next session")),
    )


_DEMAND = {
    "week": pl.Int64(),
    "week_start": pl.Date(),
    "waiting": pl.Int64(),
    "expected": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
}


def _weekly_hazards(subjects: pl.DataFrame, weeks: int) -> tuple[np.ndarray, np.ndarray]:
    """Chance to return in each week of waiting, and its variance; those censored in it count half."""
    week = (subjects["days"] // 7).cast(pl.Int64).to_numpy()
    returned = (subjects["cause"] == 1).to_numpy()
    size = int(week.max(initial=0)) + weeks + 2
    came = np.bincount(week[returned], minlength=size).astype(float)
    left = np.bincount(week, minlength=size).astype(float)
    at_risk = left[::-1].cumsum()[::-1] - (left - came) / 2
    hazard = np.where(at_risk > 0, came / np.maximum(at_risk, 1e-9), 0.0)
    variance = np.where(at_risk > 0, hazard * (1 - hazard) / np.maximum(at_risk, 1e-9), 0.0)
    return np.clip(hazard, 0.0, 1.0), np.maximum(variance, 0.0)


def _expected(
    waiting: np.ndarray, hazard: np.ndarray, variance: np.ndarray, weeks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Expected returns and their variance, groups by weeks, from how many of each group wait at each lag."""
    size = len(hazard)
    lags = np.arange(size)
    expected, spread = np.zeros((len(waiting), weeks)), np.zeros((len(waiting), weeks))
    free = np.ones(size)  # chance of not having come since, by lag now
    for week in range(weeks):
        then = np.minimum(lags + week, size - 1)
        chance = free * hazard[then]
        # By lag now and lag then, what one more chance does: some come at it who would have come later.
        gradient = np.zeros((size, size))
        np.add.at(gradient, (lags, then), free)
        for before in range(week):
            earlier = np.minimum(lags + before, size - 1)
            np.add.at(gradient, (lags, earlier), -chance / np.maximum(1 - hazard[earlier], 1e-9))
        expected[:, week] = waiting @ chance
        spread[:, week] = waiting @ (chance * (1 - chance)) + (waiting @ gradient) ** 2 @ variance
        free = free * (1 - hazard[then])
    return expected, spread


def follow_up_in_window(
    sessions: pl.DataFrame,
    follow_ups: pl.DataFrame,
    *,
    as_of: dt.date,
    first_day: int = 1,
    last_day: int = 14,
) -> pl.DataFrame:
    """Each session with its follow-up judged: `in time`, `early`, `late`, `missing` or `not yet due`.

    `sessions`: `clinic_id`, `session_id`, `completed_on`; `follow_ups`: `clinic_id`, `session_id`,
    `followed_on`. The first contact on or after `first_day` counts; days from the session [A]. A session
    whose window is not over and that has none yet is not yet due.
    """
    require(sessions, "sessions", ("clinic_id", "session_id", "completed_on"))
    require(follow_ups, "follow_ups", ("clinic_id", "session_id", "followed_on"))
    known = sessions.filter(pl.col("completed_on") < as_of)
    contacts = (
        follow_ups.filter(pl.col("followed_on") < as_of)
        .join(known.select("clinic_id", "session_id", "completed_on"), on=["clinic_id", "session_id"])
        .with_columns(_days=(pl.col("followed_on") - pl.col("completed_on")).dt.total_days())
        .group_by("clinic_id", "session_id")
        .agg(
            _wanted=pl.col("_days").filter(pl.col("_days") >= first_day).min(),
            _any=pl.col("_days").filter(pl.col("_days") >= 0).min(),
        )
    )
    found = known.join(contacts, on=["clinic_id", "session_id"], how="left", maintain_order="left")
    return _judged(found, as_of, last_day)


def follow_up_by_first_contacts(
    sessions: pl.DataFrame, *, as_of: dt.date, first_day: int = 1, last_day: int = 14
) -> pl.DataFrame:
    """As `follow_up_in_window`, of sessions that have their first contact, `followed_on`, and their first one
    on a later day than the session, `followed_from_day_1_on`, beside them; null while there is none."""
    contacts = ("followed_on", "followed_from_day_1_on")
    for name in ("completed_on", *contacts):
        if name not in sessions.columns:
            raise CheckFailed(f"sessions.{name}: column is missing")

    def earliest(least: int) -> pl.Expr:
        days = [
            pl.when(pl.col(name) < as_of).then((pl.col(name) - pl.col("completed_on")).dt.total_days())
            for name in contacts
        ]
        return pl.min_horizontal(pl.when(day >= least).then(day) for day in days)

    known = sessions.filter(pl.col("completed_on") < as_of)
    return _judged(known.with_columns(_wanted=earliest(first_day), _any=earliest(0)), as_of, last_day)


def _judged(known: pl.DataFrame, as_of: dt.date, last_day: int) -> pl.DataFrame:
    """`known` with `_wanted` and `_any`, days to the first contact that counts and to the first at all."""
    ends = pl.col("completed_on") + pl.duration(days=last_day)
    return known.with_columns(
        follow_up=pl.when(pl.col("_wanted") <= last_day)
        .then(pl.lit("in time"))
        .when(ends >= pl.lit(as_of))
        .then(pl.lit("not yet due"))
        .when(pl.col("_wanted").is_not_null())
        .then(pl.lit("late"))
        .when(pl.col("_any").is_not_null())
        .then(pl.lit("early"))
        .otherwise(pl.lit("missing")),
        days_to_follow_up=pl.coalesce("_wanted", "_any"),
    ).drop("_wanted", "_any")
