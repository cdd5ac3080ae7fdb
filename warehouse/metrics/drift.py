"""Does a device drift? Robust trend, change point, and the day on which it leaves its tolerance."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import special, stats

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import codes, numbers, require, two_sided

_MOST = 2_000
"""Points of one trend; more are thinned evenly, because every pair of points is compared."""

TREND: dict[str, pl.DataType] = {
    "points": pl.Int64(),
    "slope": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "intercept": pl.Float64(),
    "tau": pl.Float64(),
    "p": pl.Float64(),
    "level": pl.Float64(),
    "reason": pl.String(),
}
CHANGE: dict[str, pl.DataType] = {
    "points": pl.Int64(),
    "position": pl.Int64(),
    "statistic": pl.Float64(),
    "p": pl.Float64(),
    "median_before": pl.Float64(),
    "median_after": pl.Float64(),
    "reason": pl.String(),
}


@dataclass(frozen=True)
class Trend:
    """A robust straight line; `slope` a unit of x with its limits, `intercept` at x = 0."""

    points: int
    slope: float
    lower: float
    upper: float
    intercept: float
    tau: float
    p: float


def theil_sen(
    x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, *, level: float = 0.95
) -> Trend:
    """Median of the slopes of all pairs of points, with Sen's interval, and Kendall's test of a trend.

    `intercept` is median(y) - slope median(x). Ties in x are left out of the pairs; ties in y enter the
    variance. Raises CheckFailed for fewer than three distinct x. Points above 2 000 are thinned evenly.
    Source: Theil (1950); Sen, JASA 63 (1968) 1379-1389, §§3-5; Kendall, Rank Correlation Methods (1975), §4.
    """
    quantile = two_sided(level)
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(xs) != len(ys):
        raise CheckFailed("trend: x and y must have the same length")
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise CheckFailed("trend: x and y must not be NaN or infinite")
    if len(xs) > _MOST:
        kept = np.linspace(0, len(xs) - 1, _MOST).round().astype(int)
        order = np.argsort(xs, kind="stable")[kept]
        xs, ys = xs[order], ys[order]
    if len(np.unique(xs)) < 3:
        raise CheckFailed("trend: needs three points at different times")
    i, j = np.triu_indices(len(xs), 1)
    dx, dy = xs[j] - xs[i], ys[j] - ys[i]
    slopes = np.sort(dy[dx != 0] / dx[dx != 0])
    sigma = math.sqrt(_kendall_variance(xs, ys))
    half = quantile * sigma
    below, above = (len(slopes) - half) / 2, (len(slopes) + half) / 2
    lower = slopes[max(round(below) - 1, 0)]
    upper = slopes[min(round(above), len(slopes) - 1)]
    slope = float(np.median(slopes))
    score = float(np.sign(dx * dy).sum())
    z = 0.0 if sigma == 0 else (score - math.copysign(1, score)) / sigma if score else 0.0
    # Kendall's tau-b: pairs tied in x or in y leave its denominator.
    untied = math.sqrt(np.count_nonzero(dx) * np.count_nonzero(dy))
    return Trend(
        len(xs), slope, float(lower), float(upper), float(np.median(ys) - slope * np.median(xs)),
        score / untied if untied else 0.0, float(min(1.0, 2 * special.ndtr(-abs(z)))),
    )  # fmt: skip


def _kendall_variance(x: np.ndarray, y: np.ndarray) -> float:
    """Variance of Kendall's score with ties in either. Source: Kendall (1975), eq. 4.5."""
    n = len(x)

    def parts(values: np.ndarray) -> tuple[float, float, float]:
        t = np.unique(values, return_counts=True)[1].astype(float)
        return (
            float((t * (t - 1) * (2 * t + 5)).sum()),
            float((t * (t - 1) * (t - 2)).sum()),
            float((t * (t - 1)).sum()),
        )

    (x1, x2, x3), (y1, y2, y3) = parts(x), parts(y)
    variance = (n * (n - 1) * (2 * n + 5) - x1 - y1) / 18
    variance += x2 * y2 / (9 * n * (n - 1) * (n - 2)) + x3 * y3 / (2 * n * (n - 1))
    return max(variance, 0.0)


def trends(
    frame: pl.DataFrame, *, x: str, y: str, by: Sequence[str] = (), level: float = 0.95
) -> pl.DataFrame:
    """A robust trend a group, TREND rows with the group's columns; null with a reason below three points."""
    xs, ys = numbers(frame, "trend", x), numbers(frame, "trend", y)
    group, keys = codes(frame, "trend", by)
    rows = []
    in_groups = np.split(np.argsort(group, kind="stable"), np.bincount(group).cumsum()[:-1])
    for mine in in_groups if keys.height and len(group) else []:
        row: dict[str, object] = {"points": len(mine), "level": level}
        if len(np.unique(xs[mine])) < 3:
            row["reason"] = "not estimable: fewer than three points at different times"
        else:
            found = theil_sen(xs[mine], ys[mine], level=level)
            row |= {name: getattr(found, name) for name in TREND if name not in ("level", "reason")}
        rows.append(row)
    table = pl.DataFrame(rows, schema=TREND)
    return pl.concat([keys, table], how="horizontal") if by else table


def change_point(y: Sequence[float] | np.ndarray) -> pl.DataFrame:
    """Where a series in time order changed its level once, one CHANGE row: Pettitt's test.

    `position` is how many points lie before the change; `statistic` is K = max |U|; `p` is two-sided and
    approximate (good below 0.5). Ties count half. Null with a reason below four points or where nothing
    varies. Source: Pettitt, Applied Statistics 28 (1979) 126-135, eqs. 2-4.
    """
    values = np.asarray(y, dtype=float)
    if not np.isfinite(values).all():
        raise CheckFailed("change point: y must not be NaN or infinite")
    n = len(values)
    if n < 4 or (values == values[0]).all():
        return pl.DataFrame(
            [{"points": n, "reason": "not estimable: fewer than four points, or all alike"}], schema=CHANGE
        )
    ranks = stats.rankdata(values)
    u = 2 * np.cumsum(ranks) - np.arange(1, n + 1) * (n + 1)
    position = int(np.argmax(np.abs(u[:-1]))) + 1
    statistic = float(abs(u[position - 1]))
    p = min(1.0, 2 * math.exp(-6 * statistic**2 / (n**3 + n**2)))
    return pl.DataFrame(
        [
            {
                "points": n, "position": position, "statistic": statistic, "p": p,
                "median_before": float(np.median(values[:position])),
                "median_after": float(np.median(values[position:])),
            }
        ],
        schema=CHANGE,
    )  # fmt: skip


def out_of_tolerance(
    frame: pl.DataFrame,
    *,
    on: str,
    error: str,
    tolerance: float,
    as_of: dt.date,
    by: Sequence[str] = ("clinic_id", "device_id"),
    horizon_days: int = 730,
    level: float = 0.95,
) -> pl.DataFrame:
    """When each device's error is expected to leave -tolerance … tolerance, one row a device.

    `frame`: one measurement a row: date `on`, `error` (measured minus set, or found at calibration). The
    robust line is followed from its value at `as_of`; `expected_on` is where it meets the tolerance,
    `earliest_on` and `latest_on` where lines with the limits of the slope do, through the median point. Null
    beyond `horizon_days`, or where the line never leaves; `out_already` where the line is outside at `as_of`.
    Slope per day. Source: see `theil_sen`; a prediction from a trend, not a test.
    """
    if not tolerance > 0:
        raise CheckFailed("tolerance: must be above 0")
    require(frame, "drift", (on,))
    if frame.schema[on] != pl.Date:
        raise CheckFailed(f"drift.{on}: must be Date, is {frame.schema[on]}")
    known = frame.filter(pl.col(on) < as_of).with_columns(
        _day=(pl.col(on) - pl.lit(as_of)).dt.total_days().cast(pl.Float64)
    )
    found = trends(known, x="_day", y=error, by=by, level=level)
    middle = known.group_by(by).agg(_x=pl.col("_day").median(), _y=pl.col(error).cast(pl.Float64).median())
    rows = []
    for row in found.join(middle, on=list(by), how="left").iter_rows(named=True):
        told = {name: row[name] for name in (*by, "points", "slope", "lower", "upper", "reason")}
        dates: dict[str, object] = {"out_already": None}
        if row["reason"] is None:
            crossings = [
                _crossing(row["_x"], row["_y"], row[name], tolerance) for name in ("slope", "lower", "upper")
            ]
            dates["out_already"] = abs(row["_y"] - row["slope"] * row["_x"]) > tolerance
            dates["expected_on"] = _date(as_of, crossings[0], horizon_days)
            dates["earliest_on"] = _date(as_of, min(crossings), horizon_days)
            dates["latest_on"] = _date(as_of, max(crossings), horizon_days)
        rows.append({**told, **dates})
    schema = {
        **{name: frame.schema[name] for name in by},
        "points": pl.Int64(), "slope": pl.Float64(), "lower": pl.Float64(), "upper": pl.Float64(),
        "expected_on": pl.Date(), "earliest_on": pl.Date(), "latest_on": pl.Date(),
        "out_already": pl.Boolean(), "reason": pl.String(),
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema).sort(by)


def _crossing(x: float, y: float, slope: float, tolerance: float) -> float:
    """Days after as_of at which the line through (x, y) is outside; 0 where it already is, infinite for
    never."""
    now = y - slope * x
    if abs(now) > tolerance:
        return 0.0
    if slope == 0:
        return math.inf
    return (math.copysign(tolerance, slope) - now) / slope


def _date(as_of: dt.date, days: float, horizon_days: int) -> dt.date | None:
    return as_of + dt.timedelta(days=math.ceil(days)) if days <= horizon_days else None
