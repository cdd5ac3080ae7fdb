"""Days covered: proportion of days covered, persistence and implementation, for patients and devices alike.

An event (a session, a calibration) covers the days from its own on, as long as it is valid. Intervals of days
are half-open: the first day counts, the last does not.
"""

import datetime as dt
from collections.abc import Sequence

import numba
import numpy as np
import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import numbers, require, starts


def proportion_of_days_covered(
    events: pl.DataFrame,
    *,
    start: dt.date,
    end: dt.date,
    subject: Sequence[str] = ("clinic_id", "patient_key"),
    on: str = "completed_on",
    valid_days: str = "valid_days",
    carry_over: bool = False,
    observed_from: str | None = None,
    subjects: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Distinct covered days over days observed in `[start, end)`, one row a subject; at most 1 (PDC).

    `events`: one row an event, with the subject's columns, a date `on` and a whole number of days
    `valid_days` from that date on; events before `start` may still cover. Overlapping days count once; with
    `carry_over` days that are already covered are used after them instead (as pharmacies count refills).
    Observation begins at `start`, or on the subject's date in column `observed_from` of `subjects` where that
    is later. `subjects`: those to report, in this order (each needs a row; without it, those with an event
    before `end`).
    Gives `days_observed`, `days_covered`, `value`, and a `reason` where nothing was observed. Raises
    CheckFailed.

    Source: Peterson et al., Value in Health 10 (2007) 3-12; Nau, Proportion of Days Covered (PDC) as a
    Preferred Method of Measuring Medication Adherence, Pharmacy Quality Alliance (2012).
    """
    told = _events(events, subject, on, valid_days, subjects)
    return _covered(told, subject, start, end, carry_over, observed_from, subjects)


def sliding_coverage(
    events: pl.DataFrame,
    *,
    start: dt.date,
    end: dt.date,
    width_days: int,
    step_days: int,
    subject: Sequence[str] = ("clinic_id", "patient_key"),
    on: str = "completed_on",
    valid_days: str = "valid_days",
    carry_over: bool = False,
    observed_from: str | None = None,
    subjects: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """PDC in windows of `width_days`, one every `step_days`, that lie wholly in `[start, end)`; one row a
    subject and window, with `window_start` and `window_end`. See `proportion_of_days_covered`."""
    if width_days < 1 or step_days < 1:
        raise CheckFailed("sliding windows: width_days and step_days must be at least 1")
    told = _events(events, subject, on, valid_days, subjects)
    parts = []
    begin = start
    while begin + dt.timedelta(days=width_days) <= end:
        stop = begin + dt.timedelta(days=width_days)
        part = _covered(told, subject, begin, stop, carry_over, observed_from, subjects)
        parts.append(part.with_columns(window_start=pl.lit(begin), window_end=pl.lit(stop)))
        begin += dt.timedelta(days=step_days)
    if not parts:
        raise CheckFailed("sliding windows: none fits between start and end")
    return pl.concat(parts)


def persistence(
    events: pl.DataFrame,
    *,
    as_of: dt.date,
    permissible_gap_days: int,
    subject: Sequence[str] = ("clinic_id", "patient_key"),
    on: str = "completed_on",
    valid_days: str = "valid_days",
) -> pl.DataFrame:
    """How long a subject went on, and how well while going on, one row a subject.

    A subject discontinues when more than `permissible_gap_days` pass uncovered; discontinuation is dated to
    the end of the last cover. `persistent_days` run from the first event to there, or to `as_of` where
    censored (`discontinued` false: for `kaplan_meier`). `implementation` is the share of the persistent days
    that were covered, so that stopping and doing it poorly stay apart. Days covered overlap without
    carry-over. Source: Vrijens et al., British Journal of Clinical Pharmacology 73 (2012) 691-705; Cramer et
    al., Value in Health 11 (2008) 44-47.
    """
    if permissible_gap_days < 0:
        raise CheckFailed("permissible_gap_days: must be at least 0")
    told = _events(events, subject, on, valid_days).filter(pl.col("_on") < as_of)
    new = starts(told, ["_subject"])
    day = told["_on"].to_physical().to_numpy().astype(np.int64)
    reach, gaps, stopped = _lasting(new, day, told["_days"].to_numpy(), permissible_gap_days)
    today = (as_of - dt.date(1970, 1, 1)).days
    discontinued = stopped | (today - reach > permissible_gap_days)
    days = np.where(discontinued, reach, today) - day[new]
    uncovered = gaps + np.where(discontinued, 0, np.maximum(today - reach, 0))
    return (
        told.filter(pl.Series(new))
        .select(*subject, started_on="_on")
        .with_columns(
            persistent_days=pl.Series(days, dtype=pl.Int64),
            discontinued=pl.Series(discontinued, dtype=pl.Boolean),
            _uncovered=pl.Series(uncovered, dtype=pl.Int64),
        )
        .with_columns(
            implementation=pl.when(pl.col("persistent_days") > 0).then(
                1 - pl.col("_uncovered") / pl.col("persistent_days")
            )
        )
        .drop("_uncovered")
    )


@numba.njit(cache=True)
def _lasting(
    new: np.ndarray, day: np.ndarray, days: np.ndarray, allowed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each subject: the end of its unbroken cover, the uncovered days before it, and whether a gap broke
    it."""
    size = new.sum()
    reach, gaps, stopped = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.bool_)
    subject = -1
    for i in range(len(day)):
        if new[i]:
            subject += 1
            reach[subject] = day[i] + days[i]
        elif not stopped[subject]:
            gap = max(day[i] - reach[subject], 0)
            if gap > allowed:
                stopped[subject] = True
            else:
                gaps[subject] += gap
                reach[subject] = max(reach[subject], day[i] + days[i])
    return reach, gaps, stopped


# ── shared steps ────────────────────────────────────────────────────────────────────────────────────────


def _events(
    events: pl.DataFrame,
    subject: Sequence[str],
    on: str,
    valid_days: str,
    subjects: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Events by subject and day, with `_subject`, a number, which is quicker to sort and group by than the
    keys: the subject's place in `subjects` (events of others are left out), or in the order of the keys."""
    require(events, "events", (*subject, on))
    if events.schema[on] != pl.Date:
        raise CheckFailed(f"events.{on}: must be Date, is {events.schema[on]}")
    days = numbers(events, "events", valid_days, least=0)
    if (days != np.floor(days)).any():
        raise CheckFailed(f"events.{valid_days}: must be whole days")
    told = events.select(*subject, _on=pl.col(on), _days=pl.col(valid_days).cast(pl.Int64))
    if subjects is not None:
        require(subjects, "subjects", subject)
        if subjects.select(subject).is_duplicated().any():
            raise CheckFailed(f"subjects: {', '.join(subject)} must be unique")
        numbered = subjects.select(subject).with_row_index("_subject")
        found = told.join(numbered, on=list(subject)).select("_subject", "_on", "_days")
        # One number is sorted several times as fast as two columns. Events of one day may come in any order.
        return found.sort(pl.col("_subject").cast(pl.Int64) * 2**32 + pl.col("_on").to_physical())
    told = told.sort(*subject, "_on", "_days")
    return told.with_columns(_subject=pl.Series(starts(told, subject).cumsum().astype(np.int32)))


def _covered(
    told: pl.DataFrame,
    subject: Sequence[str],
    start: dt.date,
    end: dt.date,
    carry_over: bool,
    observed_from: str | None,
    subjects: pl.DataFrame | None,
) -> pl.DataFrame:
    if not start < end:
        raise CheckFailed("interval: start must be before end")
    told = told.filter(pl.col("_on") < end)
    first = pl.lit(start)
    if observed_from is not None:
        first = pl.max_horizontal(first, pl.col(observed_from))
    if subjects is None:
        if observed_from is not None:
            raise CheckFailed("observed_from: is a column of subjects, which are not given")
        told = told.with_columns(_from=first)
    else:
        require(subjects, "subjects", () if observed_from is None else (observed_from,))
        subjects = subjects.select(*subject, _from=first).with_row_index("_subject")
        told = told.with_columns(subjects["_from"].gather(told["_subject"]))
    new = (told["_subject"] != told["_subject"].shift(1)).fill_null(True).to_numpy()
    day = told["_on"].to_physical().to_numpy().astype(np.int64)
    begin = told["_from"].to_physical().to_numpy().astype(np.int64)
    stop = (end - dt.date(1970, 1, 1)).days
    counted = _union(new, day, told["_days"].to_numpy(), begin, stop, carry_over)
    if subjects is None:
        by_subject = told.with_columns(days_covered=counted).group_by("_subject", maintain_order=True)
        found = by_subject.agg(pl.col(subject).first(), pl.col("_from").first(), pl.col("days_covered").sum())
    else:
        covered = np.bincount(told["_subject"].to_numpy(), counted, subjects.height)
        found = subjects.with_columns(days_covered=covered.astype(np.int64))
    observed = (pl.lit(end) - pl.col("_from")).dt.total_days().clip(lower_bound=0)
    return found.with_columns(days_observed=observed).select(
        *subject,
        "days_observed",
        "days_covered",
        value=pl.when(pl.col("days_observed") > 0).then(pl.col("days_covered") / pl.col("days_observed")),
        reason=pl.when(pl.col("days_observed") == 0).then(pl.lit("no day observed")),
    )


@numba.njit(cache=True)
def _union(
    new: np.ndarray, day: np.ndarray, days: np.ndarray, begin: np.ndarray, stop: int, carry_over: bool
) -> np.ndarray:
    """Days that each event adds to its subject's cover, inside [begin, stop)."""
    added = np.zeros(len(day), np.int64)
    reach = 0
    for i in range(len(day)):
        if new[i]:
            reach = day[i]
        opens = max(day[i], reach)
        until = opens + days[i] if carry_over else max(day[i] + days[i], reach)
        added[i] = max(0, min(until, stop) - max(opens, begin[i]))
        reach = max(reach, until)
    return added
