"""Effects: published results, other software, slow obvious versions, and what must not be answered."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from statsmodels.discrete.discrete_model import Logit
from statsmodels.regression.linear_model import OLS
from statsmodels.treatment.treatment_effects import TreatmentEffect

from producers.contracts.errors import CheckFailed
from tests.table import table
from tests.warehouse.published import BIRTH_WEIGHT_CHOICE, BIRTH_WEIGHT_OUTCOME, GODS, birth_weights
from warehouse.metrics.balance import balance_table
from warehouse.metrics.causal import aipw, crude, effects, iptw, standardisation
from warehouse.metrics.propensity import (
    effective_sample_size,
    fit_propensity,
    inverse_probability_weights,
    overlap_table,
)
from warehouse.metrics.sensitivity import approximate_risk_ratio, e_value, e_value_of_limit

pytestmark = pytest.mark.unit

SMOKING = {"outcome": "bweight", "treatment": "mbsmoke_"}


def numbers(row: pl.DataFrame) -> tuple[float, float]:
    return row["value"].item(), row["standard_error"].item()


def world(seed: int = 7, size: int = 800, effect: float = 0.5) -> pl.DataFrame:
    """Older scars (x) get the deeper protocol and gain less; true effect as given."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=size), rng.choice(["face", "neck", "thighs"], size)
    treated = rng.random(size) < 1 / (1 + np.exp(-(0.8 * x + 0.5 * (z == "neck"))))
    y = 1.0 - 0.7 * x + 0.4 * (z == "neck") + effect * treated + rng.normal(size=size)
    return pl.DataFrame({"x": x, "z": z, "treated": treated, "y": y, "responded": y > 1})


# ── published ───────────────────────────────────────────────────────────────────────────────────────────


def test_smoking_and_birth_weight_as_stata_has_it():
    """Regression adjustment of the Stata manual's example [TE] teffects ra: -239.64 (23.82), ATT -223.30
    (22.74); and IPTW and AIPW by logit as statsmodels' GMM has them, standard errors too."""
    births = birth_weights()
    ate = standardisation(births, covariates=BIRTH_WEIGHT_OUTCOME, **SMOKING)
    assert numbers(ate) == pytest.approx((-239.63921146, 23.82402100), abs=1e-6)
    att = standardisation(births, covariates=BIRTH_WEIGHT_OUTCOME, estimand="ATT", **SMOKING)
    assert numbers(att) == pytest.approx((-223.30165083, 22.74219517), abs=1e-6)
    told = births.to_pandas()
    select = Logit.from_formula("mbsmoke_ ~ mmarried_ + mage + mage2 + fbaby_ + medu", told).fit(disp=0)
    outcome = OLS.from_formula("bweight ~ prenatal1_ + mmarried_ + mage + fbaby_", told)
    theirs = TreatmentEffect(outcome, np.asarray(told["mbsmoke_"]), results_select=select)
    for method, ours in {
        "ipw": iptw(births, covariates=BIRTH_WEIGHT_CHOICE, **SMOKING),
        "aipw": aipw(
            births, covariates=BIRTH_WEIGHT_CHOICE, outcome_covariates=BIRTH_WEIGHT_OUTCOME,
            standard_error="stacked", **SMOKING,
        ),
    }.items():  # fmt: skip
        gmm = getattr(theirs, method)(return_results=True).results_gmm
        assert ours["value"].item() == pytest.approx(gmm.params[0], rel=1e-5)
        assert ours["standard_error"].item() == pytest.approx(gmm.bse[0], rel=1e-4)


def test_the_gods_of_causal_inference_what_if():
    """Twenty gods: the crude risk ratio is 1.26, standardised and weighted it is exactly 1 (ch. 2 and 7)."""
    gods = pl.DataFrame(GODS)
    found = effects(gods, outcome="Y", treatment="A", covariates=["L"], measure="ratio")
    assert found["value"].to_list() == pytest.approx([7 / 13 / (3 / 7), 1.0, 1.0, 1.0], abs=1e-9)
    assert found["mean_treated"].to_list()[1:] == pytest.approx([0.5] * 3, abs=1e-9)


def test_e_values_of_the_paper():
    """VanderWeele and Ding (2017): RR 3.9 (1.8 to 8.7) has E-values 7.26 and 3.0; RR 0.80 (0.71 to 0.91) has
    1.81 and 1.43; an interval that holds 1 has 1."""
    assert e_value(3.9) == pytest.approx(7.26, abs=0.005)
    assert e_value_of_limit(1.8, 8.7) == pytest.approx(3.0, abs=0.005)
    assert e_value(0.80) == pytest.approx(1.81, abs=0.005)
    assert e_value_of_limit(0.71, 0.91) == pytest.approx(1.43, abs=0.005)
    assert (e_value(1.0), e_value_of_limit(0.9, 1.2), e_value(None)) == (1.0, 1.0, None)
    assert approximate_risk_ratio(0.5, 1.0) == pytest.approx(math.exp(0.455))


# ── against libraries and slow versions ─────────────────────────────────────────────────────────────────


def test_the_propensity_is_that_of_statsmodels():
    """Coefficients, standard errors and scores of a logistic regression with a text covariate."""
    frame = world()
    model = fit_propensity(frame, treatment="treated", covariates=["x", "z"], version="2")
    x = pd.get_dummies(frame.select("x", "z").to_pandas(), drop_first=True).astype(float)
    theirs = sm.Logit(frame["treated"].to_numpy().astype(float), sm.add_constant(x)).fit(disp=0)
    kept = model.coefficients()
    assert kept["term"].to_list() == ["constant", "x", "z=neck", "z=thighs"]
    assert set(kept["version"]) == {"2"}
    assert kept["coefficient"].to_list() == pytest.approx(list(theirs.params), abs=1e-7)
    assert kept["standard_error"].to_list() == pytest.approx(list(theirs.bse), rel=1e-5)
    assert model.predict(frame.head(5)).to_list() == pytest.approx(list(theirs.predict()[:5]), abs=1e-8)


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_weighted_and_standardised_means_by_plain_loops(estimand):
    """Each estimate from its definition, row by row."""
    frame = world(size=300)
    scores = fit_propensity(frame, treatment="treated", covariates=["x", "z"]).scores
    sums = {True: [0.0, 0.0], False: [0.0, 0.0]}
    for row, e in zip(frame.iter_rows(named=True), scores, strict=True):
        target = {"ATE": 1.0, "ATT": e, "ATC": 1 - e}[estimand]
        weight = target / (e if row["treated"] else 1 - e)
        sums[row["treated"]][0] += weight * row["y"]
        sums[row["treated"]][1] += weight
    expected = sums[True][0] / sums[True][1] - sums[False][0] / sums[False][1]
    options = {"outcome": "y", "treatment": "treated", "covariates": ["x", "z"], "estimand": estimand}
    assert iptw(frame, **options)["value"].item() == pytest.approx(expected, abs=1e-9)
    told = frame.to_pandas()
    fits = [OLS.from_formula("y ~ x + z", told[told.treated == arm]).fit() for arm in (True, False)]
    kept = told if estimand == "ATE" else told[told.treated == (estimand == "ATT")]
    expected = float((fits[0].predict(kept) - fits[1].predict(kept)).mean())
    assert standardisation(frame, **options)["value"].item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
@pytest.mark.parametrize("method", ["iptw", "standardisation", "aipw"])
@pytest.mark.parametrize("measure", ["difference", "ratio"])
def test_standard_errors_are_those_of_the_jackknife(method, estimand, measure):
    """Leaving out one patient at a time says as much about the error, within 12 %."""
    frame = world(size=160)
    options = {
        "outcome": "responded", "treatment": "treated", "covariates": ["x"], "estimand": estimand,
        "measure": measure,
    }  # fmt: skip
    run = {"iptw": iptw, "standardisation": standardisation, "aipw": aipw}[method]
    if method == "aipw":
        options["standard_error"] = "stacked"
    row = run(frame, **options)
    left = []
    for i in range(frame.height):
        value = run(pl.concat([frame[:i], frame[i + 1 :]]), **options)["value"].item()
        left.append(math.log(value) if measure == "ratio" else value)
    jackknife = math.sqrt((frame.height - 1) / frame.height * np.sum((left - np.mean(left)) ** 2))
    assert row["standard_error"].item() == pytest.approx(jackknife, rel=0.12)


def test_a_pooled_model_with_a_named_interaction():
    """The treatment acts through a term of its own and the interactions asked for, as statsmodels
    predicts."""
    frame = world(size=400)
    ours = standardisation(frame, outcome="y", treatment="treated", covariates=["x", "z"], interactions=["x"])
    told = frame.to_pandas()
    told["treated"] = told["treated"].astype(float)
    fit = OLS.from_formula("y ~ x + z + treated + treated:x", told).fit()
    means = [float(fit.predict(told.assign(treated=value)).mean()) for value in (1.0, 0.0)]
    assert ours.select("mean_treated", "mean_control").row(0) == pytest.approx(means, abs=1e-9)


def test_crude_is_welch():
    """The crude difference has Welch's interval."""
    frame = world()
    ours = crude(frame, outcome="y", treatment="treated")
    arms = [sm.stats.DescrStatsW(frame.filter(treated=arm)["y"].to_numpy()) for arm in (True, False)]
    theirs = sm.stats.CompareMeans(*arms).tconfint_diff(usevar="unequal")
    assert ours.select("lower", "upper").row(0) == pytest.approx(theirs, abs=1e-9)


def test_adjustment_undoes_the_planted_confounding():
    """Half a grade of true effect: the crude interval misses it, the three adjusted ones hold it."""
    found = effects(world(size=3000), outcome="y", treatment="treated", covariates=["x", "z"])
    holds = ((found["lower"] <= 0.5) & (found["upper"] >= 0.5)).to_list()
    assert holds == [False, True, True, True]
    assert found["method"].to_list() == ["crude", "iptw", "standardisation", "aipw"]


def test_clusters_widen_the_error():
    """Every patient twice knows no more than once, when the copies are one cluster."""
    frame = world(size=400).with_row_index("patient")
    options = {"outcome": "y", "treatment": "treated", "covariates": ["x"]}
    once = iptw(frame, **options)
    twice = iptw(pl.concat([frame, frame]), cluster="patient", **options)
    assert twice["standard_error"].item() == pytest.approx(
        once["standard_error"].item() * math.sqrt(400 / 399), rel=1e-6
    )


@pytest.mark.parametrize("cluster", [None, "clinic"])
@pytest.mark.parametrize("outcome", ["responded", "grade"])
@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_equal_patients_taken_together_change_nothing(estimand, outcome, cluster):
    """Categories are worked on as cells of equal patients, fractions row by row: the same covariates written
    as fractions give every number of the row again, whatever the order of the patients."""
    rng = np.random.default_rng(23)
    told = world(size=1500).with_columns(
        deep=(pl.col("x") > 0).cast(pl.Int64), visits=pl.Series(rng.integers(1, 5, 1500)),
        clinic=pl.Series(rng.choice(["a", "b", "c", "d"], 1500)), grade=pl.col("y").round(),
    )  # fmt: skip
    options = {"outcome": outcome, "treatment": "treated", "covariates": ["deep", "visits", "z"]}
    options |= {"estimand": estimand, "cluster": cluster, "clip": (0.2, 0.7)}
    one_by_one = aipw(told.with_columns(pl.col("deep", "visits").cast(pl.Float64)), **options).row(0)
    for given in (told, told.sample(fraction=1, shuffle=True, seed=1)):
        together = aipw(given, **options)
        assert together["reason"].item() is None
        for found, expected in zip(together.row(0), one_by_one, strict=True):
            assert found == (pytest.approx(expected, rel=1e-9) if isinstance(expected, float) else expected)


def test_balance_before_and_after():
    """Means, standardised differences and variance ratios as by hand; weighting brings them near 0."""
    given = table("""
      treated | age  | area
      --------+------+-----
      true    | 30.0 | face
      true    | 40.0 | face
      true    | 50.0 | neck
      false   | 20.0 | face
      false   | 30.0 | neck
      false   | 40.0 | neck
    """)
    found = balance_table(given, treatment="treated", covariates=["age", "area"])
    third = (2 / 3 - 1 / 3) / math.sqrt((2 / 9 + 2 / 9) / 2)
    assert found["term"].to_list() == ["age", "area=face", "area=neck"]
    assert found["smd"].to_list() == pytest.approx([1.0, third, -third])
    assert found["variance_ratio"].to_list() == [1.0, None, None]
    frame = world(size=3000)
    model = fit_propensity(frame, treatment="treated", covariates=["x", "z"])
    weighted = frame.with_columns(w=pl.Series(inverse_probability_weights(model.scores, model.treated)))
    after = balance_table(weighted, treatment="treated", covariates=["x", "z"], weights="w")
    assert after["smd"].abs().max() > 0.5
    assert after["smd_weighted"].abs().max() < 0.05


def test_overlap_and_effective_size():
    """Equal weights know as much as their number; the table counts what lies outside and what was clipped."""
    assert effective_sample_size([2.0] * 10) == pytest.approx(10)
    assert effective_sample_size([1.0, 0.0, 0.0]) == pytest.approx(1)
    assert effective_sample_size([]) == 0.0
    frame = world()
    model = fit_propensity(frame, treatment="treated", covariates=["x", "z"])
    found = overlap_table(model, clip=(0.2, 0.8))
    assert found["size"].sum() == frame.height
    moved = ((model.scores < 0.2) | (model.scores > 0.8)).mean()
    assert (found["clipped_share"] * found["size"]).sum() / frame.height == pytest.approx(moved)
    row = iptw(frame, outcome="y", treatment="treated", covariates=["x", "z"], clip=(0.2, 0.8))
    assert row["clipped_share"].item() == pytest.approx(moved)
    whole = iptw(frame, outcome="y", treatment="treated", covariates=["x", "z"])
    assert whole["clipped_share"].item() == 0.0


# ── not estimable, and refused ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (world().head(0), "0 patients of one protocol and 0 of the other"),
        (world().filter("treated"), "and 0 of the other"),
        (world().filter(pl.col("treated") == (pl.col("x") > 0)), "no overlap"),
        (world().with_columns(x=pl.lit(1.0)), "determine"),
    ],
)
def test_what_cannot_be_estimated_says_why(frame, reason):
    """Empty, one arm, no overlap, collinear: null numbers and a named reason, never a NaN."""
    found = effects(frame, outcome="y", treatment="treated", covariates=["x", "z"])
    adjusted = found.filter(pl.col("method").is_in(["iptw", "aipw"]))
    for row in adjusted.iter_rows(named=True):
        assert (row["value"], row["lower"], row["e_value"]) == (None, None, None)
        assert row["reason"].startswith("not estimable: ")
        assert reason in row["reason"]
    assert not any(found.select(pl.col(pl.Float64).is_nan().any()).row(0))


def test_an_outcome_that_never_varies_has_no_effect():
    """All patients with the same score: no spread, no interval."""
    found = crude(world().with_columns(y=pl.lit(2.0)), outcome="y", treatment="treated")
    assert found["reason"].item() == "not estimable: the outcome does not vary"


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (world().drop("x"), {}, r"x: column is missing"),
        (world().with_columns(x=pl.lit(float("nan"))), {}, r"x: must not be NaN"),
        (world().with_columns(y=pl.lit("good")), {}, r"y: must be a number, is String"),
        (world().with_columns(treated=pl.lit(2)), {}, r"treated: must be true or false, or 0 or 1"),
        (world(), {"clip": (0.5, 0.2)}, r"clip: "),
        (world(), {"level": 95}, r"level: "),
        (world(), {"estimand": "LATE"}, r"estimand: "),
    ],
)
def test_broken_input_is_refused(frame, options, message):
    """The frame, the column and the rule are named."""
    with pytest.raises(CheckFailed, match=message):
        iptw(frame, **{"outcome": "y", "treatment": "treated", "covariates": ["x", "z"], **options})
