"""Shrinkage: ratios from few events are drawn towards the rest, by as much as the data say.

Gamma-Poisson for observed over expected numbers (MGPS: EBGM, EB05, EB95), beta-binomial for proportions. The
priors are fitted by maximum likelihood from several starts; a fit is used only where at least two of them
agree on the best likelihood.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import optimize, special

from producers.contracts.errors import CheckFailed
from warehouse.metrics.values import Numbers, column, counts, exposures, numbers, of_trials, share, together

_STARTS = (
    (0.2, 0.1, 2.0, 4.0, 1 / 3),  # DuMouchel's own
    (0.1, 0.1, 10.0, 10.0, 0.2),
    (0.5, 0.5, 1.0, 1.0, 0.5),
    (2.0, 2.0, 5.0, 5.0, 0.1),
    (1.0, 0.2, 3.0, 3.0, 0.1),
)
_AGREE = 1e-2
"""Log-likelihoods this close to the best are the same maximum."""
_BOUNDS = (np.log(1e-4), np.log(1e5))


# ── gamma-Poisson ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class GammaMixture:
    """Prior of the ratio of observed to expected: two gamma distributions (shape alpha, rate beta).

    `p` is the weight of the first. `log_likelihood` is of the counts given their expected numbers;
    `starts_agreeing` counts the starts that ended at it.
    """

    alpha1: float
    beta1: float
    alpha2: float
    beta2: float
    p: float
    log_likelihood: float = 0.0
    starts_agreeing: int = 0

    def __post_init__(self) -> None:
        if min(self.alpha1, self.beta1, self.alpha2, self.beta2) <= 0 or not 0 <= self.p <= 1:
            raise CheckFailed("prior: shapes and rates must be positive and p must lie between 0 and 1")


@dataclass(frozen=True)
class NotFitted:
    """Why there is no fit."""

    reason: str


def fit_gamma_mixture(
    observed: Numbers, expected: Numbers, *, minimum_count: int = 0
) -> GammaMixture | NotFitted:
    """The MGPS prior by maximum likelihood.

    `minimum_count`: rows with fewer observed were left out when the table was made, and the likelihood takes
    that into account (1 for tables that list only pairs that occur). Raises CheckFailed.
    Source: DuMouchel, The American Statistician 53 (1999) 177-190, equations 3-5; truncation: DuMouchel and
    Pregibon, KDD (2001).
    """
    n, e = _pairs(observed, expected)
    if (n < minimum_count).any():
        raise CheckFailed(f"observed: must not be below minimum_count {minimum_count}")
    if len(n) < 2 or n.sum() == 0:
        return NotFitted("a prior needs at least two pairs and one event")
    tables = _Tables.of(n, e, minimum_count)
    scale = len(n)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = tables.log_likelihood(theta)
        return -value / scale, -gradient / scale

    found = []
    for start in _STARTS:
        theta = np.array([*np.log(start[:4]), special.logit(start[4])])
        done = optimize.minimize(
            objective,
            theta,
            jac=True,
            method="L-BFGS-B",
            bounds=[_BOUNDS] * 4 + [(-12.0, 12.0)],
            options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8},
        )
        found.append((-float(done.fun) * scale, done.x))
    best, theta = max(found, key=lambda pair: pair[0])
    agreeing = sum(best - value <= _AGREE for value, _ in found)
    if not np.isfinite(best) or agreeing < 2:
        return NotFitted("the starts of the fit do not agree on one maximum")
    return _ordered(np.exp(theta[:4]), float(special.expit(theta[4])), best, agreeing)


def _pairs(observed: Numbers, expected: Numbers) -> list[np.ndarray]:
    n, e = together(observed=counts(observed, "observed"), expected=exposures(expected, "expected"))
    if (e == 0).any():
        raise CheckFailed("expected: must be positive; leave out what cannot occur")
    return [n, e]


def _ordered(shapes: np.ndarray, p: float, best: float, agreeing: int) -> GammaMixture:
    """The component with the larger mean first: two names for one prior become one."""
    a1, b1, a2, b2 = (float(x) for x in shapes)
    if a1 / b1 < a2 / b2:
        a1, b1, a2, b2, p = a2, b2, a1, b1, 1 - p
    return GammaMixture(a1, b1, a2, b2, p, best, agreeing)


@dataclass(frozen=True)
class _Tables:
    """Counts as codes into their distinct values, so that gamma functions are computed once per value."""

    n: np.ndarray
    e: np.ndarray
    code: np.ndarray
    distinct: np.ndarray
    minimum_count: int

    @classmethod
    def of(cls, n: np.ndarray, e: np.ndarray, minimum_count: int) -> "_Tables":
        distinct, code = np.unique(n, return_inverse=True)
        return cls(n, e, code, distinct, minimum_count)

    def component(self, a: float, b: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log probability of each count less its factorial, and derivatives by log a and log b."""
        log_rest = np.log1p(self.e / b)
        by_value = special.gammaln(a + self.distinct) - special.gammaln(a)
        value = by_value[self.code] - a * log_rest + self.n * (np.log(self.e / b) - log_rest)
        slope = special.digamma(a + self.distinct) - special.digamma(a)
        by_a = a * (slope[self.code] - log_rest)
        by_b = (a * self.e - self.n * b) / (b + self.e)
        return value, by_a, by_b

    def log_likelihood(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        (a1, b1, a2, b2), p = np.exp(theta[:4]), special.expit(theta[4])
        f1, a1_slope, b1_slope = self.component(a1, b1)
        f2, a2_slope, b2_slope = self.component(a2, b2)
        one, two = np.log(p) + f1, np.log1p(-p) + f2
        total = np.logaddexp(one, two)
        w = np.exp(one - total)
        gradient = np.array(
            [
                (w * a1_slope).sum(),
                (w * b1_slope).sum(),
                ((1 - w) * a2_slope).sum(),
                ((1 - w) * b2_slope).sum(),
                (w - p).sum(),
            ]
        )
        value = float(total.sum() - special.gammaln(self.distinct + 1)[self.code].sum())
        if self.minimum_count:
            lost, lost_gradient = self._left_out(theta)
            value, gradient = value - lost, gradient - lost_gradient
        return value, gradient

    def _left_out(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log chance of reaching the minimum count, summed over pairs, with its gradient."""
        chance, slope = np.zeros(len(self.e)), np.zeros((5, len(self.e)))
        (a1, b1, a2, b2), p = np.exp(theta[:4]), special.expit(theta[4])
        for k in range(self.minimum_count):
            at = _Tables(
                np.full(len(self.e), float(k)), self.e, np.zeros(len(self.e), int), np.array([float(k)]), 0
            )
            f1, a1_slope, b1_slope = at.component(a1, b1)
            f2, a2_slope, b2_slope = at.component(a2, b2)
            one, two = (np.exp(f - special.gammaln(k + 1)) for f in (f1, f2))
            chance += p * one + (1 - p) * two
            slope += np.array(
                [
                    p * one * a1_slope,
                    p * one * b1_slope,
                    (1 - p) * two * a2_slope,
                    (1 - p) * two * b2_slope,
                    p * (1 - p) * (one - two),
                ]
            )
        kept = np.maximum(1 - chance, 1e-300)
        return float(np.log(kept).sum()), -(slope / kept).sum(axis=1)


def gamma_mixture_log_likelihood(
    prior: GammaMixture, observed: Numbers, expected: Numbers, *, minimum_count: int = 0
) -> float:
    """Log-likelihood of counts under a prior, for comparing priors."""
    n, e = _pairs(observed, expected)
    theta = np.array(
        [*np.log([prior.alpha1, prior.beta1, prior.alpha2, prior.beta2]), special.logit(prior.p)]
    )
    return _Tables.of(n, e, minimum_count).log_likelihood(theta)[0]


def posterior_weight(prior: GammaMixture, observed: Numbers, expected: Numbers) -> np.ndarray:
    """Qn: posterior probability that a ratio comes from the first component. DuMouchel (1999), equation 6."""
    n, e = _pairs(observed, expected)
    tables = _Tables.of(n, e, 0)
    f1, f2 = tables.component(prior.alpha1, prior.beta1)[0], tables.component(prior.alpha2, prior.beta2)[0]
    with np.errstate(divide="ignore"):
        return special.expit(np.log(prior.p) - np.log1p(-prior.p) + f1 - f2)


def posterior_quantile(
    prior: GammaMixture, observed: Numbers, expected: Numbers, probability: float
) -> np.ndarray:
    """Quantiles of the posterior ratio, of every pair at once, to ten digits."""
    n, e = _pairs(observed, expected)
    q = posterior_weight(prior, n, e)
    shapes = (prior.alpha1 + n, prior.alpha2 + n)
    rates = (prior.beta1 + e, prior.beta2 + e)
    probability = share(probability, "probability")

    def cdf(x: np.ndarray) -> np.ndarray:
        return q * special.gammainc(shapes[0], rates[0] * x) + (1 - q) * special.gammainc(
            shapes[1], rates[1] * x
        )

    # The quantile lies between those of the two components.
    ends = [special.gammaincinv(a, probability) / b for a, b in zip(shapes, rates, strict=True)]
    low, high = np.log(np.maximum(np.minimum(*ends), 1e-300)), np.log(np.maximum(np.maximum(*ends), 1e-300))
    return np.exp(_bisect(lambda log_x: cdf(np.exp(log_x)) - probability, low, high))


def _bisect(f: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Roots of an increasing function, row by row: regula falsi where it helps, halving where it does not."""
    f_low, f_high = f(low), f(high)
    for step in range(60):
        with np.errstate(divide="ignore", invalid="ignore"):
            secant = low - f_low * (high - low) / (f_high - f_low)
        middle = (low + high) / 2
        inside = np.isfinite(secant) & (secant > low) & (secant < high)
        x = np.where(inside & (step % 3 != 2), secant, middle)
        value = f(x)
        low, f_low = np.where(value <= 0, x, low), np.where(value <= 0, value, f_low)
        high, f_high = np.where(value > 0, x, high), np.where(value > 0, value, f_high)
        if np.all((high - low < 1e-11) | (f_low == 0)):
            break
    with np.errstate(divide="ignore", invalid="ignore"):
        secant = low - f_low * (high - low) / (f_high - f_low)
    return np.where(np.isfinite(secant), np.clip(secant, low, high), low)


def ebgm(
    observed: Numbers, expected: Numbers, prior: GammaMixture | None = None, *, minimum_count: int = 0
) -> pl.DataFrame:
    """Empirical Bayes geometric means, one row per pair: `ebgm`, `eb05`, `eb95`, `posterior_weight`,
    `reason`.

    Without a `prior` it is fitted on these pairs; where that fails everything is null and `reason` says why.
    Source: DuMouchel (1999), equations 6-10. Raises CheckFailed.
    """
    n, e = _pairs(observed, expected)
    fitted = prior or fit_gamma_mixture(n, e, minimum_count=minimum_count)
    if isinstance(fitted, NotFitted):
        return pl.DataFrame(
            [
                pl.Series(name, [None] * len(n), dtype=pl.Float64)
                for name in ("ebgm", "eb05", "eb95", "posterior_weight")
            ]
        ).with_columns(reason=pl.lit(fitted.reason))
    q = posterior_weight(fitted, n, e)
    log_mean = q * (special.digamma(fitted.alpha1 + n) - np.log(fitted.beta1 + e))
    log_mean += (1 - q) * (special.digamma(fitted.alpha2 + n) - np.log(fitted.beta2 + e))
    return pl.DataFrame(
        [
            column("ebgm", np.exp(log_mean)),
            column("eb05", posterior_quantile(fitted, n, e, 0.05)),
            column("eb95", posterior_quantile(fitted, n, e, 0.95)),
            column("posterior_weight", q),
            pl.Series("reason", [None] * len(n), dtype=pl.String),
        ]
    )


# ── beta-binomial ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class BetaPrior:
    """Prior of a proportion, beta(alpha, beta). An `alpha + beta` of 1e8 or more means no spread
    was found."""

    alpha: float
    beta: float
    log_likelihood: float = 0.0
    starts_agreeing: int = 0


def fit_beta(successes: Numbers, trials: Numbers) -> BetaPrior | NotFitted:
    """The beta prior of proportions by maximum likelihood of the beta-binomial. Groups without trials say
    nothing.

    Source: Skellam, Journal of the Royal Statistical Society B 10 (1948) 257-261. Raises CheckFailed.
    """
    x, n = of_trials(successes, trials, ("successes", "trials"))
    x, n = x[n > 0], n[n > 0]
    if len(n) < 2 or x.sum() == 0 or (x == n).all():
        return NotFitted("a prior needs at least two groups, one event and one without")

    def negative(theta: np.ndarray) -> tuple[float, np.ndarray]:
        mean, size = special.expit(theta[0]), np.exp(theta[1])
        a, b = mean * size, (1 - mean) * size
        value = (special.betaln(x + a, n - x + b) - special.betaln(a, b)).sum()
        common = special.digamma(size) - special.digamma(n + size)
        by_a = (special.digamma(x + a) - special.digamma(a) + common).sum()
        by_b = (special.digamma(n - x + b) - special.digamma(b) + common).sum()
        by_mean = mean * (1 - mean) * size * (by_a - by_b)
        return -value, -np.array([by_mean, size * (mean * by_a + (1 - mean) * by_b)])

    centre = special.logit(np.clip(x.sum() / n.sum(), 1e-6, 1 - 1e-6))
    found = []
    for size in (1.0, 10.0, 100.0, 1000.0):
        done = optimize.minimize(
            negative,
            np.array([centre, np.log(size)]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-20, 20), (np.log(1e-3), np.log(1e8))],
            options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 500},
        )
        found.append((-float(done.fun), done.x))
    best, theta = max(found, key=lambda pair: pair[0])
    agreeing = sum(best - value <= _AGREE for value, _ in found)
    if agreeing < 2:
        return NotFitted("the starts of the fit do not agree on one maximum")
    mean, size = float(special.expit(theta[0])), float(np.exp(theta[1]))
    constant = float((special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)).sum())
    return BetaPrior(mean * size, (1 - mean) * size, best + constant, agreeing)


def shrunken_proportion(
    successes: Numbers, trials: Numbers, prior: BetaPrior | None = None, *, level: float = 0.9
) -> pl.DataFrame:
    """Posterior mean and limits of each proportion, one row per group: `value`, `lower`, `upper`, `reason`.

    A group without trials gets the prior itself. Without a `prior` it is fitted on these groups.
    Source: Skellam (1948); empirical Bayes as Morris, JASA 78 (1983) 47-55. Raises CheckFailed.
    """
    x, n = of_trials(successes, trials, ("successes", "trials"))
    tail = (1 - share(level, "level")) / 2
    fitted = prior or fit_beta(x, n)
    if isinstance(fitted, NotFitted):
        empty = [pl.Series(name, [None] * len(n), dtype=pl.Float64) for name in ("value", "lower", "upper")]
        return pl.DataFrame(empty).with_columns(reason=pl.lit(fitted.reason))
    a, b = fitted.alpha + x, fitted.beta + n - x
    return pl.DataFrame(
        [
            column("value", a / (a + b)),
            column("lower", special.betaincinv(a, b, tail)),
            column("upper", special.betaincinv(a, b, 1 - tail)),
            pl.Series("reason", [None] * len(n), dtype=pl.String),
        ]
    )


def shrunken_ratio(
    observed: Numbers, expected: Numbers, *, alpha: float, beta: float, level: float = 0.9
) -> pl.DataFrame:
    """Posterior mean and limits of ratios under one gamma prior (shape, rate): `value`, `lower`, `upper`."""
    n, e = together(observed=counts(observed, "observed"), expected=exposures(expected, "expected"))
    tail = (1 - share(level, "level")) / 2
    shape, rate = numbers(alpha, "alpha") + n, numbers(beta, "beta") + e
    return pl.DataFrame(
        [
            column("value", shape / rate),
            column("lower", special.gammaincinv(shape, tail) / rate),
            column("upper", special.gammaincinv(shape, 1 - tail) / rate),
        ]
    )
