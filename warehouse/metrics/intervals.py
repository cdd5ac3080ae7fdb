"""Confidence intervals, vectorised over columns. Two-sided, null where there is nothing to estimate from.

Inputs hold no nulls and no NaN (checked where frames enter); outputs are Float64 and never NaN.
"""

import numpy as np
import polars as pl
from scipy import stats

Limits = tuple[pl.Series, pl.Series]
"""Lower and upper limit, in the unit of the estimate."""


def _limits(lower: np.ndarray, upper: np.ndarray, estimable: np.ndarray) -> Limits:
    mask = pl.Series("estimable", estimable, dtype=pl.Boolean)

    def column(name: str, values: np.ndarray) -> pl.Series:
        series = pl.Series(name, values, dtype=pl.Float64)
        return series.zip_with(mask, pl.Series(name, [None] * len(series), dtype=pl.Float64))

    return column("lower", lower), column("upper", upper)


def _tail(level: float) -> float:
    assert 0 < level < 1, "a confidence level lies between 0 and 1"
    return (1 - level) / 2


def clopper_pearson(successes: pl.Series, trials: pl.Series, *, level: float) -> Limits:
    """Exact interval of a proportion, 0 to 1; coverage is at least `level`. Null where there were no trials.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404-413, by quantiles of the beta distribution.
    """
    x, n = successes.to_numpy().astype(float), trials.to_numpy().astype(float)
    tail = _tail(level)
    # At 0 and n one beta parameter would be 0, where the quantile is not defined: the limit is 0 or 1 itself.
    lower = np.where(x == 0, 0.0, stats.beta.ppf(tail, np.maximum(x, 1), n - x + 1))
    upper = np.where(x == n, 1.0, stats.beta.ppf(1 - tail, x + 1, np.maximum(n - x, 1)))
    return _limits(lower, upper, n > 0)


def wilson(successes: pl.Series, trials: pl.Series, *, level: float) -> Limits:
    """Score interval of a proportion, 0 to 1, without continuity correction. Null where there were no trials.

    Source: Wilson, JASA 22 (1927) 209-212; as method 3 in Newcombe, Statistics in Medicine 17 (1998) 857-872.
    """
    x, n = successes.to_numpy().astype(float), trials.to_numpy().astype(float)
    z2 = stats.norm.ppf(1 - _tail(level)) ** 2
    centre = x + z2 / 2
    half = np.sqrt(z2 * (x * (n - x) / np.maximum(n, 1) + z2 / 4))
    # Exactly 0 and 1 at the ends, where rounding would leave a trace below 0 or above 1.
    lower = np.where(x == 0, 0.0, (centre - half) / (n + z2))
    upper = np.where(x == n, 1.0, (centre + half) / (n + z2))
    return _limits(lower, upper, n > 0)


def garwood(events: pl.Series, *, level: float) -> Limits:
    """Exact interval of the expected number behind a Poisson count; divide by the exposure for a rate.

    Source: Garwood, Biometrika 28 (1936) 437-442, by quantiles of the gamma distribution.
    """
    x = events.to_numpy().astype(float)
    tail = _tail(level)
    lower = np.where(x == 0, 0.0, stats.gamma.ppf(tail, np.maximum(x, 1)))
    return _limits(lower, stats.gamma.ppf(1 - tail, x + 1), np.ones(len(x), dtype=bool))


def mean_t(means: pl.Series, standard_deviations: pl.Series, sizes: pl.Series, *, level: float) -> Limits:
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
