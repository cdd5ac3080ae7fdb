"""CUSUM charts: of measured values, of Poisson counts, and of risk-adjusted outcomes; limits for a wanted
ARL.

The average run length (ARL) is the mean number of observations up to and including the signal. For counts and
outcomes an observation moves the chart by one of a set of scores; the chart's height is put on a fine
lattice, where a score that falls between two points is shared between them so that its mean is kept, and the
ARL solves one linear system (a Markov chain). For normal values the same is an integral equation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import polars as pl
from scipy import linalg, optimize, special, stats

from producers.contracts.errors import CheckFailed
from warehouse.metrics.values import (
    Numbers,
    chosen,
    counts,
    exposures,
    numbers,
    positive,
    probabilities,
    share,
    together,
)

_LATTICE = 1200
"""Points of the lattice between 0 and the limit."""
_MOST_RISKS = 60
"""Distinct risks that are kept apart; more are grouped by equal shares of patients."""
LONGEST_ARL = 1e9


@numba.njit(cache=True)
def _climb(scores: np.ndarray, limit: float, start: float, reset: bool) -> tuple[np.ndarray, np.ndarray]:
    heights, signals = np.empty(len(scores)), np.zeros(len(scores), dtype=np.bool_)
    height = start
    for i in range(len(scores)):
        height = max(0.0, height + scores[i])
        heights[i] = height
        if height >= limit:
            signals[i] = True
            if reset:
                height = start
    return heights, signals


def _chart(scores: np.ndarray, limit: float, start: float, reset: bool) -> pl.DataFrame:
    if not 0 <= start < limit:
        raise CheckFailed("start: must lie between 0 and the limit")
    heights, signals = _climb(scores, positive(limit, "limit"), float(start), reset)
    return pl.DataFrame({"score": scores, "statistic": heights, "signal": signals})


# ── measured values ─────────────────────────────────────────────────────────────────────────────────────


def tabular_cusum(
    values: Numbers,
    *,
    target: float,
    allowance: float,
    limit: float,
    side: str = "upper",
    start: float = 0.0,
    reset: bool = False,
) -> pl.DataFrame:
    """One row per value: score, statistic and signal of a tabular CUSUM.

    `target`: the value in control; `allowance` (k): half the shift to be found; `limit` (h); all in the unit
    of the values. `side`: upper finds rises, lower falls. `start` above 0 is a head start. `reset` begins
    anew after each signal. Raises CheckFailed. Source: Page, Biometrika 41 (1954) 100-115; Montgomery,
    Introduction to Statistical Quality Control, 6th ed. (2009), section 9.1.
    """
    above = numbers(values, "values") - target
    sign = 1.0 if chosen(side, "side", ("upper", "lower")) == "upper" else -1.0
    return _chart(sign * above - allowance, limit, start, reset)


def normal_cusum_arl(
    *, allowance: float, limit: float, shift: float = 0.0, start: float = 0.0, two_sided: bool = False
) -> float:
    """ARL of a tabular CUSUM of independent normal values, everything in standard deviations.

    Source: the integral equation of Page (1954) by Gauss-Legendre quadrature, as Vance, Journal of Quality
    Technology 18 (1986) 188-193; two sides, `start` being that of both: Lucas and Crosier, Technometrics 24
    (1982) 199-205, without a head start 1/ARL = 1/upper + 1/lower.
    """
    if two_sided:
        (up, up_ahead), (down, down_ahead) = (
            [
                normal_cusum_arl(allowance=allowance, limit=limit, shift=sign * shift, start=begun)
                for begun in (0.0, start)
            ]
            for sign in (1, -1)
        )
        return (up_ahead * down + up * down_ahead - up * down) / (up + down)
    h = positive(limit, "limit")
    nodes, weights = np.polynomial.legendre.leggauss(120)
    nodes, weights = (nodes + 1) * h / 2, weights * h / 2
    drift = shift - allowance
    kernel = stats.norm.pdf(nodes[None, :] - nodes[:, None] - drift) * weights
    to_nought = stats.norm.cdf(-nodes - drift)
    # Unknowns: the ARL from 0, then from every node.
    matrix = np.eye(len(nodes) + 1)
    matrix[1:, 1:] -= kernel
    matrix[1:, 0] -= to_nought
    matrix[0, 0] -= stats.norm.cdf(-drift)
    matrix[0, 1:] -= stats.norm.pdf(nodes - drift) * weights
    arl = np.linalg.solve(matrix, np.ones(len(nodes) + 1))
    if start == 0:
        return float(arl[0])
    ahead = stats.norm.pdf(nodes - start - drift) * weights
    return float(1 + arl[0] * stats.norm.cdf(-start - drift) + ahead @ arl[1:])


def normal_cusum_limit(arl: float, *, allowance: float, two_sided: bool = False) -> float:
    """The limit at which a normal CUSUM in control has this ARL."""
    return _limit_for(lambda h: normal_cusum_arl(allowance=allowance, limit=h, two_sided=two_sided), arl)


# ── scores on a lattice ─────────────────────────────────────────────────────────────────────────────────


def score_cusum_arl(scores: Numbers, chances: Numbers, *, limit: float, start: float = 0.0) -> float:
    """ARL of a CUSUM whose observations score `scores` with `chances`; at most 1e9.

    Source: Brook and Evans, Biometrika 59 (1972) 539-549; the sharing of a score between two lattice points:
    Knoth, Wittenberg and Gan, Statistics in Medicine 38 (2019) 2206-2218. Raises CheckFailed.
    """
    w, p = together(scores=numbers(scores, "scores"), chances=probabilities(chances, "chances"))
    if abs(p.sum() - 1) > 1e-9:
        raise CheckFailed("chances: must sum to 1")
    limit = positive(limit, "limit")
    points = _LATTICE
    width = limit / points
    # Chances of moving by a whole number of points, from -reach to +reach.
    steps = w / width
    down = np.floor(steps)
    up_share = steps - down
    moves = np.concatenate([down, down + 1]).clip(-points, points).astype(int)
    chance = np.bincount(moves + points, np.concatenate([p * (1 - up_share), p * up_share]), 2 * points + 1)
    # Row i, column j: move j - i, a Toeplitz matrix; everything below the floor goes to the floor.
    transitions = linalg.toeplitz(chance[points:0:-1], chance[points : 2 * points])
    below = np.cumsum(chance)[points - np.arange(points)]
    transitions[:, 0] = below
    system = -transitions
    system[np.diag_indices(points)] += 1
    try:
        arl = np.linalg.solve(system, np.ones(points))
    except np.linalg.LinAlgError:
        return LONGEST_ARL
    at = start / width
    left = min(int(at), points - 1)
    right = arl[left + 1] if left + 1 < points else 0.0
    found = float(arl[left] + (at - left) * (right - arl[left]))
    return found if 1 <= found < LONGEST_ARL else LONGEST_ARL


def _limit_for(arl_at: Callable[[float], float], arl: float) -> float:
    """The limit with this ARL, to seven digits."""
    if positive(arl, "arl") < 1:
        raise CheckFailed("arl: must be at least 1")
    goal, high = np.log(arl), 1.0
    while np.log(arl_at(high)) < goal:
        high *= 1.5
        if high > 1e4:
            raise CheckFailed("arl: cannot be reached by any limit")
    low = 1e-6
    if np.log(arl_at(low)) >= goal:
        return low
    return float(optimize.brentq(lambda h: np.log(arl_at(h)) - goal, low, high, xtol=1e-6))


# ── Poisson counts ──────────────────────────────────────────────────────────────────────────────────────


def poisson_cusum(
    events: Numbers,
    expected: Numbers,
    *,
    limit: float,
    relative_risk: float = 2.0,
    start: float = 0.0,
    reset: bool = False,
) -> pl.DataFrame:
    """One row per period: score, statistic and signal of the log-likelihood ratio CUSUM of counts.

    Below 1, `relative_risk` finds falls. A period in which nothing was expected scores by its events alone.
    Source: Lucas, Technometrics 27 (1985) 129-144; with changing expectations Hoehle and Paul, Computational
    Statistics and Data Analysis 52 (2008) 4357-4368. Raises CheckFailed.
    """
    x, mean = together(events=counts(events, "events"), expected=exposures(expected, "expected"))
    risk = positive(relative_risk, "relative_risk")
    return _chart(x * np.log(risk) - (risk - 1) * mean, limit, start, reset)


def poisson_cusum_arl(
    expected: float,
    *,
    limit: float,
    relative_risk: float = 2.0,
    true_relative_risk: float = 1.0,
    start: float = 0.0,
) -> float:
    """ARL, in periods, of a Poisson CUSUM with the same number expected in each."""
    mean = positive(expected, "expected") * positive(true_relative_risk, "true_relative_risk")
    x = np.arange(int(mean + 12 * np.sqrt(mean) + 40))
    chance = np.exp(special.xlogy(x, mean) - mean - special.gammaln(x + 1))
    risk = positive(relative_risk, "relative_risk")
    scores = x * np.log(risk) - (risk - 1) * expected
    return score_cusum_arl(scores, chance / chance.sum(), limit=limit, start=start)


def poisson_cusum_limit(arl: float, expected: float, *, relative_risk: float = 2.0) -> float:
    """The limit at which a Poisson CUSUM in control has this ARL, in periods."""
    return _limit_for(lambda h: poisson_cusum_arl(expected, limit=h, relative_risk=relative_risk), arl)


# ── risk-adjusted outcomes ──────────────────────────────────────────────────────────────────────────────


def risk_adjusted_scores(outcomes: Numbers, risks: Numbers, *, odds_ratio: float = 2.0) -> np.ndarray:
    """Log-likelihood ratio of the odds being `odds_ratio` times those of the risk model, for each outcome.

    Source: Steiner, Cook, Farewell and Treasure, Biostatistics 1 (2000) 441-452, equation 3. Raises
    CheckFailed.
    """
    y, p = together(outcomes=counts(outcomes, "outcomes"), risks=probabilities(risks, "risks"))
    if (y > 1).any():
        raise CheckFailed("outcomes: must be 0 or 1")
    ratio = positive(odds_ratio, "odds_ratio")
    return y * np.log(ratio) - np.log1p(p * (ratio - 1))


def risk_adjusted_cusum(
    outcomes: Numbers,
    risks: Numbers,
    *,
    limit: float,
    odds_ratio: float = 2.0,
    start: float = 0.0,
    reset: bool = False,
) -> pl.DataFrame:
    """One row per patient, in order: score, statistic and signal of the risk-adjusted CUSUM.

    `risks`: each patient's probability of the event by the case-mix model. Below 1, `odds_ratio` finds
    improvement, or under-reporting. Source: Steiner et al. (2000). Raises CheckFailed.
    """
    return _chart(risk_adjusted_scores(outcomes, risks, odds_ratio=odds_ratio), limit, start, reset)


@dataclass(frozen=True)
class RiskMix:
    """Probabilities of the event among the patients to come, and the share of patients with each."""

    risks: np.ndarray
    shares: np.ndarray


def risk_mix(risks: Numbers, shares: Numbers | None = None) -> RiskMix:
    """The mix of these patients, or of these risks with these shares; 60 groups at most. Raises
    CheckFailed."""
    p = probabilities(risks, "risks")
    if not len(p):
        raise CheckFailed("risks: must not be empty")
    weight = np.full(len(p), 1 / len(p)) if shares is None else probabilities(shares, "shares")
    p, weight = together(risks=p, shares=weight)
    if abs(weight.sum() - 1) > 1e-9:
        raise CheckFailed("shares: must sum to 1")
    found, where = np.unique(p, return_inverse=True)
    total = np.bincount(where, weight)
    if len(found) <= _MOST_RISKS:
        return RiskMix(found, total)
    group = np.minimum((np.cumsum(total) - total / 2) * _MOST_RISKS, _MOST_RISKS - 1).astype(int)
    mass = np.bincount(group, total, _MOST_RISKS)
    kept = mass > 0
    return RiskMix((np.bincount(group, total * found, _MOST_RISKS)[kept] / mass[kept]), mass[kept])


def risk_adjusted_cusum_arl(
    mix: RiskMix,
    *,
    limit: float,
    odds_ratio: float = 2.0,
    true_odds_ratio: float = 1.0,
    start: float = 0.0,
) -> float:
    """ARL, in patients, of a risk-adjusted CUSUM when the true odds are `true_odds_ratio` times
    the model's."""
    truth = positive(true_odds_ratio, "true_odds_ratio")
    actual = truth * mix.risks / (1 + (truth - 1) * mix.risks)
    scores = np.concatenate(
        [risk_adjusted_scores(outcome, mix.risks, odds_ratio=odds_ratio) for outcome in (1, 0)]
    )
    chances = np.concatenate([mix.shares * actual, mix.shares * (1 - actual)])
    return score_cusum_arl(scores, chances / chances.sum(), limit=limit, start=start)


def risk_adjusted_cusum_limit(
    arl: float,
    mix: RiskMix,
    *,
    odds_ratio: float = 2.0,
    baseline_events: float | None = None,
    confidence: float = 0.9,
) -> float:
    """The limit at which a risk-adjusted CUSUM in control has at least this ARL, in patients.

    The risk model was estimated. With `baseline_events`, the number of events it was fitted on, the limit is
    raised until the ARL is reached even where the true odds lie above the model's by as much as the estimate
    may err, one-sided at `confidence`; the standard error of the log odds is 1 / sqrt(events x (1 - mean
    risk)). Source: guaranteed conditional performance, Gandy and Kvaloy, Scandinavian Journal of Statistics
    40 (2013) 647-668; here the ARL is monotone in the odds, so that its quantile is that of the odds. Raises
    CheckFailed.
    """
    error = 1.0
    if baseline_events is not None:
        events = positive(baseline_events, "baseline_events")
        mean_risk = float(mix.risks @ mix.shares)
        spread = special.ndtri(share(confidence, "confidence")) / np.sqrt(events * (1 - mean_risk))
        error = float(np.exp(spread if odds_ratio > 1 else -spread))
    return _limit_for(
        lambda h: risk_adjusted_cusum_arl(mix, limit=h, odds_ratio=odds_ratio, true_odds_ratio=error), arl
    )
