"""Time to an event when not everybody is followed to the end: curves with intervals, many groups in one pass.

frame (one row a subject) -> event table (one row a group and time) -> curve -> areas and quantiles

Who has not had the event yet is censored at the last moment known, never counted as lost. A subject censored
at a time at which others have the event was still at risk then. All groups are worked in one pass.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import flags, numbers, require, starts, two_sided

Transform = Literal["plain", "log", "log-log"]

_NO_VARIANCE = "the curve has reached 0: its variance is not defined"
_NOBODY = "no subjects"


def kaplan_meier(
    frame: pl.DataFrame,
    *,
    duration: str,
    event: str,
    by: Sequence[str] = (),
    transform: Transform = "log-log",
    level: float = 0.95,
) -> pl.DataFrame:
    """Kaplan-Meier curve with pointwise interval, one row a group and distinct time, in order.

    `frame`: one row a subject; `duration` at least 0 in any unit; `event` true where it happened, false where
    censored. Gives the group's columns and `time`, `at_risk`, `events`, `censored`, `survival`,
    `standard_error` (Greenwood), `lower`, `upper`, `level`, `method` (the transform), `reason`. Before the
    first event the limits are 1; where the curve is 0 they and the error are null with a reason. Nobody gives
    no row. Raises CheckFailed.

    Source: Kaplan and Meier, JASA 53 (1958) 457-481; Greenwood (1926); transforms: Kalbfleisch and Prentice,
    The Statistical Analysis of Failure Time Data, 2nd ed. (2002), §1.4; Borgan and Liestøl, Scandinavian
    Journal of Statistics 17 (1990) 35-41.
    """
    quantile = two_sided(level)
    events = _event_table(frame, duration, {"events": pl.Series(flags(frame, "survival", event))}, by)
    d, n = pl.col("events"), pl.col("at_risk")
    group = starts(events, by)
    survival = _within(events, 1 - events["events"] / events["at_risk"], group, np.multiply)
    # Greenwood's sum; where all at risk have the event the curve is 0 and the sum has no meaning.
    hazard = events.select(pl.when(d < n).then(d / (n * (n - d))).otherwise(0.0)).to_series().to_numpy()
    variance = _within(events, hazard, group, np.add)
    lower, upper = _limits(survival, np.sqrt(variance), quantile, transform)
    gone = survival <= 0
    return events.with_columns(
        pl.Series("survival", survival),
        _nullable("standard_error", survival * np.sqrt(variance), gone),
        _nullable("lower", lower, gone),
        _nullable("upper", upper, gone),
        level=pl.lit(level),
        method=pl.lit(transform),
        reason=pl.when(pl.Series(gone)).then(pl.lit(_NO_VARIANCE)),
    )


def survival_at(curve: pl.DataFrame, times: Sequence[float], *, by: Sequence[str] = ()) -> pl.DataFrame:
    """Values of a curve (`kaplan_meier` or `aalen_johansen`) at given times, one row a group and time.

    The newest step at or before each time; before the first step a survival curve is 1 and an incidence 0.
    `beyond_follow_up` is true after the last time anybody was seen: there the value is only carried on.
    """
    value = "survival" if "survival" in curve.columns else "incidence"
    start = 1.0 if value == "survival" else 0.0
    asked = pl.DataFrame({"time": [float(time) for time in times]}).sort("time")
    keys = curve.select(by).unique().sort(by) if by else pl.DataFrame(height=1)
    last = curve.group_by(by).agg(_last=pl.col("time").max()) if by else None
    grid = keys.join(asked, how="cross").sort("time") if by else asked
    columns = [*by, "time", "at_risk", value, "standard_error", "lower", "upper"]
    found = grid.join_asof(
        curve.select(columns).with_columns(_step=pl.col("time")).sort("time"),
        on="time",
        by=list(by) or None,
        check_sortedness=False,
    )
    found = (
        found.join(last, on=list(by))
        if last is not None
        else found.with_columns(_last=pl.lit(curve["time"].max(), pl.Float64))
    )
    early = pl.col("_step").is_null()
    return found.select(
        *by,
        "time",
        pl.when(early).then(start).otherwise(pl.col(value)).alias(value),
        pl.when(early).then(0.0).otherwise(pl.col("standard_error")).alias("standard_error"),
        pl.when(early).then(start).otherwise(pl.col("lower")).alias("lower"),
        pl.when(early).then(start).otherwise(pl.col("upper")).alias("upper"),
        beyond_follow_up=pl.col("time") > pl.col("_last"),
    ).sort(*by, "time")


def survival_quantile(curve: pl.DataFrame, q: float = 0.5, *, by: Sequence[str] = ()) -> pl.DataFrame:
    """The time by which the share `q` has had the event (0.5: the median), one row a group.

    `value` is the first time at which the curve is at most 1 - q, `lower` and `upper` those at which its
    limits are; null, with a `reason`, where the curve stays above. Source: Brookmeyer and Crowley, Biometrics
    38 (1982) 29-41.
    """
    if not 0 < q < 1:
        raise CheckFailed("q: must lie between 0 and 1")

    def first(column: str) -> pl.Expr:
        below = pl.col(column) <= 1 - q + 1e-12
        if column != "survival":  # where the curve is 0 its limits are null, and it is below anything
            below = below.fill_null(False) | ((pl.col("survival") <= 0) & (column == "lower"))
        return pl.col("time").filter(below).min()

    aggregates = (
        first("survival").alias("value"),
        first("lower").alias("lower"),
        first("upper").alias("upper"),
    )
    found = curve.group_by(by).agg(*aggregates).sort(by) if by else curve.select(*aggregates)
    return found.with_columns(
        reason=pl.when(pl.col("value").is_null()).then(
            pl.lit(f"fewer than {q:.0%} have had the event" if curve.height else _NOBODY)
        )
    )


def restricted_mean(
    curve: pl.DataFrame, *, horizon: float, by: Sequence[str] = (), level: float = 0.95
) -> pl.DataFrame:
    """Mean time free of the event up to `horizon` (RMST), the area under a Kaplan-Meier curve; one row a
    group.

    Columns: `value`, `standard_error`, `lower`, `upper`, `horizon`, `level`, `reason`. Null with a reason
    where the last subject was censored before the horizon: the curve is not known that far. Source: Irwin,
    Journal of Hygiene 47 (1949) 188-189; Royston and Parmar, BMC Medical Research Methodology 13 (2013) 152;
    variance as in Klein and Moeschberger, Survival Analysis, 2nd ed. (2003), eq. 4.5.2.
    """
    quantile = two_sided(level)
    if not horizon > 0:
        raise CheckFailed("horizon: must be above 0")
    t, s = pl.col("time"), pl.col("survival")
    inside = curve.filter(t < horizon)
    over = list(by) or pl.lit(1)
    stepped = inside.sort(*by, "time").with_columns(
        _area=s * (t.shift(-1).over(over, order_by="time").fill_null(horizon) - t)
    )
    stepped = stepped.with_columns(
        _after=pl.col("_area").cum_sum(reverse=True).over(over),
        _first=t.min().over(over),
    )
    d, n = pl.col("events"), pl.col("at_risk")
    measures = (
        (pl.col("_first").first() + pl.col("_area").sum()).alias("value"),
        (pl.when(d < n).then(pl.col("_after") ** 2 * d / (n * (n - d))).otherwise(0.0))
        .sum()
        .sqrt()
        .alias("standard_error"),
    )
    known = (
        t.max().alias("_last"),
        s.min().alias("_least"),
    )
    if by:
        found = (
            curve.group_by(by).agg(*known).join(stepped.group_by(by).agg(*measures), on=list(by), how="left")
        ).sort(by)
    else:
        found = pl.concat([curve.select(*known), stepped.select(*measures)], how="horizontal")
    nobody_before = pl.col("value").is_null() & pl.col("_last").is_not_null()
    found = found.with_columns(
        value=pl.when(nobody_before).then(horizon).otherwise(pl.col("value")),
        standard_error=pl.when(nobody_before).then(0.0).otherwise(pl.col("standard_error")),
        reason=pl.when(pl.col("_last").is_null())
        .then(pl.lit(_NOBODY))
        .when((pl.col("_last") < horizon) & (pl.col("_least") > 0))
        .then(pl.lit("nobody was followed up to the horizon")),
    )
    known_now = pl.col("reason").is_null()
    return found.select(
        *by,
        pl.when(known_now).then(pl.col("value")).alias("value"),
        pl.when(known_now).then(pl.col("standard_error")).alias("standard_error"),
        pl.when(known_now).then(pl.col("value") - quantile * pl.col("standard_error")).alias("lower"),
        pl.when(known_now).then(pl.col("value") + quantile * pl.col("standard_error")).alias("upper"),
        horizon=pl.lit(float(horizon)),
        level=pl.lit(level),
        reason=pl.col("reason"),
    )


def aalen_johansen(
    frame: pl.DataFrame,
    *,
    duration: str,
    cause: str,
    by: Sequence[str] = (),
    size: str | None = None,
    transform: Transform = "log-log",
    level: float = 0.95,
) -> pl.DataFrame:
    """Cumulative incidence of each competing cause with pointwise interval, one row a group, cause and time.

    `size`: column with how many equal subjects a row stands for, one unless given.
    `cause` is an integer: 0 censored, 1, 2, … the causes. Gives the group's columns, `cause`, `time`,
    `at_risk`, `events` (of the cause), `incidence`, `standard_error`, `lower`, `upper`, `level`, `method`,
    `reason`. The transform acts on 1 - incidence. While no event of the cause has come, all are 0. Raises
    CheckFailed.

    Source: Aalen and Johansen, Scandinavian Journal of Statistics 5 (1978) 141-150; variance by the delta
    method: Marubini and Valsecchi, Analysing Survival Data from Clinical Trials (1995), eq. 10.12.
    """
    quantile = two_sided(level)
    causes = cause_codes(frame, cause)
    kinds = [int(kind) for kind in np.unique(causes) if kind > 0] or [1]
    counted = {f"_{kind}": pl.Series(causes == kind) for kind in kinds}
    events = _event_table(frame, duration, {"events": pl.Series(causes > 0), **counted}, by, size)
    group = starts(events, by)
    n = events["at_risk"].to_numpy().astype(float)
    d = events["events"].to_numpy().astype(float)
    after = _within(events, 1 - d / n, group, np.multiply)
    before = np.where(group, 1.0, np.concatenate([[1.0], after[:-1]])) if len(n) else after
    curves = []
    for kind in kinds:
        dk = events[f"_{kind}"].to_numpy().astype(float)
        incidence = _within(events, before * dk / n, group, np.add)
        a = np.where(d < n, d / (n * np.maximum(n - d, 1)), 0.0)
        b = before * dk / n**2
        c = before**2 * dk * (n - dk) / n**3

        def summed(values: np.ndarray) -> np.ndarray:
            return _within(events, values, group, np.add)

        variance = (
            incidence**2 * summed(a) - 2 * incidence * summed(incidence * a) + summed(incidence**2 * a)
            + summed(c) - 2 * incidence * summed(b) + 2 * summed(incidence * b)
        )  # fmt: skip
        variance = np.where(incidence > 0, np.maximum(variance, 0.0), 0.0)
        free = 1 - incidence
        full = free <= 1e-12
        error = np.sqrt(variance)
        lower, upper = _limits(free, error / np.where(full, 1.0, free), quantile, transform)
        curves.append(
            events.select(*by, "time", "at_risk", events=pl.col(f"_{kind}")).with_columns(
                pl.Series("incidence", incidence),
                _nullable("standard_error", error, full),
                _nullable("lower", 1 - upper, full),
                _nullable("upper", 1 - lower, full),
                cause=pl.lit(kind),
                level=pl.lit(level),
                method=pl.lit(transform),
                reason=pl.when(pl.Series(full)).then(pl.lit("all have had the event: no variance")),
            )
        )
    ordered = ["cause", "time", "at_risk", "events", "incidence", "standard_error", "lower", "upper"]
    return pl.concat(curves).select(*by, *ordered, "level", "method", "reason").sort(*by, "cause", "time")


# ── shared steps ────────────────────────────────────────────────────────────────────────────────────────


def cause_codes(frame: pl.DataFrame, cause: str) -> np.ndarray:
    values = numbers(frame, "survival", cause, least=0.0)
    if (values != np.floor(values)).any():
        raise CheckFailed(f"survival.{cause}: must be 0 for censored or a cause's number")
    return values.astype(np.int64)


def _event_table(
    frame: pl.DataFrame,
    duration: str,
    counts: dict[str, pl.Series],
    by: Sequence[str],
    size: str | None = None,
) -> pl.DataFrame:
    """One row a group and distinct time: `time`, `at_risk` just before it, the counts, `censored`."""
    time = numbers(frame, "survival", duration, least=0.0)
    require(frame, "survival", by)
    subjects = np.ones(frame.height) if size is None else numbers(frame, "survival", size, least=0.0)
    number = pl.Series("_left", subjects).cast(pl.Int64)
    columns = [
        pl.Series("time", time),
        number,
        *((counted.cast(pl.Int64) * number).alias(name) for name, counted in counts.items()),
    ]
    rows = frame.select(by).with_columns(columns) if by else pl.DataFrame(columns)
    table = rows.group_by(*by, "time").agg(pl.col("_left", *counts).sum()).sort(*by, "time")
    after = pl.col("_left").cum_sum(reverse=True)
    at_risk = after.over(list(by)) if by else after
    return table.select(
        *by, "time", at_risk.alias("at_risk"), *counts, censored=pl.col("_left") - pl.col("events")
    )


def _within(
    table: pl.DataFrame, values: pl.Series | np.ndarray, first: np.ndarray, operation: np.ufunc
) -> np.ndarray:
    """Running sum or product inside each group, exact at every group's start."""
    numbers_ = np.asarray(values, dtype=float)
    group = pl.Series("group", np.cumsum(first))
    column = pl.col("value")
    running = column.cum_sum() if operation is np.add else column.cum_prod()
    return (
        pl.DataFrame({"group": group, "value": numbers_}).select(running.over("group")).to_series().to_numpy()
    )


def _limits(
    survival: np.ndarray, log_error: np.ndarray, quantile: float, transform: Transform
) -> tuple[np.ndarray, np.ndarray]:
    """Limits from the standard error of the logarithm; clipped to 0 and 1. At 1 there is nothing to
    transform."""
    if transform not in ("plain", "log", "log-log"):
        raise CheckFailed(f"transform: must be plain, log or log-log, is {transform}")
    inner = (survival > 0) & (survival < 1)
    s = np.where(inner, survival, 0.5)
    if transform == "plain":
        low, high = s - quantile * s * log_error, s + quantile * s * log_error
    elif transform == "log":
        low, high = s * np.exp(-quantile * log_error), s * np.exp(quantile * log_error)
    else:
        half = quantile * log_error / np.abs(np.log(s))
        low, high = s ** np.exp(half), s ** np.exp(-half)
    low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
    return np.where(inner, low, survival), np.where(inner, high, survival)


def _nullable(name: str, values: np.ndarray, missing: np.ndarray) -> pl.Series:
    series = pl.Series(name, values, dtype=pl.Float64)
    return series.zip_with(pl.Series(~missing), pl.Series([None] * len(values), dtype=pl.Float64))
