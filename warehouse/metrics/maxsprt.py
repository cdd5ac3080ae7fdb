"""Maximised sequential probability ratio tests: a safety signal at any look, at a known overall error rate.

Everything here is computed, not looked up. A surveillance is a list of looks (time, count): it has not
signalled while at each time fewer events were seen than the count. Continuous surveillance is the same list,
with the moment up to which the k-th event would be too early. The chance of never signalling is carried from
look to look over the number of events so far, exactly.

Time is the cumulative number of events expected when nothing is wrong (Poisson), or the number of events in
both groups together (binomial).

Sources: Kulldorff, Davis, Kolczak, Lewis, Lieu and Platt, Sequential Analysis 30 (2011) 58-78; with minimum
events and delayed start: Kulldorff and Silva, REVSTAT 15 (2017) 373-394; group looks and spending: Silva and
Kulldorff, Biometrics 71 (2015) 851-858; Jennison and Turnbull, Group Sequential Methods (2000), chapter 7.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from producers.contracts.errors import CheckFailed
from warehouse.metrics.values import (
    Numbers,
    counts,
    exposures,
    numbers,
    positive,
    probabilities,
    share,
    together,
)

LARGEST_RELATIVE_RISK = 1000.0
"""Relative risks above this are not looked for; a plan that needs more detects nothing worth the name."""
_PRECISION = 1e-9


@dataclass(frozen=True)
class CriticalValue:
    """The log-likelihood ratio from which a look signals, and the error rate that it really spends.

    `critical_value` is null, with a `reason`, where no look could ever signal at this level.
    """

    critical_value: float | None
    alpha: float
    reason: str | None = None


@dataclass(frozen=True)
class Performance:
    """What a plan does when the true relative risk is `relative_risk`.

    `power`: chance of a signal by the end. `time_to_signal`: mean time of the signal, where there is one.
    `length`: mean time at the end of surveillance, signal or not. Times in expected events (Poisson) or
    events of both groups (binomial).
    """

    relative_risk: float
    power: float
    time_to_signal: float | None
    length: float


# ── Poisson ─────────────────────────────────────────────────────────────────────────────────────────────


def poisson_llr(events: Numbers, expected: Numbers) -> np.ndarray:
    """Maximised log-likelihood ratio of an excess; 0 where no more was seen than expected.

    Infinite where events occurred and none were expected.
    """
    x, mean = together(events=counts(events, "events"), expected=exposures(expected, "expected"))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(x > 0, x * np.log(x / mean) - (x - mean), 0.0)
    return np.where(x > mean, ratio, 0.0)


def conditional_poisson_llr(
    events: Numbers, expected: Numbers, baseline_events: Numbers, baseline_expected: Numbers
) -> np.ndarray:
    """Maximised log-likelihood ratio of an excess over a baseline that is itself a sample.

    `expected` and `baseline_expected` need only be in proportion, like person-time or a model's numbers. With
    many baseline events it is poisson_llr of the events at the baseline's rate; with few it is smaller. 0
    where there is no excess, or nothing was expected on one side. Source: Li and Kulldorff, Statistics in
    Medicine 29 (2010) 284-295.
    """
    x, e, y, f = together(
        events=counts(events, "events"),
        expected=exposures(expected, "expected"),
        baseline_events=counts(baseline_events, "baseline_events"),
        baseline_expected=exposures(baseline_expected, "baseline_expected"),
    )
    total, known = x + y, (e > 0) & (f > 0)
    part = np.where(known, e / np.where(known, e + f, 1.0), 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = special.xlogy(x, x / (total * part)) + special.xlogy(y, y / (total * (1 - part)))
    return np.where(known & (x > total * part), ratio, 0.0)


@dataclass(frozen=True)
class _Plan:
    """Times (increasing), the count that signals at each, and whether one may signal between them too."""

    times: np.ndarray
    limits: np.ndarray
    continuous_from: float | None
    """Time from which the surveillance is continuous; null for looks at the times only."""


def _poisson_plan(
    critical_value: float, horizon: float, minimum_events: int, delay: float, looks: np.ndarray | None
) -> _Plan:
    if looks is not None:
        return _Plan(looks, _first_counts(looks, critical_value, minimum_events), None)
    # The last k that matters is the first whose moment lies beyond the horizon.
    many = (
        int(horizon + 3 * np.sqrt(2 * critical_value * (horizon + critical_value)) + 3 * critical_value) + 10
    )
    k = np.arange(1.0, max(many, minimum_events + 1) + 1)
    moments = _moments(k, critical_value)
    live = (k >= minimum_events) & (moments >= delay)
    k, moments = k[live], moments[live]
    last = int(np.searchsorted(moments, horizon))
    return _Plan(np.append(moments[:last], horizon), k[: last + 1].astype(int), delay)


def _moments(k: np.ndarray, critical_value: float) -> np.ndarray:
    """Expected events at which k events are just enough: the smaller root of LLR(k, t) = critical value."""
    t = -k * special.lambertw(-np.exp(-1 - critical_value / k)).real
    t = np.maximum(t, np.finfo(float).tiny)
    for _ in range(3):  # near its branch point Lambert's W keeps half the digits; Newton gives them back
        t = np.clip(t - (k * np.log(k / t) - k + t - critical_value) / (1 - k / t), t / 2, (t + k) / 2)
    return t


def _first_counts(times: np.ndarray, critical_value: float, minimum_events: int) -> np.ndarray:
    """The smallest count that signals at each time."""
    found = []
    for time in times:
        c = max(int(np.floor(time)) + 1, minimum_events, 1)
        while poisson_llr(c, time)[0] < critical_value:
            c += 1
        found.append(c)
    return np.array(found, dtype=int)


def _poisson_step(state: np.ndarray, mean: float, limit: int) -> np.ndarray:
    """Chances of each number of events at the next look, for those that do not signal."""
    longest = min(limit, int(mean + 12 * np.sqrt(mean) + 40))
    k = np.arange(longest)
    step = np.exp(special.xlogy(k, mean) - mean - special.gammaln(k + 1))
    return np.convolve(state, step)[:limit]


def _poisson_run(plan: _Plan, relative_risk: float) -> tuple[np.ndarray, float]:
    """Chance of having signalled by each of the plan's times, and the mean length of surveillance."""
    state, time, length, spent = np.ones(1), 0.0, 0.0, np.empty(len(plan.times))
    for i, (until, limit) in enumerate(zip(plan.times, plan.limits, strict=True)):
        alive = state.sum()
        span = until - time
        if plan.continuous_from is None or until <= plan.continuous_from:
            length += alive * span
        else:
            blind = max(0.0, min(plan.continuous_from, until) - time)
            if blind > 0:
                length += alive * blind
                state = _poisson_step(state, relative_risk * blind, limit)
            length += _time_below(state, limit, relative_risk, span - blind)
            span -= blind
        state = _poisson_step(state, relative_risk * span, limit)
        spent[i], time = 1 - state.sum(), until
    return spent, length


def _time_below(state: np.ndarray, limit: int, relative_risk: float, span: float) -> float:
    """Mean time within the span that the count stays below the limit, over where it starts from."""
    mean = relative_risk * span
    # The mean time at exactly i further events is P(more than i by the end) / rate.
    at_least = special.gammainc(np.arange(1, limit + 1), mean) / relative_risk
    below = np.cumsum(at_least)
    return float(state @ below[limit - 1 - np.arange(len(state))])


def _looks(looks: Numbers | None, horizon: float) -> np.ndarray | None:
    if looks is None:
        return None
    times = numbers(looks, "looks")
    if (np.diff(times, prepend=0.0) <= 0).any():
        raise CheckFailed("looks: must increase from above 0, each look at more data than the one before")
    if times[-1] > horizon * (1 + _PRECISION):
        raise CheckFailed("looks: must not lie beyond the horizon")
    return times


def _whole(value: int, name: str) -> int:
    if value < 1 or value != int(value):
        raise CheckFailed(f"{name}: must be a whole number from 1")
    return int(value)


def _from_nought(delay: float, horizon: float) -> float:
    if not 0 <= delay <= horizon:
        raise CheckFailed("delay: must lie between 0 and the horizon")
    return float(delay)


def _solve(spent: Callable[[float], float], alpha: float, possible: float) -> CriticalValue:
    """The smallest critical value that spends at most alpha; where it can only jump past alpha, the safe
    side.
    """
    if possible < alpha:
        return CriticalValue(None, 0.0, "even at the end the fewest events for a signal are rarer than alpha")
    low, high = 1e-6, 2.0
    if spent(low) <= alpha:
        return CriticalValue(low, spent(low))
    while spent(high) > alpha:
        low, high = high, high * 2
    root = optimize.brentq(lambda value: spent(value) - alpha, low, high, xtol=_PRECISION / 4)
    step = _PRECISION / 2
    while spent(root) > alpha + _PRECISION:
        root, step = root + step, step * 2
    return CriticalValue(float(root), float(spent(root)))


def poisson_critical_value(
    horizon: float,
    *,
    alpha: float = 0.05,
    minimum_events: int = 1,
    delay: float = 0.0,
    looks: Numbers | None = None,
) -> CriticalValue:
    """Critical value of the Poisson MaxSPRT.

    `horizon`: expected events at the end of surveillance. `minimum_events`: fewer never signal. `delay`:
    expected events before the first look. `looks`: expected events so far at each of a set of group looks;
    without it the surveillance is continuous, which is safe for looks at any times. Raises CheckFailed.
    """
    plan = _poisson_planner(horizon, minimum_events, delay, looks)
    alpha = share(alpha, "alpha")
    possible = float(special.gammainc(minimum_events, horizon))
    return _solve(lambda value: float(_poisson_run(plan(value), 1.0)[0][-1]), alpha, possible)


def _poisson_planner(
    horizon: float, minimum_events: int, delay: float, looks: Numbers | None
) -> Callable[[float], _Plan]:
    horizon = positive(horizon, "horizon")
    minimum_events = _whole(minimum_events, "minimum_events")
    delay = _from_nought(delay, horizon)
    times = _looks(looks, horizon)
    if times is not None and delay > 0:
        times = times[times >= delay]
    return lambda value: _poisson_plan(value, horizon, minimum_events, delay, times)


def poisson_performance(
    critical_value: float,
    horizon: float,
    relative_risk: float,
    *,
    minimum_events: int = 1,
    delay: float = 0.0,
    looks: Numbers | None = None,
) -> Performance:
    """Power, mean time to signal and mean length of a Poisson MaxSPRT at a true relative risk.

    Raises CheckFailed.
    """
    plan = _poisson_planner(horizon, minimum_events, delay, looks)(positive(critical_value, "critical_value"))
    spent, length = _poisson_run(plan, positive(relative_risk, "relative_risk"))
    power = float(spent[-1])
    end = float(plan.times[-1])
    return Performance(
        relative_risk, power, (length - end * (1 - power)) / power if power > 0 else None, length
    )


def poisson_minimum_detectable_relative_risk(
    critical_value: float,
    horizon: float,
    *,
    power: float = 0.8,
    minimum_events: int = 1,
    delay: float = 0.0,
    looks: Numbers | None = None,
) -> float | None:
    """The smallest relative risk that is found with this power by the end; null where not even 1000 is.

    Raises CheckFailed.
    """
    plan = _poisson_planner(horizon, minimum_events, delay, looks)(positive(critical_value, "critical_value"))
    return _smallest(lambda risk: float(_poisson_run(plan, risk)[0][-1]), power)


def _smallest(chance: Callable[[float], float], power: float) -> float | None:
    power = share(power, "power")
    if chance(LARGEST_RELATIVE_RISK) < power:
        return None
    if chance(1.0) >= power:
        return 1.0
    high = 2.0
    while chance(high) < power:
        high = min(high * 2, LARGEST_RELATIVE_RISK)
    return float(optimize.brentq(lambda risk: chance(risk) - power, 1.0, high, xtol=1e-6))


# ── looks that were not known beforehand ────────────────────────────────────────────────────────────────

Spending = Callable[[float], float]
"""Share of alpha that may be spent by a share of the horizon: 0 at 0, 1 at 1, never falling."""


def power_spending(exponent: float = 1.0) -> Spending:
    """Spends (share of the horizon) ** exponent of alpha. Source: Kim and DeMets, Biometrika 74 (1987)."""
    exponent = positive(exponent, "exponent")
    return lambda part: min(part, 1.0) ** exponent


def obrien_fleming_spending(alpha: float) -> Spending:
    """Spends little early on. Source: Lan and DeMets, Biometrika 70 (1983) 659-663."""
    quantile = special.ndtri(1 - share(alpha, "alpha") / 2)
    return lambda part: (
        0.0 if part <= 0 else 2 * float(special.ndtr(-quantile / np.sqrt(min(part, 1.0)))) / alpha
    )


@dataclass(frozen=True)
class SpendingLimit:
    """One look: the fewest events that signal at it, and the alpha spent up to and including it."""

    time: float
    signal_from: int
    alpha_spent: float


def poisson_spending_limits(
    looks: Numbers,
    horizon: float,
    *,
    alpha: float = 0.05,
    spending: Spending | None = None,
    minimum_events: int = 1,
    earlier_limits: Sequence[int] = (),
) -> list[SpendingLimit]:
    """Counts that signal at looks whose times became known one by one.

    Each look spends what the spending function allows by its share of the horizon, minus what earlier looks
    have really spent. `earlier_limits` are the counts used at the first looks: they stand as they were.
    Raises CheckFailed. Source: Lan and DeMets, Biometrika 70 (1983) 659-663, with exact counts.
    """
    times = _looks(looks, positive(horizon, "horizon"))
    assert times is not None
    alpha, allowed = share(alpha, "alpha"), spending or power_spending()
    if len(earlier_limits) > len(times):
        raise CheckFailed("earlier_limits: must not outnumber the looks")
    state, before, found = np.ones(1), 0.0, []
    for i, time in enumerate(times):
        mean = time - before
        wide = len(state) + int(mean + 12 * np.sqrt(mean) + 40)
        chances = np.convolve(state, _poisson_pmf(wide, mean))[:wide]
        if i < len(earlier_limits):
            limit = int(earlier_limits[i])
        else:
            # What is beyond `wide` is lost with the signals: less than 1e-20.
            kept = np.cumsum(chances)
            enough = np.flatnonzero(1 - kept <= alpha * allowed(time / horizon) + 1e-15)
            limit = max(int(enough[0]) + 1 if len(enough) else wide, minimum_events)
        state, before = chances[:limit], time
        found.append(SpendingLimit(float(time), limit, float(max(0.0, 1 - state.sum()))))
    return found


def _poisson_pmf(length: int, mean: float) -> np.ndarray:
    k = np.arange(length)
    return np.exp(special.xlogy(k, mean) - mean - special.gammaln(k + 1))


# ── binomial ────────────────────────────────────────────────────────────────────────────────────────────


def binomial_llr(cases: Numbers, trials: Numbers, probability: Numbers) -> np.ndarray:
    """Maximised log-likelihood ratio of an excess of cases; 0 where the share is not above `probability`."""
    c, n, p = together(
        cases=counts(cases, "cases"),
        trials=counts(trials, "trials"),
        probability=probabilities(probability, "probability"),
    )
    if (c > n).any():
        raise CheckFailed("cases: must not exceed trials")
    seen = c / np.maximum(n, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = special.xlogy(c, seen / p) + special.xlogy(n - c, (1 - seen) / (1 - p))
    return np.where(seen > p, ratio, 0.0)


def _binomial_plan(
    critical_value: float, probability: float, minimum_events: int, looks: np.ndarray
) -> np.ndarray:
    """The smallest count of cases that signals at each look; one more than the trials where none does."""
    limits = []
    for n in looks:
        c = np.arange(n + 1)
        fits = np.flatnonzero((binomial_llr(c, n, probability) >= critical_value) & (c >= minimum_events))
        limits.append(int(fits[0]) if len(fits) else int(n) + 1)
    return np.array(limits)


def _binomial_run(looks: np.ndarray, limits: np.ndarray, probability: float) -> tuple[np.ndarray, float]:
    state, before, length, spent = np.ones(1), 0, 0.0, np.empty(len(looks))
    for i, (n, limit) in enumerate(zip(looks, limits, strict=True)):
        length += state.sum() * (n - before)
        k = np.arange(n - before + 1)
        step = np.exp(
            special.xlogy(k, probability)
            + special.xlog1py(n - before - k, -probability)
            - special.betaln(k + 1, n - before - k + 1)
            - np.log(n - before + 1)
        )
        state = np.convolve(state, step)[:limit]
        spent[i], before = 1 - state.sum(), int(n)
    return spent, length


def _binomial_looks(horizon: int, looks: Numbers | None) -> np.ndarray:
    if looks is None:
        return np.arange(1, horizon + 1)
    times = _looks(counts(looks, "looks"), horizon)
    assert times is not None
    return times.astype(int)


def binomial_critical_value(
    horizon: int,
    *,
    probability: float,
    alpha: float = 0.05,
    minimum_events: int = 1,
    looks: Numbers | None = None,
) -> CriticalValue:
    """Critical value of the binomial MaxSPRT, the largest error rate not above alpha.

    `horizon`: events of both groups at the end. `probability`: chance that an event is a case when nothing is
    wrong; with z comparison persons to each exposed one it is 1 / (1 + z). `looks`: events of both groups so
    far at each look; without it, a look after every event. Raises CheckFailed.
    """
    horizon, minimum_events = _whole(horizon, "horizon"), _whole(minimum_events, "minimum_events")
    probability, alpha = share(probability, "probability"), share(alpha, "alpha")
    times = _binomial_looks(horizon, looks)

    def spent(value: float) -> float:
        return float(
            _binomial_run(times, _binomial_plan(value, probability, minimum_events, times), probability)[0][
                -1
            ]
        )

    # Spending changes only where a count at a look begins or ceases to signal.
    steps = np.unique(np.concatenate([binomial_llr(np.arange(n + 1), n, probability) for n in times]))
    steps = steps[steps > 0]
    if spent(float(steps[-1])) > alpha:
        return CriticalValue(
            None, 0.0, "even the largest share of cases at the end is more likely than alpha"
        )
    low, high = -1, len(steps) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if spent(float(steps[middle])) <= alpha else (middle, high)
    return CriticalValue(float(steps[high]), spent(float(steps[high])))


def binomial_performance(
    critical_value: float,
    horizon: int,
    relative_risk: float,
    *,
    probability: float,
    minimum_events: int = 1,
    looks: Numbers | None = None,
) -> Performance:
    """Power, mean time to signal and mean length of a binomial MaxSPRT at a true relative risk."""
    times, limits = _binomial_limits(critical_value, horizon, probability, minimum_events, looks)
    spent, length = _binomial_run(times, limits, _shifted(probability, relative_risk))
    power, end = float(spent[-1]), float(times[-1])
    return Performance(
        relative_risk, power, (length - end * (1 - power)) / power if power > 0 else None, length
    )


def binomial_minimum_detectable_relative_risk(
    critical_value: float,
    horizon: int,
    *,
    probability: float,
    power: float = 0.8,
    minimum_events: int = 1,
    looks: Numbers | None = None,
) -> float | None:
    """The smallest relative risk that is found with this power by the end; null where not even 1000 is."""
    times, limits = _binomial_limits(critical_value, horizon, probability, minimum_events, looks)
    return _smallest(
        lambda risk: float(_binomial_run(times, limits, _shifted(probability, risk))[0][-1]), power
    )


def _binomial_limits(
    critical_value: float, horizon: int, probability: float, minimum_events: int, looks: Any
) -> Any:
    times = _binomial_looks(_whole(horizon, "horizon"), looks)
    plan = _binomial_plan(
        positive(critical_value, "critical_value") * (1 - 1e-12),
        share(probability, "probability"),
        _whole(minimum_events, "minimum_events"),
        times,
    )
    return times, plan


def _shifted(probability: float, relative_risk: float) -> float:
    """Chance that an event is a case at a relative risk."""
    odds = positive(relative_risk, "relative_risk") * probability / (1 - probability)
    return odds / (1 + odds)
