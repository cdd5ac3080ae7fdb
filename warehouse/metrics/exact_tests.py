"""Exact tests of counts, vectorised: Poisson, binomial, Fisher's, and two Poisson counts by their condition.

`alternative` is greater, less or two-sided; two-sided adds the probabilities of everything at most as likely
as what was seen, as R's poisson.test, binom.test and fisher.test do. `mid_p` counts what was seen only by
half, which takes the excess caution off a discrete test; it then no longer guarantees its level.
"""

import numba
import numpy as np
import polars as pl
from scipy import special

from warehouse.metrics.values import (
    Numbers,
    chosen,
    column,
    counts,
    exposures,
    of_trials,
    probabilities,
    together,
)

ALTERNATIVES = ("two-sided", "greater", "less")
_AS_LIKELY = 1 + 1e-7
"""Two probabilities that differ by rounding only count as equal."""
_NEGLIGIBLE = 1e-18
"""Beyond the mode, terms this much smaller than the one seen add nothing."""


def poisson_test(
    events: Numbers, expected: Numbers, *, alternative: str = "two-sided", mid_p: bool = False
) -> pl.Series:
    """p-values of counts against their expected numbers. Nothing expected and nothing seen has p 1.

    Source: Fay, The R Journal 2 (2010) 53-58, on the two-sided choice. Raises CheckFailed.
    """
    chosen(alternative, "alternative", ALTERNATIVES)
    x, mean = together(events=counts(events, "events"), expected=exposures(expected, "expected"))
    upper, lower = poisson_tails(x, mean)
    seen = np.exp(poisson_log(x, mean))
    if alternative == "two-sided":
        p = _poisson_two_sided(x, mean, seen, upper, lower)
    else:
        p = upper if alternative == "greater" else lower
    return column("p", np.clip(p - seen / 2 if mid_p else p, 0.0, 1.0))


def poisson_tails(x: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(X >= x) and P(X <= x)."""
    upper = np.where(x > 0, special.gammainc(np.maximum(x, 1), mean), 1.0)
    return upper, special.gammaincc(x + 1, mean)


def poisson_log(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Log probability of a Poisson count; -inf for events where none can be."""
    return special.xlogy(x, mean) - mean - special.gammaln(x + 1)


@numba.njit(cache=True)
def _poisson_two_sided(
    x: np.ndarray, mean: np.ndarray, seen: np.ndarray, upper: np.ndarray, lower: np.ndarray
) -> np.ndarray:
    """The tail that was reached and, on the other side, what is at most as likely as what was seen."""
    out = np.empty(len(x))
    for i in range(len(x)):
        if seen[i] == 0.0 or x[i] == mean[i]:
            out[i] = 1.0 if x[i] == mean[i] else 0.0
            continue
        limit = seen[i] * _AS_LIKELY
        if x[i] < mean[i]:
            # Walk up from the mode to the first count as unlikely, then add what lies beyond.
            k, term = x[i], seen[i]
            while not (k >= mean[i] and term <= limit):
                k += 1.0
                term *= mean[i] / k
            tail = 0.0
            while term > limit * 1e-17:
                tail += term
                k += 1.0
                term *= mean[i] / k
            out[i] = lower[i] + tail
        else:
            k, term, tail = x[i], seen[i], 0.0
            while k > 0.0:
                term *= k / mean[i]
                k -= 1.0
                if k <= mean[i] and term <= limit:
                    tail += term
                    if term < limit * 1e-17:
                        break
            out[i] = upper[i] + tail
    return out


def binomial_test(
    successes: Numbers,
    trials: Numbers,
    probability: Numbers,
    *,
    alternative: str = "two-sided",
    mid_p: bool = False,
) -> pl.Series:
    """p-values of proportions against a given probability. No trials have p 1.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404-413. Raises CheckFailed.
    """
    chosen(alternative, "alternative", ALTERNATIVES)
    x, n = of_trials(successes, trials, ("successes", "trials"))
    x, n, share = together(successes=x, trials=n, probability=probabilities(probability, "probability"))
    log_seen = special.xlogy(x, share) + special.xlog1py(n - x, -share) - special.betaln(x + 1, n - x + 1)
    seen = np.exp(log_seen - np.log(n + 1))
    upper = np.where(x > 0, special.betainc(np.maximum(x, 1), n - x + 1, share), 1.0)
    lower = np.where(x < n, special.betainc(np.maximum(n - x, 1), x + 1, 1 - share), 1.0)
    if alternative == "two-sided":
        p = _binomial_two_sided(x, n, share, seen)
    else:
        p = upper if alternative == "greater" else lower
    return column("p", np.clip(p - seen / 2 if mid_p else p, 0.0, 1.0))


@numba.njit(cache=True)
def _binomial_two_sided(x: np.ndarray, n: np.ndarray, share: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Sum over the binomial distribution of everything at most as likely as what was seen."""
    out = np.empty(len(x))
    for i in range(len(x)):
        if share[i] == 0.0 or share[i] == 1.0:
            out[i] = 1.0 if x[i] == n[i] * share[i] else 0.0
            continue
        limit, odds = seen[i] * _AS_LIKELY, share[i] / (1 - share[i])
        total, term, k = 0.0, seen[i], x[i]
        while k < n[i]:
            term *= odds * (n[i] - k) / (k + 1)
            k += 1
            if term <= limit:
                total += term
                if term < limit * _NEGLIGIBLE and k > n[i] * share[i]:
                    break
        term, k = seen[i], x[i]
        while k > 0:
            term *= k / (odds * (n[i] - k + 1))
            k -= 1
            if term <= limit:
                total += term
                if term < limit * _NEGLIGIBLE and k < n[i] * share[i]:
                    break
        out[i] = total + seen[i]
    return out


def rates_test(
    events: Numbers,
    exposure: Numbers,
    events_reference: Numbers,
    exposure_reference: Numbers,
    *,
    alternative: str = "two-sided",
    mid_p: bool = False,
) -> pl.Series:
    """p-values of two Poisson rates being equal, given their total number of events.

    Without any event, or where nobody was exposed, p is 1. Source: Przyborowski and Wilenski, Biometrika 31
    (1940) 313-323. Raises CheckFailed.
    """
    x, t, y, u = together(
        events=counts(events, "events"),
        exposure=exposures(exposure, "exposure"),
        events_reference=counts(events_reference, "events_reference"),
        exposure_reference=exposures(exposure_reference, "exposure_reference"),
    )
    exposed = t + u > 0
    expected_share = np.where(exposed, t / np.where(exposed, t + u, 1.0), 0.5)
    total = np.where((t > 0) & (u > 0), x + y, 0)
    return binomial_test(
        np.where(total > 0, x, 0), total, expected_share, alternative=alternative, mid_p=mid_p
    )


def fisher_test(
    events: Numbers,
    trials: Numbers,
    events_reference: Numbers,
    trials_reference: Numbers,
    *,
    alternative: str = "two-sided",
    mid_p: bool = False,
) -> pl.Series:
    """p-values of two proportions being equal, given all margins of the two-by-two table.

    Source: Fisher, Journal of the Royal Statistical Society 98 (1935) 39-82. Raises CheckFailed.
    """
    chosen(alternative, "alternative", ALTERNATIVES)
    x, n = of_trials(events, trials, ("events", "trials"))
    y, m = of_trials(events_reference, trials_reference, ("events_reference", "trials_reference"))
    x, n, y, m = together(events=x, trials=n, events_reference=y, trials_reference=m)
    p, seen = _fisher(
        x,
        n,
        y,
        m,
        ALTERNATIVES.index(alternative),
        special.gammaln(np.arange(n.max(initial=0) + m.max(initial=0) + 2)),
    )
    return column("p", np.clip(p - seen / 2 if mid_p else p, 0.0, 1.0))


@numba.njit(cache=True)
def _fisher(
    x: np.ndarray, n: np.ndarray, y: np.ndarray, m: np.ndarray, alternative: int, log_gamma: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tail sums of the hypergeometric distribution, by its ratio of neighbours, and the probability seen."""
    p, probability = np.empty(len(x)), np.empty(len(x))
    for i in range(len(x)):
        a, total, others, events = int(x[i]), int(n[i]), int(m[i]), int(x[i] + y[i])
        log_seen = (
            _log_choose(total, a, log_gamma)
            + _log_choose(others, events - a, log_gamma)
            - _log_choose(total + others, events, log_gamma)
        )
        seen = np.exp(log_seen)
        limit, above, below = seen * _AS_LIKELY, 0.0, 0.0
        mode = total * events / max(total + others, 1)
        term, k = seen, a
        while k < min(total, events):
            term *= (total - k) * (events - k) / ((k + 1.0) * (others - events + k + 1.0))
            k += 1
            if alternative != 0 or term <= limit:
                above += term
                if term < limit * _NEGLIGIBLE and k > mode:
                    break
        term, k = seen, a
        while k > max(0, events - others):
            term *= k * (others - events + k) / ((total - k + 1.0) * (events - k + 1.0))
            k -= 1
            if alternative != 0 or term <= limit:
                below += term
                if term < limit * _NEGLIGIBLE and k < mode:
                    break
        probability[i] = seen
        p[i] = seen + (above if alternative != 2 else 0.0) + (below if alternative != 1 else 0.0)
    return p, probability


@numba.njit(cache=True)
def _log_choose(n: int, k: int, log_gamma: np.ndarray) -> float:
    return log_gamma[n + 1] - log_gamma[k + 1] - log_gamma[n - k + 1]
