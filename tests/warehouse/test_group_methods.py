"""Standardisation, case mix, shrinkage, disproportionality, indicators, trends, reporting, tracing."""

import math

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import integrate, optimize, stats
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2
from statsmodels.stats.multitest import multipletests

from producers.contracts.errors import CheckFailed
from tests.table import table
from warehouse.metrics import (
    case_mix,
    disproportionality,
    reporting,
    shrinkage,
    standardisation,
    tracing,
    trends,
)
from warehouse.metrics import risk_indicators as kri
from warehouse.metrics.shrinkage import GammaMixture, NotFitted

pytestmark = pytest.mark.unit


def no_nan(frame: pl.DataFrame) -> bool:
    return not any(frame.select(pl.col(pl.Float64).is_nan().any()).row(0))


# ── standardisation ─────────────────────────────────────────────────────────────────────────────────────

CELLS = """
  group | stratum | events | exposure
  ------+---------+--------+---------
  a     | young   | 1      | 100.0
  a     | old     | 3      | 50.0
  b     | young   | 4      | 200.0
  b     | old     | 0      | 10.0
  c     | young   | 0      | 0.0
  c     | old     | 0      | 0.0
"""


def test_indirect_standardisation_by_hand():
    """Stratum rates 5/300 and 3/60: 4.17 and 3.83 expected; nobody at risk has no ratio."""
    found = standardisation.indirect_standardisation(table(CELLS))
    assert found["expected"].to_list() == pytest.approx([100 / 60 + 2.5, 200 / 60 + 0.5, 0.0])
    assert found["value"].to_list()[2] is None
    assert found["reason"].to_list() == [None, None, "nothing expected"]
    assert found["observed"].sum() == pytest.approx(found["expected"].sum())


def test_exact_limits_of_a_ratio():
    """8 observed, 10.7 expected: 0.75, 0.32 to 1.47 (Garwood's limits 3.454 and 15.763 over 10.7)."""
    found = standardisation.observed_expected_ratio(8, 10.7).row(0, named=True)
    assert [round(found[x], 2) for x in ("value", "lower", "upper")] == [0.75, 0.32, 1.47]


def test_direct_standardisation_agrees_with_its_formula():
    """Weights 0.7 and 0.3, the gamma limits of Fay and Feuer written out with scipy's chi-squared."""
    found = standardisation.direct_standardisation(
        table(CELLS), table("stratum | weight\nyoung | 7\nold | 3"), per=1000
    )
    for row, cells in zip(
        found.head(2).iter_rows(named=True), ([(1, 100), (3, 50)], [(4, 200), (0, 10)]), strict=True
    ):
        w = [0.7 / cells[0][1], 0.3 / cells[1][1]]
        y, v = (
            sum(a * x for a, (x, _) in zip(w, cells, strict=True)),
            sum(a * a * x for a, (x, _) in zip(w, cells, strict=True)),
        )
        k = max(w)
        lower = v / (2 * y) * stats.chi2.ppf(0.025, 2 * y * y / v)
        upper = (v + k * k) / (2 * (y + k)) * stats.chi2.ppf(0.975, 2 * (y + k) ** 2 / (v + k * k))
        assert [row[x] for x in ("value", "lower", "upper")] == pytest.approx(
            [1000 * z for z in (y, lower, upper)]
        )
    assert found["reason"][2] == "no exposure in some stratum of the standard"
    assert no_nan(found)


def test_one_stratum_is_the_exact_interval():
    """With a single stratum both methods give Garwood's limits."""
    one = table("group | stratum | events | exposure\na | all | 7 | 70.0\nb | all | 0 | 70.0")
    standard = table("stratum | weight\nall | 1")
    for method in ("gamma", "dobson"):
        found = standardisation.direct_standardisation(one, standard, method=method)
        assert found["lower"][0] == pytest.approx(2.814 / 70, abs=1e-5)
        assert found["upper"][0] == pytest.approx(14.423 / 70, abs=1e-5)
    gamma = standardisation.direct_standardisation(one, standard)
    assert gamma["upper"][1] == pytest.approx(3.689 / 70, abs=1e-5)


# ── case mix ────────────────────────────────────────────────────────────────────────────────────────────


def random_sessions(rng: np.random.Generator, n: int = 3000) -> pl.DataFrame:
    skin, depth = rng.integers(1, 7, n), rng.uniform(0.5, 2.5, n)
    risk = 1 / (1 + np.exp(-(-4 + 0.3 * skin + 0.5 * depth)))
    return pl.DataFrame(
        {
            "skin": skin.astype(str),
            "depth": depth,
            "y": (rng.random(n) < risk).astype(int),
            "t": rng.uniform(1, 9, n),
        }
    )


@pytest.mark.parametrize("family", ["logistic", "poisson"])
def test_regression_agrees_with_statsmodels(family):
    """Coefficients, errors, deviance and predictions of random sessions."""
    rows = random_sessions(np.random.default_rng(1))
    exposure = "t" if family == "poisson" else None
    model = case_mix.fit(
        rows, outcome="y", categories=["skin"], numbers=["depth"], family=family, exposure=exposure
    )
    reference = model.levels["skin"][0]
    dummies = [name for name in model.levels["skin"] if name != reference]
    x = np.column_stack(
        [np.ones(rows.height), *((rows["skin"] == name).to_numpy() for name in dummies), rows["depth"]]
    ).astype(float)
    kind = sm.families.Binomial() if family == "logistic" else sm.families.Poisson()
    theirs = sm.GLM(
        rows["y"].to_numpy(), x, family=kind, exposure=rows["t"].to_numpy() if exposure else None
    ).fit()
    assert model.coefficients == pytest.approx(theirs.params, abs=1e-6)
    assert model.errors == pytest.approx(theirs.bse, abs=1e-5)
    assert model.deviance == pytest.approx(theirs.deviance, rel=1e-8)
    ours = case_mix.predict(model, rows, exposure=exposure)
    assert ours.to_list() == pytest.approx(theirs.fittedvalues, rel=1e-6)


def test_cells_are_the_same_as_sessions():
    """Fitting grouped sessions with their number gives the coefficients of fitting each."""
    rows = random_sessions(np.random.default_rng(2)).with_columns(pl.col("depth").round(0))
    cells = rows.group_by("skin", "depth").agg(n=pl.len(), y=pl.col("y").sum())
    each = case_mix.fit(rows, outcome="y", categories=["skin"], numbers=["depth"])
    grouped = case_mix.fit(cells, outcome="y", categories=["skin"], numbers=["depth"], weight="n")
    assert dict(zip(each.terms, each.coefficients, strict=True)) == pytest.approx(
        dict(zip(grouped.terms, grouped.coefficients, strict=True)), abs=1e-6
    )


def test_a_level_without_events_is_named():
    """Separation does not stop the fit: the term is named, and a small penalty holds it."""
    rows = pl.DataFrame({"k": ["a"] * 50 + ["b"] * 50, "y": [0] * 40 + [1] * 10 + [0] * 50})
    assert case_mix.fit(rows, outcome="y", categories=["k"]).separated == ("k=b",) or case_mix.fit(
        rows, outcome="y", categories=["k"]
    ).separated == ("k=a",)
    held = case_mix.fit(rows, outcome="y", categories=["k"], penalty=1.0)
    assert held.separated == ()
    assert abs(held.coefficients[1]) < 6


def test_calibration_by_plain_loops():
    """Hosmer-Lemeshow by deciles, the c statistic over all pairs, and the line on the logit by
    statsmodels."""
    rng = np.random.default_rng(4)
    p = rng.uniform(0.05, 0.6, 400)
    y = (rng.random(400) < p).astype(int)
    found = case_mix.calibration(y, p)
    order = np.argsort(p)
    slow = 0.0
    for part in np.array_split(order, 10):
        e, n = p[part].sum(), len(part)
        slow += (y[part].sum() - e) ** 2 / (e * (1 - e / n))
    assert found.hosmer_lemeshow == pytest.approx(slow)
    pairs = [(a > b) + (a == b) / 2 for a in p[y == 1] for b in p[y == 0]]
    assert found.c_statistic == pytest.approx(np.mean(pairs))
    line = sm.GLM(
        y, np.column_stack([np.ones(400), np.log(p / (1 - p))]), family=sm.families.Binomial()
    ).fit()
    assert (found.intercept, found.slope) == pytest.approx(tuple(line.params), abs=1e-6)
    flat = case_mix.calibration([0, 0], [0.5, 0.5])
    assert (flat.c_statistic, flat.slope, flat.p) == (None, None, None)


# ── shrinkage ───────────────────────────────────────────────────────────────────────────────────────────

CAERS = GammaMixture(3.25379064, 0.39988801, 2.02613219, 1.90808279, 0.06534557)


def test_ebgm_as_published():
    """The posterior scores that the openEBGM vignette prints for the FDA's CAERS reports."""
    published = table("""
      n  | e            | ebgm  | eb05  | eb95
      ---+--------------+-------+-------+-------
      1  | 0.0360548272 | 2.23  | 0.49  | 13.85
      1  | 0.0038736591 | 2.58  | 0.52  | 15.78
      1  | 0.0002979738 | 2.63  | 0.52  | 16.02
      1  | 0.0765792610 | 1.92  | 0.47  | 11.77
      1  | 0.0527413588 | 2.09  | 0.48  | 12.95
      16 | 0.40643623   | 23.26 | 15.68 | 33.48
      19 | 0.89690107   | 16.78 | 11.65 | 23.55
      6  | 0.07866508   | 18.28 | 10.16 | 30.83
      8  | 0.30482718   | 15.25 | 9.00  | 24.52
      11 | 0.56317044   | 14.28 | 8.98  | 21.78
    """)
    found = shrinkage.ebgm(published["n"], published["e"], CAERS)
    for name in ("ebgm", "eb05", "eb95"):
        assert found[name].to_list() == pytest.approx(published[name].to_list(), abs=0.011)
    weights = shrinkage.posterior_weight(CAERS, [1, 1, 1], [0.0360548272, 0.0038736591, 0.0002979738])
    assert weights.tolist() == pytest.approx([0.2819736, 0.3409652, 0.3482316], abs=1e-6)


def test_posterior_by_integration():
    """Geometric mean and quantiles of one pair by numerical integration of prior times Poisson."""
    n, e = 4, 2.5

    def density(x: float) -> float:
        prior = CAERS.p * stats.gamma.pdf(x, CAERS.alpha1, scale=1 / CAERS.beta1)
        prior += (1 - CAERS.p) * stats.gamma.pdf(x, CAERS.alpha2, scale=1 / CAERS.beta2)
        return prior * stats.poisson.pmf(n, x * e)

    total = integrate.quad(density, 0, 60, limit=300)[0]
    log_mean = integrate.quad(lambda x: density(x) * math.log(x), 1e-12, 60, limit=300)[0] / total
    found = shrinkage.ebgm(n, e, CAERS).row(0, named=True)
    assert found["ebgm"] == pytest.approx(math.exp(log_mean), rel=1e-6)
    assert integrate.quad(density, 0, found["eb05"])[0] / total == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("minimum", [0, 1])
def test_the_fit_finds_the_prior_it_was_drawn_from(minimum):
    """20 000 pairs: the likelihood is at least the truth's, its gradient is right, and starts agree."""
    rng = np.random.default_rng(8)
    first = rng.random(20_000) < CAERS.p
    ratio = np.where(
        first,
        rng.gamma(CAERS.alpha1, 1 / CAERS.beta1, 20_000),
        rng.gamma(CAERS.alpha2, 1 / CAERS.beta2, 20_000),
    )
    e = rng.lognormal(0, 1, 20_000)
    n = rng.poisson(ratio * e)
    n, e = n[n >= minimum], e[n >= minimum]
    found = shrinkage.fit_gamma_mixture(n, e, minimum_count=minimum)
    assert isinstance(found, GammaMixture)
    assert found.starts_agreeing >= 2
    truth = shrinkage.gamma_mixture_log_likelihood(CAERS, n, e, minimum_count=minimum)
    assert truth <= found.log_likelihood < truth + 10
    assert found.p == pytest.approx(CAERS.p, abs=0.02)
    slow = stats.nbinom.logpmf(n[:50], CAERS.alpha2, CAERS.beta2 / (CAERS.beta2 + e[:50])).sum()
    single = GammaMixture(1, 1, CAERS.alpha2, CAERS.beta2, 1e-12)
    assert shrinkage.gamma_mixture_log_likelihood(single, n[:50], e[:50]) == pytest.approx(slow, rel=1e-8)


def test_beta_binomial_agrees_with_scipy():
    """The maximum of scipy's beta-binomial likelihood; a group without trials gets the prior."""
    rng = np.random.default_rng(6)
    n = rng.integers(5, 60, 80)
    x = rng.binomial(n, rng.beta(2, 14, 80))
    found = shrinkage.fit_beta(x, n)
    best = optimize.minimize(
        lambda t: -stats.betabinom.logpmf(x, n, math.exp(t[0]), math.exp(t[1])).sum(),
        [0, 1],
        method="Nelder-Mead",
    )
    assert found.log_likelihood == pytest.approx(-best.fun, abs=1e-4)
    shrunk = shrinkage.shrunken_proportion([0, 3], [0, 30], shrinkage.BetaPrior(2, 14))
    assert shrunk["value"].to_list() == pytest.approx([2 / 16, 5 / 46])


def test_no_fit_has_a_reason():
    """Without events, or with one group, there is no prior; nothing is NaN."""
    assert isinstance(shrinkage.fit_gamma_mixture([0, 0], [1.0, 2.0]), NotFitted)
    found = shrinkage.ebgm([0, 0], [1.0, 2.0])
    assert found["ebgm"].to_list() == [None, None]
    assert found["reason"][0].startswith("a prior needs")
    assert isinstance(shrinkage.fit_beta([0, 0], [3, 4]), NotFitted)
    assert isinstance(shrinkage.fit_beta([3, 4], [3, 4]), NotFitted)


# ── disproportionality ──────────────────────────────────────────────────────────────────────────────────


def random_reports(rng: np.random.Generator, n: int = 3000) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "report": rng.integers(0, n // 2, n),
            "product": [f"p{i}" for i in rng.integers(0, 5, n)],
            "event": [f"e{i}" for i in rng.integers(0, 6, n)],
        }
    ).with_columns(stratum=(pl.col("report") % 3).cast(pl.String))


@pytest.mark.parametrize("strata", [None, "stratum"])
def test_counts_by_plain_loops(strata):
    """Distinct reports per pair, product and event, counted by sets; rows said twice change nothing."""
    reports = random_reports(np.random.default_rng(9))
    found = disproportionality.contingency(pl.concat([reports, reports.head(500)]), strata=strata)
    for row in found.sample(30, seed=1).iter_rows(named=True):
        mine = reports if strata is None else reports.filter(pl.col("stratum") == row["stratum"])
        product = set(mine.filter(pl.col("product") == row["product"])["report"])
        event = set(mine.filter(pl.col("event") == row["event"])["report"])
        both = set(
            mine.filter(pl.col("product") == row["product"], pl.col("event") == row["event"])["report"]
        )
        assert (row["reports"], row["product_reports"], row["event_reports"], row["total_reports"]) == (
            len(both),
            len(product),
            len(event),
            mine["report"].n_unique(),
        )


def test_measures_agree_with_statsmodels():
    """PRR and ROR with intervals, unstratified by Table2x2, stratified odds ratio by StratifiedTable."""
    reports = random_reports(np.random.default_rng(10))
    pairs = disproportionality.contingency(reports)
    found = disproportionality.disproportionality(pairs)
    for pair, row in zip(
        pairs.head(10).iter_rows(named=True), found.head(10).iter_rows(named=True), strict=True
    ):
        a, b = pair["reports"], pair["product_reports"] - pair["reports"]
        c = pair["event_reports"] - a
        theirs = Table2x2([[a, b], [c, pair["total_reports"] - a - b - c]])
        assert (row["prr"], row["prr_lower"], row["prr_upper"]) == pytest.approx(
            (theirs.riskratio, *theirs.riskratio_confint())
        )
        assert (row["ror"], row["ror_lower"], row["ror_upper"]) == pytest.approx(
            (theirs.oddsratio, *theirs.oddsratio_confint())
        )
    strata = disproportionality.contingency(reports, strata="stratum")
    row = disproportionality.disproportionality(strata).row(0, named=True)
    tables = [
        [
            [s["reports"], s["product_reports"] - s["reports"]],
            [
                s["event_reports"] - s["reports"],
                s["total_reports"] - s["product_reports"] - s["event_reports"] + s["reports"],
            ],
        ]
        for s in strata.head(3).iter_rows(named=True)
    ]
    theirs = StratifiedTable([np.array(t, dtype=float) for t in tables])
    assert (row["ror"], row["ror_lower"], row["ror_upper"]) == pytest.approx(
        (theirs.oddsratio_pooled, *theirs.oddsratio_pooled_confint())
    )
    assert row["prr"] == pytest.approx(theirs.riskratio_pooled)


def test_information_component():
    """log2((n + 1/2)/(E + 1/2)), near the approximation that Noren et al. (2013) give for its limits."""
    pairs = pl.DataFrame(
        {"product": ["x", "y"], "event": ["u", "u"], "stratum": ["all"] * 2, "reports": [20, 0]}
        | {"product_reports": [100, 50], "event_reports": [60, 60], "total_reports": [1000, 1000]}
    )
    found = disproportionality.disproportionality(pairs)
    assert found["ic"][0] == pytest.approx(math.log2(20.5 / 6.5))
    approx = found["ic"][0] - 3.3 * 20.5**-0.5 - 2 * 20.5**-1.5
    assert found["ic_lower"][0] == pytest.approx(approx, abs=0.06)
    assert found["ic"][1] < 0
    assert found["reason"][1].startswith("never reported together")
    assert no_nan(found)


# ── key risk indicators ─────────────────────────────────────────────────────────────────────────────────


def test_benjamini_hochberg_1995():
    """The fifteen p-values of Benjamini and Hochberg (1995), section 4: four are rejected at 0.05."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]  # fmt: skip  # noqa: E501
    assert (kri.benjamini_hochberg(p) <= 0.05).sum() == 4
    assert kri.benjamini_hochberg(p).tolist() == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert kri.benjamini_yekutieli(p).tolist() == pytest.approx(multipletests(p, method="fdr_by")[1])


def test_hierarchy():
    """Operators are tested only within rejected clinics, at a level that shrinks with the clinics
    rejected."""
    tests = table("""
      id    | parent | p
      ------+--------+-------
      north |        | 0.001
      east  |        | 0.6
      n/ann | north  | 0.01
      n/bob | north  | 0.9
      e/cat | east   | 0.0001
    """)
    found = kri.hierarchical_fdr(tests)
    assert found["rejected"].to_list() == [True, False, True, False, False]
    assert found["q"].to_list() == pytest.approx([0.002, 0.6, 0.04, 1.0, None])


@pytest.mark.parametrize(("kind", "target"), [("proportion", 0.1), ("rate", 0.05), ("ratio", 1.0)])
def test_funnel_limits_hold_their_level(kind, target):
    """A count beyond a limit is at most as likely as the level says, the next one inside is not."""
    sizes = [1.0, 7.0, 30.0, 400.0]
    found = kri.funnel_limits([*sizes, 0.0], target=target, kind=kind, level=0.95)
    assert found.row(4)[2:] == (None, None)
    for n, lower, upper in zip(sizes, found["lower"], found["upper"], strict=False):
        spread = stats.binom(n, target) if kind == "proportion" else stats.poisson(n * target)
        assert spread.sf(round(upper * n)) <= 0.025 < spread.sf(round(upper * n) - 1)
        assert spread.cdf(round(lower * n) - 1) < 0.025 <= spread.cdf(round(lower * n))


def test_interpolated_limits_are_spiegelhalters():
    """(r - alpha) / n with alpha the share of r's probability beyond the level, appendix A.1.1; 12 at 0.1."""
    found = kri.funnel_limits(12, target=0.1, method="interpolated").row(0, named=True)
    spread = stats.binom(12, 0.1)
    r = int(spread.ppf(0.975))
    alpha = (spread.cdf(r) - 0.975) / (spread.cdf(r) - spread.cdf(r - 1))
    assert found["upper"] == pytest.approx((r - alpha) / 12)
    normal = kri.funnel_limits(100, target=0.1, method="normal", multiplicative=4.0).row(0, named=True)
    assert normal["upper"] == pytest.approx(0.1 + 1.959964 * 2 * 0.03, abs=1e-6)


def test_over_dispersion_by_hand():
    """Winsorising draws in the outermost tenth; tau is DerSimonian and Laird's by the plain formula."""
    z = np.array([-3.0, -1, -0.5, 0, 0.2, 0.4, 0.8, 1.2, 1.5, 6.0])
    drawn = np.clip(z, np.quantile(z, 0.1), np.quantile(z, 0.9))
    assert kri.winsorise(z).tolist() == pytest.approx(drawn.tolist())
    errors = np.linspace(0.1, 0.4, 10)
    found = kri.over_dispersion(z, errors, outliers="keep")
    w = 1 / errors**2
    tau2 = ((z**2).sum() - 9) / (w.sum() - (w**2).sum() / w.sum())
    assert (found.phi, found.tau) == pytest.approx(((z**2).mean(), math.sqrt(tau2)))
    assert kri.over_dispersion([0.1, -0.2, 0.3]).tau == 0.0
    assert kri.over_dispersion([5.0]).phi == 1.0


def test_the_indicator_flags_what_is_out():
    """A clinic with twice the expected is flagged, one with few events is not; nothing expected
    has a reason."""
    groups = table("""
      clinic | observed | expected
      -------+----------+---------
      a      | 60       | 30.0
      b      | 2        | 0.5
      c      | 29       | 31.0
      d      | 0        | 0.0
      e      | 0        | 12.0
    """)
    both_sides = kri.Thresholds(q_high=0.05, q_low=0.05)
    found = kri.key_risk_indicator(groups, thresholds=both_sides)
    assert found["flag"].to_list() == ["high", None, None, None, "low"]
    assert found["reason"].to_list() == [None, None, None, "nothing expected", None]
    assert kri.key_risk_indicator(groups)["flag"].to_list() == ["high", None, None, None, None]
    assert no_nan(found)
    for dispersion in ("multiplicative", "additive"):
        wider = kri.key_risk_indicator(groups, dispersion=dispersion)
        assert wider["p"][0] > found["p"][0]
    single = kri.key_risk_indicator(table("observed | expected\n3 | 3.0"))
    assert single["p"][0] == 1.0


def test_fisher_indicator_edges():
    """One clinic has nothing to compare with; where no other has an event the ratio has no value,
    but a flag."""
    alone = kri.binomial_indicator(table("events | trials\n3 | 10"))
    assert alone["reason"].to_list() == ["only one group: nothing to compare with"]
    lone = kri.binomial_indicator(table("events | trials\n9 | 20\n0 | 200\n0 | 0"))
    assert lone["flag"].to_list() == ["high", None, None]
    assert lone["value"][0] is None
    assert no_nan(lone)


# ── trends ──────────────────────────────────────────────────────────────────────────────────────────────


def test_drinking_and_malformations():
    """Agresti, Categorical Data Analysis, 2nd ed., section 5.3.5: z squared 6.57, p 0.010."""
    found = trends.cochran_armitage([48, 38, 5, 1, 1], [17114, 14502, 793, 127, 38], [0, 0.5, 1.5, 4, 7])
    assert found.z**2 == pytest.approx(6.57, abs=0.01)
    assert found.p == pytest.approx(0.0104, abs=0.0002)


def test_severity_trend_is_kendalls():
    """Jonckheere and Terpstra's z with ties is that of Kendall's tau over the single events."""
    rng = np.random.default_rng(12)
    for _ in range(20):
        period, grade = rng.integers(0, 4, 40), rng.integers(1, 5, 40)
        ours = trends.severity_trend(
            pl.DataFrame({"period": period, "grade": grade}), alternative="two-sided"
        )
        assert ours.p == pytest.approx(stats.kendalltau(period, grade, method="asymptotic").pvalue, abs=1e-9)


def test_frequency_trend_agrees_with_a_score_test():
    """The Poisson trend's z squared is statsmodels' score test of the slope; no events, no test."""
    x, t = np.array([3, 5, 4, 9]), np.array([100.0, 120, 90, 110])
    found = trends.poisson_trend(x, t)
    design = np.column_stack([np.ones(4), np.arange(4)])
    null = sm.GLM(x, design[:, :1], family=sm.families.Poisson(), exposure=t).fit()
    assert found.z**2 == pytest.approx(null.score_test(exog_extra=design[:, 1:])[0].item(), rel=1e-6)
    assert trends.poisson_trend([0, 0], [5, 5]).reason == "no events"
    assert trends.severity_trend(pl.DataFrame({"period": [1, 2], "grade": [2, 2]})).p is None


# ── reporting ───────────────────────────────────────────────────────────────────────────────────────────


def clinic_sessions(
    rng: np.random.Generator, clinics: int, patients: int, silent: str | None = None
) -> pl.DataFrame:
    rows = [
        (f"c{c}", f"p{p}", n, 0 if f"c{c}" == silent else int(rng.random() < 0.15))
        for c in range(clinics)
        for p in range(patients)
        for n in range(rng.integers(1, 5))
    ]
    return pl.DataFrame(rows, schema=["clinic_id", "patient_key", "session_number", "events"], orient="row")


def test_reporting_is_what_the_bootstrap_tends_to():
    """Exact p-values lie within the noise of 20 000 resamples; a silent clinic is under, without NaN."""
    sessions = clinic_sessions(np.random.default_rng(13), 6, 30, silent="c2")
    exact = reporting.reporting(sessions)
    drawn = reporting.reporting(sessions, method="bootstrap", resamples=20_000)
    for name in ("p_under", "p_over"):
        assert exact[name].to_list() == pytest.approx(drawn[name].to_list(), abs=0.015)
    assert exact["expected"].to_list() == pytest.approx(drawn["expected"].to_list())
    assert exact.row(2, named=True)["flag"] == "under"
    assert exact["flag"].null_count() == 5
    assert no_nan(exact)


def test_expected_by_plain_loops():
    """A clinic's expected events: for each patient the mean of others' events by the same session."""
    sessions = clinic_sessions(np.random.default_rng(14), 4, 15)
    found = reporting.reporting(sessions, smallest_pool=1)
    by_patient: dict[tuple[str, str], list[int]] = {}
    for clinic, patient, _, events in sessions.iter_rows():
        by_patient.setdefault((clinic, patient), []).append(events)
    for row in found.iter_rows(named=True):
        expected = observed = 0.0
        for (clinic, _), mine in by_patient.items():
            if clinic != row["clinic_id"]:
                continue
            others = [(e, len(e)) for (c, _), e in by_patient.items() if c != clinic]
            n = max(k for k in range(len(mine) + 1) if any(size >= k for _, size in others))
            pool = [sum(e[:n]) for e, size in others if size >= n]
            expected, observed = expected + sum(pool) / len(pool), observed + sum(mine[:n])
        assert (row["observed"], row["expected"]) == (observed, pytest.approx(expected))


def test_low_coverage_is_the_first_suspect():
    """A silent clinic that follows up few sessions points to its coverage; one clinic alone has a reason."""
    sessions = clinic_sessions(np.random.default_rng(15), 5, 40, silent="c1")
    few = sessions.with_columns(followed_up=(pl.col("clinic_id") != "c1") | (pl.col("session_number") == 3))
    assert reporting.reporting(few).row(1, named=True)["first_suspect"] == "follow-up coverage"
    assert reporting.reporting(sessions).row(1, named=True)["first_suspect"] == "reporting"
    alone = reporting.reporting(sessions.filter(pl.col("clinic_id") == "c0"))
    assert alone["reason"].to_list() == ["no patients elsewhere with as many sessions"]
    quiet = reporting.reporting(sessions.with_columns(events=pl.lit(0)))
    assert set(quiet["reason"]) == {"no events elsewhere to expect any from"}
    assert no_nan(quiet)
    assert reporting.reporting(sessions.clear()).height == 0


# ── tracing ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_events_share():
    """Of one clinic's sessions the events share a lot; its p is Fisher's."""
    sessions = pl.DataFrame(
        {
            "session_id": [str(i) for i in range(40)],
            "clinic_id": ["north"] * 30 + ["east"] * 10,
            "cartridge_lot": ["bad"] * 8 + [None] * 2 + ["good"] * 30,
            "firmware": ["1.0", "1.1"] * 20,
            "events": [1, 2, 1, 1, 1, 1, 0, 0] + [0] * 30 + [1, 1],
        }
    )
    mine = tracing.trace(sessions, {"clinic_id": "north"})
    assert mine.height == 30
    found = tracing.shared_features(mine, ["cartridge_lot", "firmware"])
    first = found.row(0, named=True)
    assert (first["feature"], first["level"], first["sessions_with_event"], first["of_with_event"]) == (
        "cartridge_lot",
        "bad",
        6,
        6,
    )
    assert first["p"] == pytest.approx(stats.fisher_exact([[6, 0], [2, 22]], alternative="greater")[1])
    assert tracing.shared_features(mine.with_columns(events=pl.lit(0)), ["firmware"]).height == 0


# ── bad input ───────────────────────────────────────────────────────────────────────────────────────────

REPORTS = random_reports(np.random.default_rng(1), 20)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: standardisation.indirect_standardisation(table(CELLS).drop("exposure")),
            "^strata.exposure: column is missing",
        ),
        (
            lambda: standardisation.indirect_standardisation(pl.concat([table(CELLS)] * 2)),
            "^strata: group, stratum must be unique",
        ),
        (
            lambda: standardisation.indirect_standardisation(table(CELLS).with_columns(exposure=-1.0)),
            "^strata.exposure: must not be negative",
        ),
        (
            lambda: standardisation.indirect_standardisation(
                table(CELLS), reference=table("stratum | events | exposure\nyoung | 1 | 9")
            ),
            "must have a rate in the reference",
        ),
        (
            lambda: case_mix.fit(random_sessions(np.random.default_rng(1), 50), outcome="z"),
            "^rows.z: column is missing",
        ),
        (lambda: case_mix.fit(pl.DataFrame({"y": [0, 0]}), outcome="y"), "needs events and non-events"),
        (
            lambda: case_mix.fit(
                pl.DataFrame({"y": [0, 1], "d": [1.0, float("nan")]}), outcome="y", numbers=["d"]
            ),
            "^rows.d: must be finite",
        ),
        (lambda: shrinkage.ebgm([1], [0.0]), "^expected: must be positive"),
        (lambda: GammaMixture(1, 1, -1, 1, 0.5), "^prior: "),
        (lambda: disproportionality.contingency(REPORTS.drop("event")), "^reports.event: column is missing"),
        (
            lambda: disproportionality.contingency(REPORTS.with_columns(report=pl.lit(1)), strata="stratum"),
            "must belong to one stratum",
        ),
        (
            lambda: kri.key_risk_indicator(pl.DataFrame({"observed": [1.5], "expected": [1.0]})),
            "^groups.observed: must be whole",
        ),
        (
            lambda: kri.hierarchical_fdr(pl.DataFrame({"id": ["a"], "parent": ["b"], "p": [0.1]})),
            "^tests.parent: names 1 ids",
        ),
        (
            lambda: reporting.reporting(pl.DataFrame({"clinic_id": ["a"]})),
            "^sessions.patient_key: column is missing",
        ),
        (
            lambda: trends.severity_trend(pl.DataFrame({"period": [1], "grade": [7]})),
            "^events.grade: must lie between 1 and 5",
        ),
        (
            lambda: tracing.trace(pl.DataFrame({"session_id": ["a", "a"], "events": [1, 1]}), {}),
            "must be unique",
        ),
    ],
)
def test_what_breaks_a_rule_is_named(call, message):
    """Frame, column and rule in one line."""
    with pytest.raises(CheckFailed, match=message):
        call()
