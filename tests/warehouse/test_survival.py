"""Time to an event: published curves and tests, lifelines, slow versions, and the ends of every range."""

import math

import numpy as np
import polars as pl
import pytest
from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test

from producers.contracts.errors import CheckFailed
from tests.table import table
from tests.warehouse.published import lung, marrow_transplants, rossi
from warehouse.metrics.cox import cause_specific_cox, cox
from warehouse.metrics.survival import (
    aalen_johansen,
    kaplan_meier,
    restricted_mean,
    survival_at,
    survival_quantile,
)
from warehouse.metrics.survival_tests import gray_test, log_rank_test

pytestmark = pytest.mark.unit

ROSSI = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]


def returns(seed: int, size: int = 300) -> pl.DataFrame:
    """Patients of three clinics with a cause (0 censored, 1 returned, 2 withdrew) and whole days, many
    tied."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "clinic": rng.choice(["east", "north", "west"], size),
            "days": rng.integers(0, 40, size).astype(float),
            "cause": rng.choice([0, 1, 2], size, p=[0.3, 0.5, 0.2]),
            "age": rng.normal(45, 10, size),
            "area": rng.choice(["face", "neck"], size),
        }
    ).with_columns(returned=pl.col("cause") == 1)


def no_nan(frame: pl.DataFrame) -> bool:
    return not any(frame.select(pl.col(pl.Float64).is_nan().any()).row(0))


# ── published ───────────────────────────────────────────────────────────────────────────────────────────


def test_lung_cancer_as_r_has_it():
    """R's survival package: median 310 days (285 to 363), men 270 (212 to 310), women 426 (348 to 550), by
    the log transform; log-rank of the sexes 10.3 on 1 degree of freedom, p = 0.00131."""
    whole = survival_quantile(kaplan_meier(lung(), duration="time", event="status", transform="log"))
    assert whole.row(0) == (310.0, 285.0, 363.0, None)
    curve = kaplan_meier(lung(), duration="time", event="status", by=["sex"], transform="log")
    assert survival_quantile(curve, by=["sex"]).select("value", "lower", "upper").rows() == [
        (270.0, 212.0, 310.0),
        (426.0, 348.0, 550.0),
    ]
    test = log_rank_test(lung(), duration="time", event="status", group="sex")
    assert test["statistic"].item() == pytest.approx(10.3267, abs=5e-5)
    assert test["p"].item() == pytest.approx(0.001311, abs=5e-7)


def test_gray_on_marrow_transplants():
    """R's cmprsk on the three diagnoses: relapse 11.92288 (p .0025762), death .1374108 (p .9336017); as
    printed by the CAMIS project (https://psiaims.github.io/CAMIS/R/survival_cif.html)."""
    for cause, statistic, p in ((1, 11.9228820, 0.0025762), (2, 0.1374108, 0.9336017)):
        found = gray_test(marrow_transplants(), duration="T", cause="cause", group="Group", of_cause=cause)
        assert found["statistic"].item() == pytest.approx(statistic, abs=5e-8)
        assert found["p"].item() == pytest.approx(p, abs=5e-8)
        assert found["degrees_of_freedom"].item() == 2


def test_weighted_log_rank_on_marrow_transplants():
    """R's survival and survMisc, both AML groups: log-rank 13.44556, Gehan 15.38787, Tarone-Ware 14.98382,
    Fleming-Harrington .5: 14.46866, 1: 14.84500."""
    two = marrow_transplants().filter(pl.col("Group") != "ALL")
    for weights, rho, statistic in (
        ("log-rank", 1.0, 13.44556),
        ("gehan", 1.0, 15.38787),
        ("tarone-ware", 1.0, 14.98382),
        ("fleming-harrington", 0.5, 14.46866),
        ("fleming-harrington", 1.0, 14.84500),
    ):
        found = log_rank_test(two, duration="T", event="Status", group="Group", weights=weights, rho=rho)
        assert found["statistic"].item() == pytest.approx(statistic, abs=5e-6)


def test_recidivism_as_allison_has_it():
    """Allison, Survival Analysis Using SAS (2010), and R: financial aid -0.37942 (0.19138), age -0.05744
    (0.02200), prior convictions 0.09150 (0.02865); log likelihood -658.75; Efron's ties."""
    found = cox(rossi(), duration="week", event="arrest", covariates=ROSSI)
    by_term = {row["term"]: row for row in found.iter_rows(named=True)}
    for term, coefficient, error in (
        ("fin", -0.37942, 0.19138),
        ("age", -0.05744, 0.02200),
        ("race", 0.31390, 0.30799),
        ("wexp", -0.14980, 0.21222),
        ("mar", -0.43370, 0.38187),
        ("paro", -0.08487, 0.19576),
        ("prio", 0.09150, 0.02865),
    ):
        assert by_term[term]["coefficient"] == pytest.approx(coefficient, abs=6e-6)
        assert by_term[term]["standard_error"] == pytest.approx(error, abs=6e-6)
    assert by_term["fin"]["log_likelihood"] == pytest.approx(-658.7477, abs=1e-3)


def test_leukaemia_remission():
    """The 6-MP arm of Freireich et al. (1963), in Klein and Moeschberger table 4.1: at 10 weeks .7529, error
    .0963; at 23 weeks .4482, error .1346; log-log interval at 10 weeks .5032 to .8894."""
    weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    relapsed = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    curve = kaplan_meier(pl.DataFrame({"w": weeks, "e": relapsed}), duration="w", event="e")
    found = survival_at(curve, [10, 23])
    assert found["survival"].round(4).to_list() == [0.7529, 0.4482]
    assert found["standard_error"].round(4).to_list() == [0.0963, 0.1346]
    assert found.select(pl.col("lower", "upper").round(4)).row(0) == (0.5032, 0.8894)


# ── lifelines and slow versions ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", [1, 2])
def test_every_group_has_the_curve_of_lifelines(seed):
    """All groups in one pass equal one lifelines fit a group to 1e-12, the log-log interval too."""
    frame = returns(seed)
    curve = kaplan_meier(frame, duration="days", event="returned", by=["clinic"])
    for clinic in ("east", "north", "west"):
        mine = curve.filter(clinic=clinic)
        part = frame.filter(clinic=clinic)
        theirs = KaplanMeierFitter().fit(part["days"].to_numpy(), part["returned"].to_numpy())
        expected = theirs.survival_function_.loc[mine["time"].to_numpy()]["KM_estimate"]
        assert mine["survival"].to_list() == pytest.approx(list(expected), abs=1e-12)
        limits = theirs.confidence_interval_.loc[mine["time"].to_numpy()]
        kept = mine.with_row_index().filter(pl.col("survival").is_between(0, 1, closed="none"))
        for column, name in (("lower", "KM_estimate_lower_0.95"), ("upper", "KM_estimate_upper_0.95")):
            assert kept[column].to_list() == pytest.approx(
                list(limits[name].iloc[kept["index"].to_list()]), abs=1e-9
            )


def test_curves_by_plain_loops():
    """Survival, Greenwood, incidence and the area under the curve, from their definitions."""
    frame = returns(3, size=60).filter(clinic="north")
    rows = list(zip(frame["days"], frame["cause"], strict=True))
    curve = kaplan_meier(frame, duration="days", event="returned", transform="plain")
    survival, total = 1.0, 0.0
    for step in curve.iter_rows(named=True):
        n = sum(days >= step["time"] for days, _ in rows)
        d = sum(days == step["time"] and cause == 1 for days, cause in rows)
        survival *= 1 - d / n
        total += d / (n * (n - d)) if d < n else 0.0
        assert (step["at_risk"], step["events"]) == (n, d)
        assert step["survival"] == pytest.approx(survival, abs=1e-12)
        if survival > 0:
            assert step["standard_error"] == pytest.approx(survival * math.sqrt(total), abs=1e-12)
            if survival < 1:
                assert step["lower"] == pytest.approx(
                    max(0, survival - 1.959963984540054 * survival * math.sqrt(total)), abs=1e-12
                )
    area = sum(survival_at(curve, [middle + 0.5])["survival"].item() for middle in range(30))
    assert restricted_mean(curve, horizon=30)["value"].item() == pytest.approx(area, abs=1e-9)
    alive, incidence = 1.0, 0.0
    found = aalen_johansen(frame, duration="days", cause="cause").filter(cause=1)
    for step in found.iter_rows(named=True):
        n = sum(days >= step["time"] for days, _ in rows)
        ends = [cause for days, cause in rows if days == step["time"] and cause > 0]
        incidence += alive * ends.count(1) / n
        alive *= 1 - len(ends) / n
        assert step["incidence"] == pytest.approx(incidence, abs=1e-12)


def test_the_error_of_a_restricted_mean_is_that_of_the_jackknife():
    """Leaving out one patient at a time, within 4 %."""
    frame = returns(4, size=200)

    def area(part: pl.DataFrame) -> pl.DataFrame:
        return restricted_mean(kaplan_meier(part, duration="days", event="returned"), horizon=30)

    left = [area(pl.concat([frame[:i], frame[i + 1 :]]))["value"].item() for i in range(200)]
    jackknife = math.sqrt(199 / 200 * np.sum((left - np.mean(left)) ** 2))
    assert area(frame)["standard_error"].item() == pytest.approx(jackknife, rel=0.04)


def test_cumulative_incidence_against_lifelines():
    """Without ties the incidence of each cause equals lifelines' Aalen-Johansen fit, its variance within 2
    %."""
    frame = returns(5).with_columns(days=pl.col("days") + pl.int_range(pl.len()) / 1e5)
    for cause in (1, 2):
        mine = aalen_johansen(frame, duration="days", cause="cause").filter(cause=cause)
        theirs = AalenJohansenFitter(calculate_variance=True).fit(
            frame["days"].to_numpy(), frame["cause"].to_numpy(), event_of_interest=cause
        )
        expected = theirs.cumulative_density_.iloc[:, 0].reindex(mine["time"].to_numpy())
        assert mine["incidence"].to_list() == pytest.approx(list(expected), abs=1e-9)
        spread = theirs.variance_.reindex(mine["time"].to_numpy()).to_numpy().ravel()
        late = mine["incidence"].to_numpy() > 0.1
        assert (mine["standard_error"].to_numpy() ** 2)[late] == pytest.approx(spread[late], rel=0.02)


def test_incidence_without_competition_is_one_minus_survival():
    """With one cause both estimators say the same, with the same error."""
    frame = returns(6).with_columns(cause=(pl.col("cause") == 1).cast(pl.Int64))
    survival = kaplan_meier(frame, duration="days", event="cause")
    incidence = aalen_johansen(frame, duration="days", cause="cause")
    assert incidence["incidence"].to_list() == pytest.approx((1 - survival["survival"]).to_list(), abs=1e-12)
    both = survival.filter(pl.col("survival") > 0).height
    assert incidence["standard_error"].head(both).to_list() == pytest.approx(
        survival["standard_error"].head(both).to_list(), abs=1e-9
    )


@pytest.mark.parametrize(
    ("ours", "theirs"), [("log-rank", None), ("gehan", "wilcoxon"), ("tarone-ware", "tarone-ware")]
)
def test_three_groups_against_lifelines(ours, theirs):
    """The k-sample tests equal lifelines' on tied days."""
    frame = returns(8)
    found = log_rank_test(frame, duration="days", event="returned", group="clinic", weights=ours)
    expected = multivariate_logrank_test(
        frame["days"].to_numpy(), frame["clinic"].to_numpy(), frame["returned"].to_numpy(), weightings=theirs
    )
    assert found["statistic"].item() == pytest.approx(expected.test_statistic, abs=1e-9)
    assert found["degrees_of_freedom"].item() == 2


def test_gray_without_competition_is_nearly_the_log_rank():
    """With one cause the two tests ask the same question."""
    frame = returns(9).with_columns(only=(pl.col("cause") == 1).cast(pl.Int64))
    gray = gray_test(frame, duration="days", cause="only", group="clinic")["statistic"].item()
    log_rank = log_rank_test(frame, duration="days", event="only", group="clinic")["statistic"].item()
    assert gray == pytest.approx(log_rank, rel=0.05)


def test_gray_keeps_its_level():
    """The same incidence of returning, very different withdrawal: about 5 % of 400 worlds are called
    different."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(400):
        group = rng.integers(0, 2, 150)
        returned = rng.random(150) < 0.5
        time = np.where(returned, rng.exponential(1, 150), rng.exponential(np.where(group, 0.3, 3.0)))
        censored = rng.exponential(2, 150)
        world = pl.DataFrame(
            {
                "group": group,
                "time": np.minimum(time, censored),
                "cause": np.where(time <= censored, np.where(returned, 1, 2), 0),
            }
        )
        hits += gray_test(world, duration="time", cause="cause", group="group")["p"].item() < 0.05
    assert 8 <= hits <= 34


def test_cox_against_lifelines():
    """Strata, a text covariate, one of two causes and clusters: as lifelines has them."""
    frame = returns(10).with_columns(days=pl.col("days") + pl.int_range(pl.len()) / 1e4)
    found = cause_specific_cox(
        frame, duration="days", cause="cause", covariates=["age", "area"], strata=["clinic"]
    )
    told = frame.select("days", "returned", "age", "clinic", neck=(pl.col("area") == "neck").cast(pl.Int64))
    theirs = CoxPHFitter().fit(told.to_pandas(), "days", "returned", strata=["clinic"])
    assert found["term"].to_list() == ["age", "area=neck"]
    assert found["coefficient"].to_list() == pytest.approx(list(theirs.params_), abs=1e-6)
    assert found["standard_error"].to_list() == pytest.approx(list(theirs.standard_errors_), abs=1e-6)
    robust = cox(frame, duration="days", event="returned", covariates=["age"], cluster="clinic")
    theirs = CoxPHFitter().fit(
        told.select("days", "returned", "age", "clinic").to_pandas(),
        "days", "returned", cluster_col="clinic", formula="age",
    )  # fmt: skip
    assert robust["standard_error"].item() == pytest.approx(theirs.standard_errors_.item(), rel=1e-5)


# ── the ends ────────────────────────────────────────────────────────────────────────────────────────────


def subjects(text: str) -> pl.DataFrame:
    return table(text, days=pl.Float64, cause=pl.Int64, group=pl.String)


@pytest.mark.parametrize("transform", ["plain", "log", "log-log"])
@pytest.mark.parametrize(
    ("given", "survival"),
    [
        ("days | cause | group", []),
        ("days | cause | group\n5.0 | 0 | a", [1.0]),
        ("days | cause | group\n5.0 | 1 | a", [0.0]),
        ("days | cause | group\n3.0 | 0 | a\n5.0 | 0 | a", [1.0, 1.0]),
        ("days | cause | group\n3.0 | 1 | a\n5.0 | 1 | a", [0.5, 0.0]),
        ("days | cause | group\n0.0 | 1 | a\n0.0 | 0 | a", [0.5]),
    ],
)
def test_nobody_one_all_censored_all_events(given, survival, transform):
    """Every end is defined: no NaN, limits between 0 and 1 or null with a reason."""
    frame = subjects(given).with_columns(event=pl.col("cause") == 1)
    curve = kaplan_meier(frame, duration="days", event="event", transform=transform)
    incidence = aalen_johansen(frame, duration="days", cause="cause", transform=transform)
    assert curve["survival"].to_list() == survival
    assert incidence["incidence"].to_list() == [1 - value for value in survival]
    for found in (curve, incidence, survival_quantile(curve), restricted_mean(curve, horizon=4.0)):
        assert no_nan(found)
        for row in found.iter_rows(named=True):
            assert (row["lower"] is None) == (row["reason"] is not None) or row["upper"] is None


def test_nothing_to_compare():
    """One group, no event, nobody: no statistic, a reason."""
    for given, reason in (
        ("days | cause | group", "fewer than two groups"),
        ("days | cause | group\n3.0 | 1 | a\n5.0 | 1 | a", "fewer than two groups"),
        ("days | cause | group\n3.0 | 0 | a\n5.0 | 0 | b", "no event happened"),
    ):
        frame = subjects(given)
        for found in (
            gray_test(frame, duration="days", cause="cause", group="group"),
            log_rank_test(frame, duration="days", event="cause", group="group"),
        ):
            assert found["statistic"].item() is None
            assert reason in found["reason"].item()


def test_a_mean_beyond_the_follow_up_is_not_given():
    """Who was censored at 5 days cannot tell the mean to 10; a curve at 0 can."""
    censored = subjects("days | cause | group\n3.0 | 1 | a\n5.0 | 0 | a")
    ended = subjects("days | cause | group\n3.0 | 1 | a\n5.0 | 1 | a")
    for frame, value in ((censored, None), (ended, 4.0)):
        curve = kaplan_meier(frame, duration="days", event="cause")
        assert restricted_mean(curve, horizon=10.0)["value"].item() == value


def test_cox_without_an_answer():
    """No event, a covariate that tells all events apart, one that never varies."""
    frame = pl.DataFrame({"t": [1.0, 2, 3, 4], "e": [1, 1, 0, 0], "x": [1, 1, 0, 0], "same": [1] * 4})
    assert "no maximum" in cox(frame, duration="t", event="e", covariates=["x"])["reason"].item()
    assert "same" in cox(frame, duration="t", event="e", covariates=["same"])["reason"].item()
    quiet = frame.with_columns(e=pl.lit(0))
    assert "no event" in cox(quiet, duration="t", event="e", covariates=["x"])["reason"].item()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.col("days") * -1, r"days: must be at least 0"),
        (pl.col("days") * float("nan"), r"days: must not be NaN"),
        (pl.lit(None, pl.Float64).alias("days"), r"days: must not be null"),
        (pl.col("cause") * 0.5, r"cause: must be 0 for censored"),
        (pl.lit("x").alias("cause"), r"cause: must be a number"),
    ],
)
def test_broken_survival_data_is_refused(change, message):
    """The frame, the column and the rule are named."""
    frame = returns(1).with_columns(change)
    with pytest.raises(CheckFailed, match=rf"^survival\.{message}"):
        aalen_johansen(frame, duration="days", cause="cause")
