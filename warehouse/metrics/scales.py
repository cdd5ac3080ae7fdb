"""The scales of outcomes: range, direction, what no change is, who responded, and when a score counts.

assessments + sessions -> the score of each session in a window -> gain towards better -> responder or not
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy import special

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import flags, numbers, require, two_sided


@dataclass(frozen=True)
class Scale:
    """A scale as data. `no_change` is the score that says so by itself, where there is one; otherwise a gain
    needs a baseline. `responds_from` is the least gain of a responder, `important` the minimal important
    difference between groups, both in units of the scale and towards better."""

    id: str
    lowest: float
    highest: float
    better: Literal["lower", "higher"]
    no_change: float | None
    responds_from: float
    important: float
    source: str

    def __post_init__(self) -> None:
        if not self.lowest < self.highest:
            raise CheckFailed(f"scale {self.id}: lowest must be below highest")
        if self.better not in ("lower", "higher"):
            raise CheckFailed(f"scale {self.id}: better must be lower or higher")
        if self.no_change is not None and not self.lowest <= self.no_change <= self.highest:
            raise CheckFailed(f"scale {self.id}: no_change must lie in its range")


SCALES: dict[str, Scale] = {
    scale.id: scale
    for scale in (
        Scale(
            "gais", 1, 5, "lower", 4.0, 1.0, 0.5,
            "Narins et al., Dermatologic Surgery 29 (2003) 588-595; response: improved or better; important: "
            "half a grade (assumption)",
        ),
        Scale(
            "goodman-baron", 1, 4, "lower", None, 1.0, 0.5,
            "Goodman and Baron, Dermatologic Surgery 32 (2006) 1458-1466; response: one grade; important: "
            "half a grade (assumption)",
        ),
        Scale(
            "satisfaction", 0, 100, "higher", None, 20.0, 10.0,
            "0 to 100; response 20 and important 10 points (assumption)",
        ),
        Scale(
            "vas", 0, 10, "lower", None, 2.0, 1.0,
            "visual analogue scale; response 2 and important 1 (assumption)",
        ),
    )
}  # fmt: skip
"""Scales known by themselves; others are given as data."""


@dataclass(frozen=True)
class Window:
    """Days after a session, both included, in which a score speaks of it."""

    id: str
    first_day: int
    last_day: int


EARLY = Window("early", 14, 41)
LATE = Window("late", 42, 120)
"""Results show after 2 to 4 weeks and improve for 2 to 3 months [S]; the borders are assumptions."""


def check_scores(frame: pl.DataFrame, scales: Mapping[str, Scale] = SCALES) -> None:
    """Every score lies in the range of its scale, which is known. Raises CheckFailed without telling
    whose."""
    numbers(frame, "assessments", "score")
    require(frame, "assessments", ("scale",))
    for name in frame["scale"].unique().sort():
        if name not in scales:
            raise CheckFailed(f"assessments.scale: {name} is not a known scale")
        scale = scales[name]
        if not frame.filter(pl.col("scale") == name)["score"].is_between(scale.lowest, scale.highest).all():
            raise CheckFailed(
                f"assessments.score: {name} must lie between {scale.lowest:g} and {scale.highest:g}"
            )


def outcomes(
    sessions: pl.DataFrame,
    assessments: pl.DataFrame,
    *,
    window: Window = LATE,
    pick: Literal["last", "first", "best"] = "last",
    scales: Mapping[str, Scale] = SCALES,
) -> pl.DataFrame:
    """Gain of each session on each scale, one row a session and scale that has a score in the window.

    `sessions`: `clinic_id`, `patient_key`, `session_id`, `completed_on`, and any other columns;
    `assessments`: `clinic_id`, `patient_key`, `scale`, `score`, `assessed_on`. A score belongs to the latest
    session on or before its day, so a session's window ends where the next one begins. Of several `pick`
    takes the last, the first or the best. `baseline` is the patient's newest score on or before the first
    session of all. `gain` is towards better: from `no_change` where the scale has one, else from the
    baseline, else null with a `reason`; `share_of_range` is the gain over the scale's width, so that scales
    can stand side by side; `responded` whether the gain reaches the scale's. Raises CheckFailed.
    """
    require(sessions, "sessions", ("clinic_id", "patient_key", "session_id", "completed_on"))
    require(assessments, "assessments", ("clinic_id", "patient_key", "assessed_on"))
    check_scores(assessments, scales)
    if pick not in ("last", "first", "best"):
        raise CheckFailed(f"pick: must be last, first or best, is {pick}")
    patient = ["clinic_id", "patient_key"]
    told = assessments.select(*patient, "scale", pl.col("score").cast(pl.Float64), "assessed_on").join(
        _as_frame(scales), on="scale", how="left"
    )
    belongs = told.sort("assessed_on").join_asof(
        sessions.sort("completed_on", "session_id"),
        left_on="assessed_on",
        right_on="completed_on",
        by=patient,
        check_sortedness=False,
    )
    days = (pl.col("assessed_on") - pl.col("completed_on")).dt.total_days()
    inside = belongs.filter(days.is_between(window.first_day, window.last_day))
    upwards = pl.when(pl.col("_better") == "higher").then(pl.col("score")).otherwise(-pl.col("score"))
    newest = pl.col("assessed_on").to_physical()
    order = {"last": newest, "first": -newest, "best": upwards}[pick]
    chosen = (
        inside.sort(order, "score").group_by("clinic_id", "session_id", "scale", maintain_order=True).last()
    )
    first = sessions.group_by(patient).agg(_first=pl.col("completed_on").min())
    baseline = (
        told.join(first, on=patient)
        .filter(pl.col("assessed_on") <= pl.col("_first"))
        .sort("assessed_on", "score")
        .group_by(*patient, "scale")
        .agg(baseline=pl.col("score").last())
    )
    found = chosen.join(baseline, on=[*patient, "scale"], how="left")
    start = pl.coalesce("_no_change", "baseline")
    gain = (
        pl.when(pl.col("_better") == "higher")
        .then(pl.col("score") - start)
        .otherwise(start - pl.col("score"))
    )
    others = [name for name in sessions.columns if name not in (*patient, "session_id", "completed_on")]
    return (
        found.with_columns(gain=gain)
        .select(
            *patient, "session_id", "completed_on", *others, "scale",
            window=pl.lit(window.id),
            days_after=days,
            score=pl.col("score"),
            baseline=pl.col("baseline"),
            gain=pl.col("gain"),
            share_of_range=pl.col("gain") / pl.col("_width"),
            responded=pl.col("gain") >= pl.col("_responds_from") - 1e-9,
            reason=pl.when(pl.col("gain").is_null()).then(pl.lit("no baseline before the first session")),
        )
        .sort(*patient, "completed_on", "session_id", "scale")
    )  # fmt: skip


def _as_frame(scales: Mapping[str, Scale]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            (s.id, s.better, s.no_change, s.highest - s.lowest, s.responds_from) for s in scales.values()
        ],
        schema={
            "scale": pl.String(), "_better": pl.String(), "_no_change": pl.Float64(),
            "_width": pl.Float64(), "_responds_from": pl.Float64(),
        },
        orient="row",
    )  # fmt: skip


def hedges_g(frame: pl.DataFrame, *, outcome: str, treatment: str, level: float = 0.95) -> pl.DataFrame:
    """Standardised mean difference, treated minus control, one row: `value`, `standard_error`, `lower`,
    `upper`, `level`, `reason`. Null with a reason below two in a group or where nothing varies.

    Source: Hedges, Journal of Educational Statistics 6 (1981) 107-128; exact correction by the gamma
    function; variance: Borenstein et al., Introduction to Meta-Analysis (2009), eqs. 4.18-4.24.
    """
    y, treated = numbers(frame, "effect", outcome), flags(frame, "effect", treatment)
    quantile = two_sided(level)
    n1, n0 = int(treated.sum()), int((~treated).sum())
    row: dict[str, object] = {"level": level}
    if min(n1, n0) < 2:
        row["reason"] = f"not estimable: {n1} patients of one protocol and {n0} of the other"
    else:
        degrees = n1 + n0 - 2
        squares = sum(((part - part.mean()) ** 2).sum() for part in (y[treated], y[~treated]))
        if squares == 0:
            row["reason"] = "not estimable: the outcome does not vary"
        else:
            d = (y[treated].mean() - y[~treated].mean()) / np.sqrt(squares / degrees)
            j = np.exp(special.gammaln(degrees / 2) - special.gammaln((degrees - 1) / 2)) / np.sqrt(
                degrees / 2
            )
            error = j * np.sqrt((n1 + n0) / (n1 * n0) + d**2 / (2 * (n1 + n0)))
            g = j * d
            row |= {
                "value": g,
                "standard_error": error,
                "lower": g - quantile * error,
                "upper": g + quantile * error,
            }
    names: Sequence[str] = ("value", "standard_error", "lower", "upper", "level")
    return pl.DataFrame([row], schema={**dict.fromkeys(names, pl.Float64()), "reason": pl.String()})
