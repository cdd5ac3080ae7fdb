"""Sequential tests and CUSUMs: published tables, enumeration, simulation, and a history that only grows."""

import datetime as dt
import itertools
import math

import numpy as np
import polars as pl
import pytest

from producers.contracts.errors import CheckFailed
from tests.table import table
from warehouse.metrics import cusum, maxsprt
from warehouse.metrics.surveillance import PoissonPlan, no_looks, take_look

pytestmark = pytest.mark.unit

# ── Poisson MaxSPRT ─────────────────────────────────────────────────────────────────────────────────────


def test_kulldorff_critical_values():
    """Kulldorff et al., Sequential Analysis 30 (2011), table 1, alpha 0.05; digits as in R's Sequential."""
    published = table("""
      horizon | minimum_events | critical_value
      --------+----------------+----------------
      1       | 1              | 2.853937
      1       | 2              | 2.366638
      1       | 3              | 1.774218
      1.5     | 1              | 2.964971
      2       | 4              | 2.000158
      5       | 1              | 3.297183
      5       | 8              | 1.936447
      10      | 4              | 2.921561
      10      | 10             | 2.281441
      20      | 1              | 3.628123
      50      | 6              | 3.317955
      100     | 1              | 3.952321
      400     | 1              | 4.188031
      1000    | 10             | 3.931529
    """)
    for horizon, events, value in published.iter_rows():
        found = maxsprt.poisson_critical_value(horizon, minimum_events=events)
        assert found.critical_value == pytest.approx(value, abs=1e-6)
        assert found.alpha == pytest.approx(0.05, abs=1e-8)


def test_delayed_start():
    """Critical values with a first look after D expected events, as tabulated in R's Sequential 2."""
    published = table("""
      horizon | delay | critical_value
      --------+-------+----------------
      1.5     | 1     | 1.683209
      5       | 1     | 2.545178
      5       | 4     | 1.611553
      20      | 8     | 2.425671
      20      | 10    | 2.260811
      100     | 6     | 3.232345
    """)
    for horizon, delay, value in published.iter_rows():
        found = maxsprt.poisson_critical_value(horizon, delay=delay)
        assert found.critical_value == pytest.approx(value, abs=2e-6)
        assert found.alpha <= 0.05 + 1e-8


def test_group_looks_by_enumeration():
    """Three looks: the error is the sum over every path of counts that crosses."""
    looks = [2.0, 3.5, 6.0]
    found = maxsprt.poisson_critical_value(6.0, looks=looks)

    def chance(k: int, mean: float) -> float:
        return math.exp(-mean) * mean**k / math.factorial(k)

    crossing = 0.0
    for a, b, c in itertools.product(range(30), repeat=3):
        totals = (a, a + b, a + b + c)
        if any(
            x > t and x * math.log(x / t) - (x - t) >= found.critical_value
            for x, t in zip(totals, looks, strict=True)
        ):
            crossing += chance(a, 2.0) * chance(b, 1.5) * chance(c, 2.5)
    assert crossing == pytest.approx(found.alpha, abs=1e-9)
    assert found.alpha <= 0.05
    assert maxsprt.poisson_performance(found.critical_value - 1e-4, 6.0, 1.0, looks=looks).power > 0.05


def test_power_and_time_agree_with_simulation():
    """40 000 simulated surveillances at relative risk 2, watched at every event."""
    rng, critical, horizon, risk = np.random.default_rng(5), 3.297183, 5.0, 2.0
    arrivals = np.cumsum(rng.exponential(1 / risk, (40_000, 60)), axis=1)
    k = np.arange(1, 61)
    with np.errstate(divide="ignore"):
        ratio = np.where(k > arrivals, k * np.log(k / arrivals) - (k - arrivals), 0)
    crossed = (ratio >= critical) & (arrivals <= horizon)
    signalled = crossed.any(axis=1)
    times = arrivals[np.arange(len(arrivals)), crossed.argmax(axis=1)][signalled]
    found = maxsprt.poisson_performance(critical, horizon, risk)
    assert found.power == pytest.approx(signalled.mean(), abs=4 * 0.0025)
    assert found.time_to_signal == pytest.approx(times.mean(), abs=4 * times.std() / np.sqrt(len(times)))


def test_the_smallest_detectable_risk_has_that_power():
    """At it the power is 80 %; a lot with two expected events needs about four times the risk."""
    critical = maxsprt.poisson_critical_value(2.0).critical_value
    risk = maxsprt.poisson_minimum_detectable_relative_risk(critical, 2.0)
    assert maxsprt.poisson_performance(critical, 2.0, risk).power == pytest.approx(0.8, abs=1e-5)
    assert 3.5 < risk < 5
    assert maxsprt.poisson_minimum_detectable_relative_risk(9.0, 1e-4) is None


def test_a_plan_that_can_never_signal_says_so():
    """With a hundredth of an event expected, even one event is rarer than alpha."""
    found = maxsprt.poisson_critical_value(0.01)
    assert found.critical_value is None
    assert "rarer than alpha" in found.reason


def test_a_baseline_that_is_a_sample():
    """With a million baseline events the conditional statistic is the plain one; with twenty it is
    smaller."""
    plain = maxsprt.poisson_llr(12, 5.0)[0]
    many = maxsprt.conditional_poisson_llr(12, 5.0, 1_000_000, 1_000_000.0)[0]
    few = maxsprt.conditional_poisson_llr(12, 5.0, 20, 20.0)[0]
    assert many == pytest.approx(plain, abs=1e-4)
    assert few < plain - 0.5
    slow = 12 * math.log(12 / (32 * 0.2)) + 20 * math.log(20 / (32 * 0.8))
    assert few == pytest.approx(slow)
    assert maxsprt.conditional_poisson_llr(
        [3, 9, 0], [5.0, 0.0, 1.0], [20, 20, 0], [20.0, 20.0, 0.0]
    ).tolist() == [0, 0, 0]


def test_spending_at_looks_as_they_come():
    """Each look spends no more than planned; limits already used stand, and leave what they really spent."""
    allowed = maxsprt.power_spending(2.0)
    looks = [1.0, 4.0, 4.5, 10.0]
    found = maxsprt.poisson_spending_limits(looks, 10.0, spending=allowed)
    assert all(limit.alpha_spent <= 0.05 * allowed(limit.time / 10) + 1e-12 for limit in found)
    kept = [limit.signal_from for limit in found[:2]]
    assert maxsprt.poisson_spending_limits(looks, 10.0, spending=allowed, earlier_limits=kept) == found
    strict = maxsprt.poisson_spending_limits(looks, 10.0, spending=allowed, earlier_limits=[50, 50])
    assert strict[2].signal_from <= found[2].signal_from


# ── binomial MaxSPRT ────────────────────────────────────────────────────────────────────────────────────


def test_binomial_by_enumeration():
    """Every path of twelve events, one case to one comparison: the error, and the power at risk 3."""
    found = maxsprt.binomial_critical_value(12, probability=0.5)
    error = power = 0.0
    for path in itertools.product((0, 1), repeat=12):
        cases = 0
        for n, case in enumerate(path, start=1):
            cases += case
            if maxsprt.binomial_llr(cases, n, 0.5)[0] >= found.critical_value - 1e-12:
                error += 0.5**12
                power += 0.75 ** sum(path) * 0.25 ** (12 - sum(path))
                break
    assert found.alpha == pytest.approx(error, abs=1e-12)
    assert error <= 0.05
    performance = maxsprt.binomial_performance(found.critical_value, 12, 3.0, probability=0.5)
    assert performance.power == pytest.approx(power, abs=1e-12)


def test_binomial_detectable():
    """400 events in pairs find a relative risk of about 1.4 with 80 % power."""
    critical = maxsprt.binomial_critical_value(400, probability=0.5).critical_value
    risk = maxsprt.binomial_minimum_detectable_relative_risk(critical, 400, probability=0.5)
    assert maxsprt.binomial_performance(critical, 400, risk, probability=0.5).power == pytest.approx(
        0.8, abs=1e-5
    )
    assert maxsprt.binomial_critical_value(4, probability=0.5).critical_value is None


# ── looks ───────────────────────────────────────────────────────────────────────────────────────────────

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def test_no_look_is_taken_twice():
    """Without new data there is no look; a look back in time is refused; a signal stays one."""
    plan = PoissonPlan(horizon=10.0)
    history = take_look(no_looks(), plan, as_of=NOON, events=1, expected=1.0)
    assert take_look(history, plan, as_of=NOON + DAY, events=5, expected=1.0).equals(history)
    with pytest.raises(CheckFailed, match=r"^history.as_of"):
        take_look(history, plan, as_of=NOON - DAY, events=2, expected=2.0)
    history = take_look(history, plan, as_of=NOON + DAY, events=9, expected=1.5)
    history = take_look(history, plan, as_of=NOON + 2 * DAY, events=9, expected=9.0)
    assert history["signal"].to_list() == [False, True, True]
    assert history["alpha_spent"].is_sorted()
    assert history["alpha_spent"][-1] < 0.05
    ended = take_look(history, plan, as_of=NOON + 3 * DAY, events=10, expected=11.0)
    assert ended["reason"][-1].startswith("beyond the horizon")
    assert take_look(ended, plan, as_of=NOON + 4 * DAY, events=30, expected=12.0).equals(ended)


# ── CUSUM ───────────────────────────────────────────────────────────────────────────────────────────────


def test_montgomery_cusum():
    """Montgomery, Introduction to Statistical Quality Control, tables 9.1-9.4: signal at 29; ARL 465 and
    10.4.
    """
    values = [
        9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08,
        9.37, 10.62, 10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52,
    ]  # fmt: skip
    chart = cusum.tabular_cusum(values, target=10.0, allowance=0.5, limit=5.0)
    assert chart["statistic"][28] == pytest.approx(5.28, abs=0.005)
    assert chart["signal"].arg_max() == 28
    assert cusum.normal_cusum_arl(allowance=0.5, limit=5, two_sided=True) == pytest.approx(465, abs=1)
    assert cusum.normal_cusum_arl(allowance=0.5, limit=4, two_sided=True) == pytest.approx(168, abs=1)
    assert cusum.normal_cusum_arl(allowance=0.5, limit=5, shift=1) == pytest.approx(10.4, abs=0.05)
    assert cusum.normal_cusum_limit(370, allowance=0.5, two_sided=True) == pytest.approx(4.77, abs=0.005)


def test_steiner_scores():
    """Steiner (2014), page 234: patients with Parsonnet score 0 and 50, doubled and halved odds."""
    risks = 1 / (1 + np.exp(3.68 - 0.077 * np.array([0, 0, 50, 50])))
    doubled = cusum.risk_adjusted_scores([0, 1, 0, 1], risks, odds_ratio=2)
    halved = cusum.risk_adjusted_scores([0, 1, 0, 1], risks, odds_ratio=0.5)
    assert doubled.round(3).tolist() == [-0.024, 0.669, -0.433, 0.26]
    assert halved.round(3).tolist() == [0.012, -0.681, 0.316, -0.377]


def test_risk_adjusted_arl_agrees_with_simulation():
    """4 000 simulated charts; the limit for a wanted ARL has that ARL."""
    rng = np.random.default_rng(3)
    mix = cusum.risk_mix([0.1, 0.12, 0.14], [0.1, 0.5, 0.4])
    lengths = []
    height, alive, length = np.zeros(4000), np.ones(4000, dtype=bool), 0
    while alive.any():
        length += 1
        risk = rng.choice(mix.risks, alive.sum(), p=mix.shares)
        score = cusum.risk_adjusted_scores((rng.random(len(risk)) < risk).astype(int), risk)
        height[alive] = np.maximum(height[alive] + score, 0)
        ended = alive & (height >= 2.0)
        lengths += [length] * int(ended.sum())
        alive &= ~ended
    error = np.std(lengths) / np.sqrt(len(lengths))
    assert cusum.risk_adjusted_cusum_arl(mix, limit=2.0) == pytest.approx(np.mean(lengths), abs=4 * error)
    limit = cusum.risk_adjusted_cusum_limit(500, mix)
    assert cusum.risk_adjusted_cusum_arl(mix, limit=limit) == pytest.approx(500, rel=0.01)


def test_a_baseline_from_few_events_raises_the_limit():
    """With 50 events behind the model the limit is higher; with a million it is the plain one."""
    mix = cusum.risk_mix([0.05, 0.1], [0.5, 0.5])
    plain, few, many = (
        cusum.risk_adjusted_cusum_limit(1000, mix, baseline_events=events) for events in (None, 50, 1e8)
    )
    assert few > plain + 0.3
    assert many == pytest.approx(plain, abs=1e-3)


def test_poisson_cusum_agrees_with_a_plain_loop():
    """Scores and heights; a period in which nothing was expected scores by its events alone."""
    events, expected = [2, 0, 5, 1, 3], [1.5, 2.0, 1.0, 0.0, 2.0]
    height, slow = 0.0, []
    for x, mean in zip(events, expected, strict=True):
        height = max(0.0, height + x * math.log(2) - mean)
        slow.append(height)
    chart = cusum.poisson_cusum(events, expected, limit=3.0)
    assert chart["statistic"].to_list() == pytest.approx(slow)
    assert cusum.poisson_cusum_arl(2.0, limit=cusum.poisson_cusum_limit(100, 2.0)) == pytest.approx(
        100, rel=0.02
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: maxsprt.poisson_critical_value(-1), r"^horizon: must be a positive number"),
        (lambda: maxsprt.poisson_critical_value(5, delay=6), r"^delay: must lie between 0 and the horizon"),
        (lambda: maxsprt.poisson_critical_value(5, looks=[3, 2]), r"^looks: must increase"),
        (lambda: maxsprt.poisson_critical_value(5, looks=[3, 9]), r"^looks: must not lie beyond"),
        (lambda: maxsprt.poisson_critical_value(5, minimum_events=0), r"^minimum_events: must be a whole"),
        (lambda: maxsprt.binomial_critical_value(5, probability=1.0), r"^probability: must lie between"),
        (lambda: cusum.risk_adjusted_cusum([2], [0.1], limit=3), r"^outcomes: must be 0 or 1"),
        (lambda: cusum.risk_adjusted_cusum([1], [1.1], limit=3), r"^risks: must not exceed 1"),
        (lambda: cusum.tabular_cusum([1.0], target=0, allowance=1, limit=5, start=6), r"^start: must lie"),
        (lambda: cusum.risk_mix([]), r"^risks: must not be empty"),
    ],
)
def test_what_breaks_a_rule_is_named(call, message):
    """One line with the argument and the rule."""
    with pytest.raises(CheckFailed, match=message):
        call()


def test_an_empty_history_has_the_looks_columns():
    """No look yet is an empty frame of the right shape."""
    assert no_looks().height == 0
    assert isinstance(no_looks(), pl.DataFrame)
