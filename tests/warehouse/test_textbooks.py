"""More results that others printed, on data small enough to be typed from the book named."""

import numpy as np
import polars as pl
import pytest

from producers.contracts.errors import CheckFailed
from warehouse.metrics.cox import cox
from warehouse.metrics.cusum import normal_cusum_arl, normal_cusum_limit
from warehouse.metrics.mixed import mixed_model
from warehouse.metrics.sensitivity import approximate_risk_ratio, e_value
from warehouse.metrics.survival import kaplan_meier, survival_quantile
from warehouse.metrics.survival_tests import log_rank_test

pytestmark = pytest.mark.unit

DYESTUFF = {
    "A": (1545, 1440, 1440, 1520, 1580), "B": (1540, 1555, 1490, 1560, 1495),
    "C": (1595, 1550, 1605, 1510, 1560), "D": (1445, 1440, 1595, 1465, 1545),
    "E": (1595, 1630, 1515, 1635, 1625), "F": (1520, 1455, 1450, 1480, 1445),
}  # fmt: skip
"""Yield of six batches of dye, grams (Davies and Goldsmith (1972), table 6.3)."""

DYESTUFF2 = {
    "A": (7.298, 3.846, 2.434, 9.566, 7.990), "B": (5.220, 6.556, 0.608, 11.788, -0.892),
    "C": (0.110, 10.386, 13.434, 5.510, 8.166), "D": (2.212, 4.852, 7.092, 9.288, 4.980),
    "E": (0.282, 9.014, 4.458, 9.446, 7.198), "F": (1.722, 4.782, 8.106, 0.758, 3.758),
}  # fmt: skip
"""Simulated (Box and Tiao (1973), table 5.1.4): batches differ less than chance would have it."""

ORTHODONT = (
    "26 25 29 31,21.5 22.5 23 26.5,23 22.5 24 27.5,25.5 27.5 26.5 27,20 23.5 22.5 26,24.5 25.5 27 28.5,"
    "22 22 24.5 26.5,24 21.5 24.5 25.5,23 20.5 31 26,27.5 28 31 31.5,23 23 23.5 25,21.5 23.5 24 28,"
    "17 24.5 26 29.5,22.5 25.5 25.5 26,23 24.5 26 30,22 21.5 23.5 25,21 20 21.5 23,21 21.5 24 25.5,"
    "20.5 24 24.5 26,23.5 24.5 25 26.5,21.5 23 22.5 23.5,20 21 21 22.5,21.5 22.5 23 25,23 23 23.5 24,"
    "20 21 22 21.5,16.5 19 19 19.5,24.5 25 28 28"
)
"""Pituitary to pterygomaxillary fissure, mm, of 16 boys, then 11 girls, at 8, 10, 12 and 14 years (Potthoff
and Roy, Biometrika 51 (1964) 313-326)."""

LEUKAEMIA = {
    "kept": ("9 13 13+ 18 23 28+ 31 34 45+ 48 161+", 31.0),
    "not": ("5 5 8 8 12 16+ 23 27 30 33 43 45", 23.0),
}
"""Weeks in remission with and without maintenance chemotherapy (Miller, Survival Analysis (1997), p. 49; R's
`aml`); + is censored; then the median."""

REMISSION = {
    "6-MP": "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+",
    "placebo": "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23",
}
"""Freireich et al., Blood 21 (1963) 699-716; weeks, + is censored."""


def batches(told: dict[str, tuple[float, ...]]) -> pl.DataFrame:
    rows = [(batch, float(value)) for batch, values in told.items() for value in values]
    return pl.DataFrame(rows, schema=["batch", "yield"], orient="row")


def survival(told: dict[str, str]) -> pl.DataFrame:
    rows = [
        (arm, float(weeks.rstrip("+")), not weeks.endswith("+"))
        for arm, all_weeks in told.items()
        for weeks in all_weeks.split()
    ]
    return pl.DataFrame(rows, schema=["arm", "weeks", "event"], orient="row")


def test_dyestuff_as_lme4_has_it():
    """Bates, lme4 (2010), §1.3: variances 1764 and 2451, mean 1527.5, error 19.383, REML 319.654, and the
    batches' shrunken effects."""
    found = mixed_model(batches(DYESTUFF), outcome="yield", groups=["batch"])
    assert found.components["variance"].to_list() == pytest.approx([1764.05, 2451.25], abs=0.05)
    assert found.fixed.select("value", "standard_error").row(0) == pytest.approx((1527.5, 19.3834), abs=1e-3)
    assert -2 * found.log_likelihood == pytest.approx(319.6543, abs=1e-3)
    effects = found.effects["batch"].sort("batch")["value"].to_list()
    wanted = [-17.60685, 0.39126, 28.56222, -23.08338, 56.73318, -44.99653]
    assert effects == pytest.approx(wanted, abs=2e-3)


def test_a_variance_of_nought_as_lme4_has_it():
    """Dyestuff2, §1.3.3: between batches 0, within 13.806, mean 5.6656, error .6784, REML 161.828."""
    found = mixed_model(batches(DYESTUFF2), outcome="yield", groups=["batch"])
    assert found.components["variance"].to_list() == pytest.approx([0.0, 13.806], abs=1e-3)
    assert found.fixed.select("value", "standard_error").row(0) == pytest.approx((5.6656, 0.6784), abs=1e-4)
    assert -2 * found.log_likelihood == pytest.approx(161.8283, abs=1e-3)
    assert found.effects["batch"]["value"].to_list() == [0.0] * 6


def test_growth_as_nlme_has_it():
    """Pinheiro and Bates, Mixed-Effects Models in S and S-PLUS (2000), §4.1: distance by age with an
    intercept of each child: 16.7611 + .6602 a year, deviations 2.1147, 1.4316, log likelihood -223.5013."""
    children = [[float(mm) for mm in child.split()] for child in ORTHODONT.split(",")]
    rows = [
        (str(child), 8.0 + 2 * place, mm) for child, all_mm in enumerate(children)
        for place, mm in enumerate(all_mm)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["child", "age", "distance"], orient="row")
    found = mixed_model(frame, outcome="distance", covariates=["age"], groups=["child"])
    assert found.fixed["value"].to_list() == pytest.approx([16.7611, 0.6602], abs=1e-4)
    assert found.components["standard_deviation"].to_list() == pytest.approx([2.1147, 1.4316], abs=1e-4)
    assert found.log_likelihood == pytest.approx(-223.5013, abs=1e-3)


def test_maintained_remission_as_r_has_it():
    """R's survival on `aml`: medians 31 and 23, log-rank 3.4 (p .065), Cox .9155, error .5119."""
    frame = survival({arm: weeks for arm, (weeks, _) in LEUKAEMIA.items()})
    curve = kaplan_meier(frame, duration="weeks", event="event", by=["arm"])
    medians = survival_quantile(curve, by=["arm"]).sort("arm")["value"].to_list()
    assert medians == [median for _, median in LEUKAEMIA.values()]
    test = log_rank_test(frame, duration="weeks", event="event", group="arm").row(0, named=True)
    assert test["statistic"] == pytest.approx(3.396389, abs=1e-5)
    assert test["p"] == pytest.approx(0.0653393, abs=1e-6)
    term = cox(frame, duration="weeks", event="event", covariates=["arm"]).row(0, named=True)
    assert (term["coefficient"], term["standard_error"]) == pytest.approx((0.9155, 0.5119), abs=1e-4)


def test_mercaptopurine_as_r_has_it():
    """R's survival on Freireich's two arms: log-rank 16.79; Cox 1.5721 (.4124) by Efron, 1.5092 (.4096) by
    Breslow."""
    frame = survival(REMISSION)
    test = log_rank_test(frame, duration="weeks", event="event", group="arm").row(0, named=True)
    assert test["statistic"] == pytest.approx(16.793, abs=1e-3)
    for ties, coefficient, error in (("efron", 1.5721, 0.4124), ("breslow", 1.5092, 0.4096)):
        term = cox(frame, duration="weeks", event="event", covariates=["arm"], ties=ties).row(0, named=True)
        assert (term["coefficient"], term["standard_error"]) == pytest.approx((coefficient, error), abs=1e-4)


def test_head_start_of_lucas_and_crosier():
    """Technometrics 24 (1982) 199-205, k .5, h 4, both sides: ARL 168, 26.6, 8.38, 3.34 at shifts 0, .5, 1,
    2; begun at half the limit 149, 20.1, 5.29, 2.01."""
    shifts = (0, 0.5, 1, 2)
    plain = [normal_cusum_arl(allowance=0.5, limit=4, shift=each, two_sided=True) for each in shifts]
    assert plain == pytest.approx([168, 26.6, 8.38, 3.34], rel=4e-3)
    ahead = [normal_cusum_arl(allowance=0.5, limit=4, shift=each, start=2, two_sided=True) for each in shifts]
    assert ahead == pytest.approx([149, 20.1, 5.29, 2.01], rel=4e-3)


def test_limits_of_hawkins():
    """Hawkins, Journal of Quality Technology 25 (1993) 463-477: for a two-sided ARL of 370 h is 8.01 at k
    .25, 4.77 at .5, 3.34 at .75, 2.52 at 1, 1.99 at 1.25."""
    wanted = {0.25: 8.01, 0.5: 4.77, 0.75: 3.34, 1.0: 2.52, 1.25: 1.99}
    limits = [normal_cusum_limit(370, allowance=allowance, two_sided=True) for allowance in wanted]
    assert np.round(limits, 2).tolist() == pytest.approx(list(wanted.values()), abs=0.011)


def test_what_has_no_e_value():
    """No ratio and a ratio of 0 have none; NaN, a ratio below 0 and a deviation of 0 are refused."""
    assert [e_value(None), e_value(0.0), e_value(1.0)] == [None, None, 1.0]
    for broken in (float("nan"), -1.0):
        with pytest.raises(CheckFailed, match="risk ratio: must be a number above 0"):
            e_value(broken)
    with pytest.raises(CheckFailed, match="standard deviation: must be above 0"):
        approximate_risk_ratio(1.0, 0.0)
