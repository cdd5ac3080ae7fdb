"""Two groups beside each other: ratios and differences of rates and of proportions, with their intervals.

Every function gives an ESTIMATE frame, one row per pair of groups. The first group is compared with the
reference; where a limit is infinite or cannot be known it is null, and `reason` says why.
"""

import numpy as np
import polars as pl
from scipy import special, stats
from scipy.stats import contingency

from warehouse.metrics import exact_tests, intervals
from warehouse.metrics.values import (
    Numbers,
    chosen,
    column,
    counts,
    exposures,
    of_trials,
    reasons,
    share,
    together,
)

ESTIMATE: dict[str, pl.DataType] = {
    "value": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "method": pl.String(),
    "p": pl.Float64(),
    "reason": pl.String(),
}
"""A measure with its limits, the two-sided p-value of no difference, and why something is null."""


def estimate(
    value: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    level: float,
    method: str,
    p: pl.Series,
    reason: pl.Series,
) -> pl.DataFrame:
    return pl.DataFrame(
        [
            column("value", value),
            column("lower", lower),
            column("upper", upper),
            pl.Series("level", np.full(len(value), level)),
            pl.Series("method", [method] * len(value), dtype=pl.String),
            p.alias("p"),
            reason,
        ]
    )


def rate_ratio(
    events: Numbers,
    exposure: Numbers,
    events_reference: Numbers,
    exposure_reference: Numbers,
    *,
    level: float = 0.95,
    method: str = "exact-conditional",
) -> pl.DataFrame:
    """Ratio of two Poisson rates, ESTIMATE.

    `method`: exact-conditional (the share of the first group among all events is binomial: Clopper-Pearson),
    mid-p (the same, counting what was seen by half), or log (normal on the log scale).
    Source: Breslow and Day, Statistical Methods in Cancer Research, volume II (1987), section 3.4; mid-p:
    Rothman, Greenland and Lash, Modern Epidemiology, 3rd ed. (2008), chapter 14. Raises CheckFailed.
    """
    chosen(method, "method", ("exact-conditional", "mid-p", "log"))
    tail = (1 - share(level, "level")) / 2
    x, t, y, u = _rates(events, exposure, events_reference, exposure_reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (x / t) / (y / u)
        if method == "log":
            half = stats.norm.ppf(1 - tail) * np.sqrt(1 / x + 1 / y)
            lower, upper = value * np.exp(-half), value * np.exp(half)
            lower, upper = (
                np.where((x == 0) | (y == 0), np.nan, lower),
                np.where((x == 0) | (y == 0), np.nan, upper),
            )
        else:
            low, high = _mid_p_share(x, x + y, tail) if method == "mid-p" else _exact_share(x, x + y, tail)
            lower, upper = low / (1 - low) * u / t, high / (1 - high) * u / t
    exposed = (t > 0) & (u > 0)
    lower, upper, value = (np.where(exposed & (x + y > 0), z, np.nan) for z in (lower, upper, value))
    return estimate(
        value,
        lower,
        upper,
        level=level,
        method=method,
        p=exact_tests.rates_test(x, t, y, u, mid_p=method == "mid-p"),
        reason=reasons(
            len(x),
            (~exposed, "no exposure in one of the groups"),
            (x + y == 0, "no events in either group"),
            (y == 0, "no events in the reference: the ratio has no upper limit"),
        ),
    )


def _rates(*given: Numbers) -> list[np.ndarray]:
    names = ("events", "exposure", "events_reference", "exposure_reference")
    rules = (counts, exposures, counts, exposures)
    return together(**{name: rule(v, name) for name, rule, v in zip(names, rules, given, strict=True)})


def _exact_share(x: np.ndarray, n: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Clopper-Pearson limits of x of n, 0 and 1 at the ends."""
    low = np.where(x == 0, 0.0, special.betaincinv(np.maximum(x, 1), n - x + 1, tail))
    return low, np.where(x == n, 1.0, special.betaincinv(x + 1, np.maximum(n - x, 1), 1 - tail))


def _mid_p_share(x: np.ndarray, n: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits at which the tail, counting what was seen by half, is `tail`; by bisection of every
    row at once."""

    def above(p: np.ndarray) -> np.ndarray:
        beyond = np.where(x < n, special.betainc(x + 1, np.maximum(n - x, 1), p), 0.0)
        return beyond + _binomial(x, n, p) / 2

    low, high = np.zeros(len(x)), np.ones(len(x))
    limits = []
    for target, edge in ((tail, x == 0), (1 - tail, x == n)):
        left, right = low.copy(), high.copy()
        for _ in range(60):
            middle = (left + right) / 2
            short = above(middle) < target
            left, right = np.where(short, middle, left), np.where(short, right, middle)
        limits.append(np.where(edge, 0.0 if target == tail else 1.0, (left + right) / 2))
    return limits[0], limits[1]


def _binomial(x: np.ndarray, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    log = special.xlogy(x, p) + special.xlog1py(n - x, -p) - special.betaln(x + 1, n - x + 1) - np.log(n + 1)
    return np.exp(log)


def rate_difference(
    events: Numbers,
    exposure: Numbers,
    events_reference: Numbers,
    exposure_reference: Numbers,
    *,
    level: float = 0.95,
    method: str = "mover",
    per: float = 1.0,
) -> pl.DataFrame:
    """Difference of two Poisson rates, events per `per` units of exposure, ESTIMATE.

    `method`: mover (recovers the variance at each limit from both groups' exact limits; also right at zero
    events) or wald. p is the exact conditional test's.
    Source: Li, Tang and Wong, Statistics in Medicine 31 (2012) 2911-2926, MOVER with Garwood's limits; Wald:
    Rothman, Greenland and Lash, Modern Epidemiology, 3rd ed. (2008), chapter 14. Raises CheckFailed.
    """
    chosen(method, "method", ("mover", "wald"))
    tail = (1 - share(level, "level")) / 2
    x, t, y, u = _rates(events, exposure, events_reference, exposure_reference)
    exposed = (t > 0) & (u > 0)
    t, u = np.where(exposed, t, np.nan), np.where(exposed, u, np.nan)
    first, reference = x / t, y / u
    value = first - reference
    if method == "wald":
        half = stats.norm.ppf(1 - tail) * np.sqrt(x / t**2 + y / u**2)
        lower, upper = value - half, value + half
    else:
        (l1, u1), (l2, u2) = (intervals.garwood(k, level=level) for k in (x, y))
        lower = value - np.hypot(first - l1.to_numpy() / t, u2.to_numpy() / u - reference)
        upper = value + np.hypot(u1.to_numpy() / t - first, reference - l2.to_numpy() / u)
    return estimate(
        value * per,
        lower * per,
        upper * per,
        level=level,
        method=method,
        p=exact_tests.rates_test(x, np.nan_to_num(t), y, np.nan_to_num(u)),
        reason=reasons(len(x), (~exposed, "no exposure in one of the groups")),
    )


def _proportions(*given: Numbers) -> list[np.ndarray]:
    x, n = of_trials(given[0], given[1], ("events", "trials"))
    y, m = of_trials(given[2], given[3], ("events_reference", "trials_reference"))
    return together(events=x, trials=n, events_reference=y, trials_reference=m)


def risk_difference(
    events: Numbers,
    trials: Numbers,
    events_reference: Numbers,
    trials_reference: Numbers,
    *,
    level: float = 0.95,
    method: str = "newcombe",
) -> pl.DataFrame:
    """Difference of two independent proportions, ESTIMATE; p by Fisher's exact test.

    `method`: newcombe (hybrid of the two Wilson intervals) or wald.
    Source: Newcombe, Statistics in Medicine 17 (1998) 873-890, methods 10 and 1. Raises CheckFailed.
    """
    chosen(method, "method", ("newcombe", "wald"))
    x, n, y, m = _proportions(events, trials, events_reference, trials_reference)
    some = (n > 0) & (m > 0)
    first, reference = x / np.where(some, n, np.nan), y / np.where(some, m, np.nan)
    value = first - reference
    if method == "wald":
        z = stats.norm.ppf(1 - (1 - share(level, "level")) / 2)
        half = z * np.sqrt(
            first * (1 - first) / np.maximum(n, 1) + reference * (1 - reference) / np.maximum(m, 1)
        )
        lower, upper = value - half, value + half
    else:
        (l1, u1), (l2, u2) = intervals.wilson(x, n, level=level), intervals.wilson(y, m, level=level)
        lower = value - np.hypot(first - l1.to_numpy(), u2.to_numpy() - reference)
        upper = value + np.hypot(u1.to_numpy() - first, reference - l2.to_numpy())
    return estimate(
        value,
        lower,
        upper,
        level=level,
        method=method,
        p=exact_tests.fisher_test(x, n, y, m),
        reason=reasons(len(x), (~some, "nobody in one of the groups")),
    )


def risk_ratio(
    events: Numbers,
    trials: Numbers,
    events_reference: Numbers,
    trials_reference: Numbers,
    *,
    level: float = 0.95,
    method: str = "log",
) -> pl.DataFrame:
    """Ratio of two independent proportions, ESTIMATE; p by Fisher's exact test.

    `method`: log (delta method on the log scale), null limits where a group has no event.
    Source: Katz, Baptista, Azen and Pike, Biometrics 34 (1978) 469-474. Raises CheckFailed.
    """
    chosen(method, "method", ("log",))
    x, n, y, m = _proportions(events, trials, events_reference, trials_reference)
    some = (n > 0) & (m > 0)
    z = stats.norm.ppf(1 - (1 - share(level, "level")) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(some & (y > 0), (x / n) / (y / m), np.nan)
        error = np.sqrt(1 / x - 1 / n + 1 / y - 1 / m)
        lower, upper = (np.where(x > 0, value * np.exp(sign * z * error), np.nan) for sign in (-1, 1))
    return estimate(
        value,
        lower,
        upper,
        level=level,
        method=method,
        p=exact_tests.fisher_test(x, n, y, m),
        reason=reasons(
            len(x),
            (~some, "nobody in one of the groups"),
            (x + y == 0, "no events in either group"),
            (y == 0, "no events in the reference: the ratio has no upper limit"),
            (x == 0, "no events in the group: this method has no limits there"),
        ),
    )


def odds_ratio(
    events: Numbers,
    trials: Numbers,
    events_reference: Numbers,
    trials_reference: Numbers,
    *,
    level: float = 0.95,
    method: str = "exact-conditional",
) -> pl.DataFrame:
    """Odds ratio of two independent proportions, ESTIMATE; p by Fisher's exact test.

    `method`: exact-conditional (conditional maximum likelihood, limits from the non-central hypergeometric
    distribution) or log (Woolf's, null where a cell is empty).
    Source: Cornfield (1956), as in Breslow and Day, Statistical Methods in Cancer Research, volume I (1980),
    section 4.2; Woolf, Annals of Human Genetics 19 (1955) 251-253. Raises CheckFailed.
    """
    chosen(method, "method", ("exact-conditional", "log"))
    x, n, y, m = _proportions(events, trials, events_reference, trials_reference)
    if method == "log":
        z = stats.norm.ppf(1 - (1 - share(level, "level")) / 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = x * (m - y) / ((n - x) * y)
            half = z * np.sqrt(1 / x + 1 / (n - x) + 1 / y + 1 / (m - y))
            limits = value * np.exp(-half), value * np.exp(half)
        empty = (x == 0) | (x == n) | (y == 0) | (y == m)
        lower, upper = (np.where(empty, np.nan, limit) for limit in limits)
    else:
        found = [_conditional_odds(*row, level) for row in zip(x, n, y, m, strict=True)]
        value, lower, upper = (np.array(part, dtype=float) for part in zip(*found, strict=True))
    return estimate(
        value,
        lower,
        upper,
        level=level,
        method=method,
        p=exact_tests.fisher_test(x, n, y, m),
        reason=reasons(
            len(x),
            ((n == 0) | (m == 0), "nobody in one of the groups"),
            (x + y == 0, "no events in either group"),
            (x + y == n + m, "everybody in both groups has the event"),
            ((y == 0) | (x == n), "an empty cell: the ratio has no upper limit"),
            (((x == 0) | (y == m)) & (method == "log"), "an empty cell: this method has no limits there"),
        ),
    )


def _conditional_odds(x: float, n: float, y: float, m: float, level: float) -> tuple[float, float, float]:
    if n == 0 or m == 0 or x + y in (0, n + m):
        return np.nan, np.nan, np.nan
    found = contingency.odds_ratio(np.array([[x, n - x], [y, m - y]], dtype=int), kind="conditional")
    interval = found.confidence_interval(level)
    return found.statistic, interval.low, interval.high
