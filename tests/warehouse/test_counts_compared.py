"""Byar's interval, exact tests, ratios and differences: published, against libraries, and at the edges."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from producers.contracts.errors import CheckFailed
from tests.table import table
from warehouse.metrics import comparisons, exact_tests, incidence, intervals

pytestmark = pytest.mark.unit


def only(frame: pl.DataFrame) -> dict:
    return frame.row(0, named=True)


# ── published ───────────────────────────────────────────────────────────────────────────────────────────


def test_newcombe_differences():
    """Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10: all eight examples."""
    published = table("""
      events | trials | other_events | other_trials | lower   | upper
      -------+--------+--------------+--------------+---------+-------
      56     | 70     | 48           | 80           | 0.0524  | 0.3339
      9      | 10     | 3            | 10           | 0.1705  | 0.8090
      6      | 7      | 2            | 7            | 0.0582  | 0.8062
      5      | 56     | 0            | 29           | -0.0381 | 0.1926
      0      | 10     | 0            | 20           | -0.1611 | 0.2775
      0      | 10     | 0            | 10           | -0.2775 | 0.2775
      10     | 10     | 0            | 20           | 0.6791  | 1.0000
      10     | 10     | 0            | 10           | 0.6075  | 1.0000
    """)
    found = comparisons.risk_difference(*(published[name] for name in published.columns[:4]))
    for name in ("lower", "upper"):
        assert found[name].round(4).to_list() == published[name].to_list()


def test_rate_ratio_of_the_r_manual():
    """R's poisson.test on Pearson's examples: 11/800 against 21/3011, and 137 seen against 24.2 expected."""
    found = only(comparisons.rate_ratio(11, 800, 6 + 8 + 7, 1083 + 1050 + 878))
    assert (found["value"], found["lower"], found["upper"], found["p"]) == pytest.approx(
        (1.971488, 0.8584264, 4.2772659, 0.07967), abs=1e-5
    )
    lower, upper = intervals.garwood(137)
    assert (lower[0] / 24.19893, upper[0] / 24.19893) == pytest.approx((4.753125, 6.692709), abs=1e-6)


def test_breast_cancer_after_fluoroscopy():
    """41 in 28 010 against 15 in 19 017 woman-years (Rothman and Greenland): ratio 1.86, difference 6.8 / 10
    000.
    """
    ratio = only(comparisons.rate_ratio(41, 28_010, 15, 19_017))
    assert (round(ratio["value"], 2), round(ratio["lower"], 2), round(ratio["upper"], 2)) == (
        1.86,
        1.01,
        3.61,
    )
    wald = only(comparisons.rate_ratio(41, 28_010, 15, 19_017, method="log"))
    assert (round(wald["lower"], 2), round(wald["upper"], 2)) == (1.03, 3.35)
    difference = only(comparisons.rate_difference(41, 28_010, 15, 19_017, per=10_000, method="wald"))
    assert [round(difference[name], 1) for name in ("value", "lower", "upper")] == [6.7, 0.7, 12.8]


def test_tea_and_convictions():
    """Fisher's tea p 0.4857; convictions of twins (R's fisher.test): odds ratio 0.0469, 0.0033 to 0.3632."""
    tea, twins = comparisons.odds_ratio([3, 2], [4, 12], [1, 15], [4, 18]).rows(named=True)
    assert (tea["p"], tea["value"]) == pytest.approx((0.4857143, 6.408309), rel=1e-5)
    assert [twins[name] for name in ("value", "lower", "upper", "p")] == pytest.approx(
        [0.04693661, 0.003325764, 0.363182271, 0.0005367], abs=1e-5
    )


def test_byar():
    """100 events: 81.4 to 121.6 by Byar as by Garwood; 10 events: 4.79 to 18.39 (Breslow and Day, table
    2.10).
    """
    (low_10, low_100), (high_10, high_100) = (limit.to_list() for limit in intervals.byar([10, 100]))
    assert (round(low_10, 2), round(high_10, 2)) == (4.79, 18.39)
    assert (round(low_100, 1), round(high_100, 1)) == (81.4, 121.6)


# ── against libraries and slow versions ─────────────────────────────────────────────────────────────────


def test_every_small_table_agrees_with_scipy():
    """Fisher and binomial p-values of 300 random tables, three alternatives."""
    rng = np.random.default_rng(11)
    for _ in range(300):
        n, m = rng.integers(1, 40, 2)
        x, y, p = rng.integers(0, n + 1), rng.integers(0, m + 1), rng.random()
        for alternative in exact_tests.ALTERNATIVES:
            fisher = stats.fisher_exact([[x, n - x], [y, m - y]], alternative=alternative)[1]
            assert exact_tests.fisher_test(x, n, y, m, alternative=alternative)[0] == pytest.approx(
                fisher, abs=1e-9
            )
            binomial = stats.binomtest(x, n, p, alternative=alternative).pvalue
            assert exact_tests.binomial_test(x, n, p, alternative=alternative)[0] == pytest.approx(
                binomial, abs=1e-8
            )


@pytest.mark.parametrize("mean", [0.3, 4.0, 17.2])
def test_poisson_test_sums_what_is_as_unlikely(mean):
    """The two-sided p is the sum over every count that is at most as likely as the one seen."""
    chance = [math.exp(-mean) * mean**k / math.factorial(k) for k in range(120)]
    for x in range(40):
        slow = sum(c for c in chance if c <= chance[x] * (1 + 1e-9))
        assert exact_tests.poisson_test(x, mean)[0] == pytest.approx(slow, abs=1e-10)


@pytest.mark.parametrize(("x", "t", "y", "u"), [(7, 10.0, 3, 12.0), (0, 5.0, 4, 9.0), (25, 3.0, 11, 2.0)])
def test_rate_ratio_limits_invert_the_conditional_test(x, t, y, u):
    """At each limit the chance of what was seen or more extreme, given the total, is 2.5 %."""
    found = only(comparisons.rate_ratio(x, t, y, u))

    def share(ratio: float) -> float:
        return ratio * t / (ratio * t + u)

    assert stats.binom.cdf(x, x + y, share(found["upper"])) == pytest.approx(0.025, abs=1e-9)
    if x:
        assert stats.binom.sf(x - 1, x + y, share(found["lower"])) == pytest.approx(0.025, abs=1e-9)
    middle = only(comparisons.rate_ratio(x, t, y, u, method="mid-p"))
    assert found["lower"] <= middle["lower"] <= middle["upper"] <= found["upper"]


def test_differences_agree_with_statsmodels():
    """Newcombe's interval of random tables."""
    rng = np.random.default_rng(3)
    for _ in range(100):
        n, m = rng.integers(2, 60, 2)
        x, y = rng.integers(0, n + 1), rng.integers(0, m + 1)
        found = only(comparisons.risk_difference(x, n, y, m))
        assert (found["lower"], found["upper"]) == pytest.approx(
            confint_proportions_2indep(x, n, y, m, compare="diff", method="newcomb"), abs=1e-9
        )


# ── edges ───────────────────────────────────────────────────────────────────────────────────────────────


def test_edges_have_a_reason_and_no_nan():
    """No exposure, no events, no events in the reference, everybody an event: defined each, never NaN."""
    edges = [(0, 0, 0, 0), (0, 5, 0, 5), (3, 5, 0, 5), (0, 5, 3, 5), (5, 5, 5, 5), (1, 1, 0, 0)]
    columns = [pl.Series(column) for column in zip(*edges, strict=True)]
    for compare in (
        comparisons.rate_ratio,
        comparisons.rate_difference,
        comparisons.risk_difference,
        comparisons.risk_ratio,
        comparisons.odds_ratio,
    ):
        found = compare(*columns)
        assert not found.select(pl.col(pl.Float64).is_nan().any()).row(0).count(True)
        assert found["p"].is_between(0, 1).all()
        for row in found.iter_rows(named=True):
            assert row["reason"] is not None or None not in (row["value"], row["lower"], row["upper"])
    assert comparisons.rate_ratio(3, 5, 0, 5)["lower"][0] > 0
    assert comparisons.rate_ratio(3, 5, 0, 5)["upper"][0] is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intervals.garwood([1, -1]), r"^events: must not be negative"),
        (lambda: intervals.garwood([1.5]), r"^events: must be whole numbers"),
        (lambda: intervals.garwood([float("nan")]), r"^events: must not be NaN"),
        (lambda: intervals.garwood(pl.Series([1, None])), r"^events: must not be null"),
        (lambda: intervals.garwood(["x"]), r"^events: must be numbers"),
        (lambda: intervals.wilson([3], [2]), r"^successes: must not exceed trials"),
        (lambda: intervals.wilson([3], [4], level=95), r"^level: must lie between 0 and 1"),
        (lambda: intervals.rate([3], [-1.0]), r"^exposure: must not be negative"),
        (lambda: comparisons.rate_ratio([1, 2], 1.0, [1, 2, 3], 1.0), r"same length.*events 2"),
        (lambda: comparisons.rate_ratio(1, 1.0, 1, 1.0, method="magic"), r"^method: must be one of"),
        (lambda: incidence.incidence_rate(2, 0.0), r"^new_cases: must be 0 where exposure is 0"),
        (lambda: incidence.time_to_onset([-1.0]), r"^days: must not be negative"),
    ],
)
def test_what_breaks_a_rule_is_named(call, message):
    """One line with the argument and the rule."""
    with pytest.raises(CheckFailed, match=message):
        call()


# ── incidence ───────────────────────────────────────────────────────────────────────────────────────────


def test_incidence_names_its_method():
    """Below ten events exact, from ten on Byar's; nobody at risk has a reason."""
    found = incidence.incidence_rate([0, 3, 10, 0], [100, 100, 100, 0], per=100)
    assert found["method"].to_list() == ["garwood", "garwood", "byar", "garwood"]
    assert found["value"].to_list() == [0.0, 3.0, 10.0, None]
    assert found["reason"].to_list() == [None, None, None, "nobody at risk"]


def test_a_session_counts_once_per_grade():
    """Two events of one session are one session with grade 2 or worse."""
    events = table("""
      session_id | grade | serious
      -----------+-------+--------
      a          | 1     | false
      a          | 2     | false
      b          | 3     | true
    """)
    found = incidence.by_severity(events, 50)
    assert found["numerator"].to_list() == [2.0, 2.0, 1.0, 0.0, 0.0, 1.0]
    assert found["severity"][1] == "grade 2 or worse"


def test_onset_quantiles():
    """The median of ten has the 2nd and 9th as 95 % limits (Conover, table A3); of three, none."""
    found = only(incidence.time_to_onset(list(range(10, 0, -1)), quantiles=[0.5]))
    assert (found["value"], found["lower"], found["upper"]) == (5.5, 2.0, 9.0)
    few = only(incidence.time_to_onset([3, 1, 2], quantiles=[0.5]))
    assert (few["value"], few["lower"], few["reason"]) == (
        2.0,
        None,
        "too few events for a limit at this level",
    )
