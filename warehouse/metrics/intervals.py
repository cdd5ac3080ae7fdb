"""Confidence intervals, vectorised over columns. Two-sided, null where there is nothing to estimate from.

A count, a column or an array is accepted, and refused by name where it holds nulls, NaN, fractions or
negative numbers; outputs are Float64 and never NaN. Comparisons of two groups are in comparisons.py.
"""

import numpy as np
import polars as pl
from scipy import special, stats

from warehouse.metrics.values import Numbers, chosen, column, counts, exposures, of_trials, share

Limits = tuple[pl.Series, pl.Series]
"""Lower and upper limit, in the unit of the estimate."""


EXACT_BELOW = 10
"""Rates with fewer events than this get the exact interval; above it Byar's agrees to two digits."""


def _limits(lower: np.ndarray, upper: np.ndarray, estimable: np.ndarray) -> Limits:
    return column("lower", lower, estimable), column("upper", upper, estimable)


def _tail(level: float) -> float:
    return (1 - share(level, "level")) / 2


def clopper_pearson(successes: Numbers, trials: Numbers, *, level: float = 0.95) -> Limits:
    """Exact interval of a proportion, 0 to 1; coverage is at least `level`. Null where there were no trials.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404-413, by quantiles of the beta distribution.
    """
    x, n = of_trials(successes, trials, ("successes", "trials"))
    tail = _tail(level)
    # At 0 and n one beta parameter would be 0, where the quantile is not defined: the limit is 0 or 1 itself.
    lower = np.where(x == 0, 0.0, special.betaincinv(np.maximum(x, 1), n - x + 1, tail))
    upper = np.where(x == n, 1.0, special.betaincinv(x + 1, np.maximum(n - x, 1), 1 - tail))
    return _limits(lower, upper, n > 0)


def wilson(successes: Numbers, trials: Numbers, *, level: float = 0.95) -> Limits:
    """Score interval of a proportion, 0 to 1, without continuity correction. Null where there were no trials.

    Source: Wilson, JASA 22 (1927) 209-212; as method 3 in Newcombe, Statistics in Medicine 17 (1998) 857-872.
    """
    x, n = of_trials(successes, trials, ("successes", "trials"))
    z2 = stats.norm.ppf(1 - _tail(level)) ** 2
    centre = x + z2 / 2
    half = np.sqrt(z2 * (x * (n - x) / np.maximum(n, 1) + z2 / 4))
    # Exactly 0 and 1 at the ends, where rounding would leave a trace below 0 or above 1.
    lower = np.where(x == 0, 0.0, (centre - half) / (n + z2))
    upper = np.where(x == n, 1.0, (centre + half) / (n + z2))
    return _limits(lower, upper, n > 0)


def garwood(events: Numbers, *, level: float = 0.95) -> Limits:
    """Exact interval of the expected number behind a Poisson count; divide by the exposure for a rate.

    Source: Garwood, Biometrika 28 (1936) 437-442, by quantiles of the gamma distribution.
    """
    x = counts(events, "events")
    tail = _tail(level)
    lower = np.where(x == 0, 0.0, special.gammaincinv(np.maximum(x, 1), tail))
    return _limits(lower, special.gammaincinv(x + 1, 1 - tail), np.ones(len(x), dtype=bool))


def byar(events: Numbers, *, level: float = 0.95) -> Limits:
    """Approximate interval of the expected number behind a Poisson count; the lower limit of 0 events is 0.

    Source: Byar's cube-root approximation, in Breslow and Day, Statistical Methods in Cancer Research,
    volume II (1987), page 69, equation 2.13.
    """
    x = counts(events, "events")
    z = stats.norm.ppf(1 - _tail(level))
    some, next_ = np.maximum(x, 1), x + 1
    lower = np.where(x == 0, 0.0, x * np.maximum(1 - 1 / (9 * some) - z / (3 * np.sqrt(some)), 0.0) ** 3)
    upper = next_ * (1 - 1 / (9 * next_) + z / (3 * np.sqrt(next_))) ** 3
    return _limits(lower, upper, np.ones(len(x), dtype=bool))


def poisson(
    events: Numbers, *, level: float = 0.95, method: str = "auto"
) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Lower and upper limit of the number behind a Poisson count, and the method each row got.

    `method`: garwood, byar, or auto, which is Garwood's below ten events and Byar's from there.
    """
    x = counts(events, "events")
    chosen(method, "method", ("auto", "garwood", "byar"))
    exact = np.full(len(x), method == "garwood") if method != "auto" else x < EXACT_BELOW
    limits = [
        np.where(exact, e, b) for e, b in zip(garwood(x, level=level), byar(x, level=level), strict=True)
    ]
    names = pl.Series("method", np.where(exact, "garwood", "byar").tolist(), dtype=pl.String)
    return column("lower", limits[0]), column("upper", limits[1]), names


def rate(
    events: Numbers, exposure: Numbers, *, level: float = 0.95, method: str = "auto", per: float = 1.0
) -> tuple[pl.Series, pl.Series]:
    """Limits of a rate, events per `per` units of exposure. Null where nobody was exposed."""
    t = exposures(exposure, "exposure")
    lower, upper, _ = poisson(events, level=level, method=method)
    scale = per / np.where(t > 0, t, 1.0)
    return _limits(lower.to_numpy() * scale, upper.to_numpy() * scale, np.broadcast_to(t > 0, len(lower)))


def mean_t(
    means: pl.Series, standard_deviations: pl.Series, sizes: pl.Series, *, level: float = 0.95
) -> Limits:
    """Interval of a mean from the sample's standard deviation (n - 1). Null below two observations.

    `standard_deviations` may be null where `sizes` is below two.
    Source: Student, Biometrika 6 (1908) 1-25; Altman et al., Statistics with Confidence, 2nd ed. (2000),
    ch. 4.
    """
    n = sizes.to_numpy().astype(float)
    enough = n >= 2
    size = np.where(enough, n, 2)
    mean = means.fill_null(0.0).to_numpy()
    error = standard_deviations.fill_null(0.0).to_numpy() / np.sqrt(size)
    half = stats.t.ppf(1 - _tail(level), size - 1) * error
    return _limits(mean - half, mean + half, enough)
