"""Trends over ordered periods: does the frequency rise, does the severity rise?

A regulator asks for both: as many events as before, but worse ones, is a trend too.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import special

from producers.contracts.errors import CheckFailed
from warehouse.metrics.values import (
    Numbers,
    chosen,
    counts,
    exposures,
    numbers,
    of_trials,
    together,
)


@dataclass(frozen=True)
class Trend:
    """A test for trend: `z` is positive for a rise. Without variation all is null and `reason` says why.

    `p` is of the alternative asked for. `slope` is per unit of the scores: log rate (poisson_trend),
    proportion (cochran_armitage); null for tests without one.
    """

    z: float | None
    p: float | None
    slope: float | None
    method: str
    reason: str | None = None


def _trend(
    score: float, variance: float, alternative: str, method: str, slope: float | None, why: str
) -> Trend:
    chosen(alternative, "alternative", ("two-sided", "greater", "less"))
    if not variance > 0:
        return Trend(None, None, None, method, why)
    z = float(score / np.sqrt(variance))
    p = {"two-sided": 2 * special.ndtr(-abs(z)), "greater": special.ndtr(-z), "less": special.ndtr(z)}
    return Trend(z, float(p[alternative]), slope, method)


def _scores(scores: Numbers | None, length: int) -> np.ndarray:
    return np.arange(length, dtype=float) if scores is None else numbers(scores, "scores")


def poisson_trend(
    events: Numbers, exposure: Numbers, scores: Numbers | None = None, *, alternative: str = "two-sided"
) -> Trend:
    """Trend of a rate over periods with scores 0, 1, 2, ... unless given: the score test of a log-linear
    trend.

    Source: Armitage (1955) for person-time, in Breslow and Day, volume II (1987), section 3.6. Raises
    CheckFailed.
    """
    x, t = together(events=counts(events, "events"), exposure=exposures(exposure, "exposure"))
    if ((t == 0) & (x > 0)).any():
        raise CheckFailed("events: must be 0 where exposure is 0")
    x, t, s = together(events=x, exposure=t, scores=_scores(scores, len(x)))
    total, time = x.sum(), t.sum()
    if total == 0 or time == 0:
        return Trend(None, None, None, "poisson-trend", "no events")
    mean = (s * t).sum() / time
    spread = ((s - mean) ** 2 * t).sum()
    score = (x * (s - mean)).sum()
    return _trend(
        score,
        total / time * spread,
        alternative,
        "poisson-trend",
        float(score / (total / time * spread)) if spread > 0 else None,
        "exposure in one period only",
    )


def cochran_armitage(
    events: Numbers, trials: Numbers, scores: Numbers | None = None, *, alternative: str = "two-sided"
) -> Trend:
    """Trend of a proportion over ordered groups with scores 0, 1, 2, ... unless given.

    Source: Cochran, Biometrics 10 (1954) 417-451; Armitage, Biometrics 11 (1955) 375-386. Raises CheckFailed.
    """
    x, n = of_trials(events, trials, ("events", "trials"))
    x, n, s = together(events=x, trials=n, scores=_scores(scores, len(x)))
    total = n.sum()
    if total == 0:
        return Trend(None, None, None, "cochran-armitage", "nobody in any group")
    p, mean = x.sum() / total, (s * n).sum() / total
    spread = ((s - mean) ** 2 * n).sum()
    score = (x * (s - mean)).sum()
    why = "no events" if p == 0 else "everybody has the event" if p == 1 else "one group only"
    slope = float(score / spread) if spread > 0 else None
    return _trend(score, p * (1 - p) * spread, alternative, "cochran-armitage", slope, why)


def jonckheere_terpstra(table: np.ndarray, *, alternative: str = "two-sided") -> Trend:
    """Trend of an ordered outcome over ordered groups, corrected for ties.

    `table[i, j]`: how many of group i have outcome j, both in order. Here: periods by grades, so that a rise
    means events that grew more severe, however many there were. Raises CheckFailed.
    Source: Jonckheere, Biometrika 41 (1954) 133-145; ties as Kendall, Rank Correlation Methods (1970),
    chapter 4.
    """
    f = counts(np.asarray(table, dtype=float).ravel(), "table").reshape(np.shape(table))
    n, rows, columns = f.sum(), f.sum(axis=1), f.sum(axis=0)
    # Pairs in order minus pairs out of order: everything after row i and above column j.
    later = np.cumsum(f[::-1], axis=0)[::-1] - f
    above = np.cumsum(later[:, ::-1], axis=1)[:, ::-1] - later
    below = np.cumsum(later, axis=1) - later
    score = (f * (above - below)).sum()
    if n < 2:
        return Trend(None, None, None, "jonckheere-terpstra", "fewer than two events")

    def sums(sizes: np.ndarray) -> tuple[float, float, float]:
        return (
            (sizes * (sizes - 1) * (2 * sizes + 5)).sum(),
            (sizes * (sizes - 1) * (sizes - 2)).sum(),
            (sizes * (sizes - 1)).sum(),
        )

    (a1, b1, c1), (a2, b2, c2) = sums(rows), sums(columns)
    variance = (n * (n - 1) * (2 * n + 5) - a1 - a2) / 18 + c1 * c2 / (2 * n * (n - 1))
    if n > 2:
        variance += b1 * b2 / (9 * n * (n - 1) * (n - 2))
    one_row = (rows > 0).sum() < 2
    why = "events in one period only" if one_row else "all events have the same grade"
    return _trend(
        score, variance if abs(variance) > 1e-9 else 0.0, alternative, "jonckheere-terpstra", None, why
    )


def severity_trend(events: pl.DataFrame, *, alternative: str = "greater") -> Trend:
    """Did events grow more severe? `events`: one row per event with ordered `period` and whole `grade` 1 to
    5.

    Raises CheckFailed. Source: see jonckheere_terpstra.
    """
    for name in ("period", "grade"):
        if name not in events.columns:
            raise CheckFailed(f"events.{name}: column is missing")
        if events[name].null_count():
            raise CheckFailed(f"events.{name}: must not be null")
    grades = counts(events["grade"], "events.grade")
    if len(grades) and not ((grades >= 1) & (grades <= 5)).all():
        raise CheckFailed("events.grade: must lie between 1 and 5")
    if not len(grades):
        return Trend(None, None, None, "jonckheere-terpstra", "fewer than two events")
    _, row = np.unique(events["period"].to_numpy(), return_inverse=True)
    table = np.zeros((int(row.max()) + 1, 5))
    np.add.at(table, (row, grades.astype(int) - 1), 1)
    return jonckheere_terpstra(table, alternative=alternative)
