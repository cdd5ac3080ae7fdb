"""Intervals: edges first, then published tables, libraries, and a slow version that anyone can check."""

import math
import random

import polars as pl
import pytest
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from tests.table import table
from warehouse.metrics.intervals import clopper_pearson, garwood, mean_t, wilson

pytestmark = pytest.mark.unit

PROPORTIONS = {"clopper-pearson": (clopper_pearson, "beta"), "wilson": (wilson, "wilson")}


def limits(interval, *columns: list[float], level: float = 0.95) -> list[tuple[float | None, float | None]]:
    lower, upper = interval(*(pl.Series(column) for column in columns), level=level)
    return list(zip(lower.to_list(), upper.to_list(), strict=True))


def bisect(holds, low: float, high: float) -> float:
    """The point in [low, high] where `holds` turns from true to false."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


# ── edges ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("interval", [clopper_pearson, wilson])
def test_no_trials_give_no_limits(interval):
    """0 of 0 has no interval: null, not NaN, and it leaves its neighbours alone."""
    assert limits(interval, [0, 1], [0, 2])[0] == (None, None)
    assert None not in limits(interval, [0, 1], [0, 2])[1]


@pytest.mark.parametrize("interval", [clopper_pearson, wilson])
@pytest.mark.parametrize("n", [1, 2, 20, 100_000])
def test_none_and_all_reach_the_ends_exactly(interval, n):
    """0 of n has the lower limit 0 and n of n the upper limit 1, without a trace of rounding."""
    (low, low_upper), (high_lower, high) = limits(interval, [0, n], [n, n])
    assert (low, high) == (0.0, 1.0)
    assert 0 < low_upper < 1
    assert low_upper == pytest.approx(1 - high_lower, abs=1e-12)


@pytest.mark.parametrize("interval", [clopper_pearson, wilson])
def test_an_empty_column_stays_empty(interval):
    """No rows in, no rows out."""
    lower, upper = interval(pl.Series([], dtype=pl.Int64), pl.Series([], dtype=pl.Int64), level=0.95)
    assert (lower.to_list(), upper.to_list()) == ([], [])
    assert lower.dtype == upper.dtype == pl.Float64


def test_no_events_have_the_lower_limit_nought():
    """A Poisson count of 0 has the lower limit 0 and the upper limit -ln(tail)."""
    assert limits(garwood, [0]) == [(0.0, pytest.approx(-math.log(0.025)))]


def test_a_single_observation_has_no_interval():
    """The spread of one patient, or of none, is unknown."""
    assert limits(mean_t, [None, 1.5, 1.5], [None, None, 0.0], [0, 1, 2]) == [
        (None, None),
        (None, None),
        (1.5, 1.5),
    ]


# ── published ───────────────────────────────────────────────────────────────────────────────────────────


def test_newcombe():
    """The four examples of Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, methods 3 and 5."""
    published = table("""
      events | trials | score_lower | score_upper | exact_lower | exact_upper
      -------+--------+-------------+-------------+-------------+------------
      81     | 263    | 0.2553      | 0.3662      | 0.2527      | 0.3676
      15     | 148    | 0.0624      | 0.1605      | 0.0578      | 0.1617
      0      | 20     | 0.0000      | 0.1611      | 0.0000      | 0.1684
      1      | 29     | 0.0061      | 0.1718      | 0.0009      | 0.1776
    """)
    for name, interval in (("score", wilson), ("exact", clopper_pearson)):
        lower, upper = interval(published["events"], published["trials"], level=0.95)
        assert lower.round(4).to_list() == published[f"{name}_lower"].to_list()
        assert upper.round(4).to_list() == published[f"{name}_upper"].to_list()


def test_poisson_limits():
    """95 % limits as tabulated by Garwood, Biometrika 28 (1936), and Ulm, Am J Epidemiol 131 (1990) 373."""
    published = table("""
      events | lower | upper
      -------+-------+-------
      0      | 0.000 | 3.689
      1      | 0.025 | 5.572
      2      | 0.242 | 7.225
      5      | 1.623 | 11.668
      10     | 4.795 | 18.390
    """)
    lower, upper = garwood(published["events"], level=0.95)
    assert lower.round(3).to_list() == published["lower"].to_list()
    assert upper.round(3).to_list() == published["upper"].to_list()


def test_blood_pressure():
    """100 diabetic men, systolic pressure 146.4 mmHg, SD 18.5 (Gardner and Altman, BMJ 292 (1986) 746)."""
    ((lower, upper),) = limits(mean_t, [146.4], [18.5], [100])
    assert (round(lower, 1), round(upper, 1)) == (142.7, 150.1)


# ── libraries and the slow version ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", PROPORTIONS)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_every_small_table_agrees_with_statsmodels(name, level):
    """All x of n up to 40 trials, at three levels."""
    interval, method = PROPORTIONS[name]
    cells = [(x, n) for n in range(1, 41) for x in range(n + 1)]
    ours = limits(interval, *map(list, zip(*cells, strict=True)), level=level)
    for (x, n), (lower, upper) in zip(cells, ours, strict=True):
        assert (lower, upper) == pytest.approx(proportion_confint(x, n, 1 - level, method), abs=1e-10)


def tail_at_most(x: int, n: int, p: float) -> float:
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(x + 1))


@pytest.mark.parametrize(("x", "n"), [(0, 3), (1, 3), (3, 3), (7, 25), (24, 25)])
def test_clopper_pearson_inverts_the_binomial_tails(x, n):
    """The limits are where the chance of what was seen, or more extreme, falls to 2.5 %."""
    lower = bisect(lambda p: 1 - tail_at_most(x - 1, n, p) < 0.025, 0, 1) if x else 0.0
    upper = bisect(lambda p: tail_at_most(x, n, p) > 0.025, 0, 1) if x < n else 1.0
    assert limits(clopper_pearson, [x], [n]) == [pytest.approx((lower, upper), abs=1e-9)]


@pytest.mark.parametrize(("x", "n"), [(1, 3), (7, 25), (24, 25), (500, 100_000)])
def test_wilson_inverts_the_score_test(x, n):
    """The limits are the proportions that lie 1.96 of their own standard errors from the one seen."""
    z, seen = 1.959963984540054, x / n

    def far(p: float) -> bool:
        return abs(seen - p) > z * math.sqrt(p * (1 - p) / n)

    expected = (bisect(far, 0, seen), bisect(lambda p: not far(p), seen, 1))
    assert limits(wilson, [x], [n]) == [pytest.approx(expected, abs=1e-9)]


@pytest.mark.parametrize("x", [0, 1, 4, 30])
def test_garwood_inverts_the_poisson_tails(x):
    """The limits are the means at which the chance of what was seen, or more extreme, falls to 2.5 %."""

    def at_most(k: int, mean: float) -> float:
        return sum(math.exp(-mean) * mean**i / math.factorial(i) for i in range(k + 1))

    lower = bisect(lambda mean: 1 - at_most(x - 1, mean) < 0.025, 0, 200) if x else 0.0
    upper = bisect(lambda mean: at_most(x, mean) > 0.025, 0, 200)
    assert limits(garwood, [x]) == [pytest.approx((lower, upper), abs=1e-8)]


def test_the_mean_agrees_with_statsmodels():
    """Fifty samples of two to thirty grades each."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(50):
        sample = pl.Series([rng.choice([-1.0, 0.0, 1.0, 2.0, 3.0]) for _ in range(rng.randint(2, 30))])
        ours = limits(mean_t, [sample.mean()], [sample.std()], [len(sample)])
        assert ours == [pytest.approx(DescrStatsW(sample.to_numpy()).tconfint_mean(0.05), abs=1e-9)]
