"""Scales, many protocols, repeated measures and drop-out."""

import random
from importlib.resources import files

import numpy as np
import polars as pl
import pytest
from statsmodels.stats.multitest import multipletests

from producers.contracts.errors import CheckFailed
from tests.table import table
from warehouse.metrics.causal import aipw
from warehouse.metrics.dropout import completers_and_all, ipcw
from warehouse.metrics.mixed import mixed_model
from warehouse.metrics.protocols import (
    adjust_p,
    benefit_and_harm,
    protocol_differences,
    protocol_means,
    protocol_ranks,
)
from warehouse.metrics.scales import EARLY, SCALES, Scale, hedges_g, outcomes

pytestmark = pytest.mark.unit


# ── scales ──────────────────────────────────────────────────────────────────────────────────────────────

SESSIONS = table("""
  clinic_id | patient_key | session_id | completed_on
  ----------+-------------+------------+-------------
  north     | a           | a1         | 2026-01-01
  north     | a           | a2         | 2026-02-05
""")


def assessed(text: str) -> pl.DataFrame:
    frame = table(text, assessed_on=pl.Date, score=pl.Float64)
    return frame.with_columns(clinic_id=pl.lit("north"), patient_key=pl.lit("a"))


def test_a_score_counts_for_the_session_before_it_within_its_window():
    """GAIS 2 gains two grades of four; of two scores the last counts; one after the next session is the
    next's."""
    given = assessed("""
      scale | score | assessed_on
      ------+-------+------------
      gais  | 1.0   | 2026-01-10
      gais  | 3.0   | 2026-01-20
      gais  | 2.0   | 2026-01-30
      gais  | 1.0   | 2026-02-25
      gais  | 4.0   | 2026-04-01
    """)
    early = outcomes(SESSIONS, given, window=EARLY)
    assert early.select("session_id", "score", "gain", "share_of_range", "responded").rows() == [
        ("a1", 2.0, 2.0, 0.5, True), ("a2", 1.0, 3.0, 0.75, True),
    ]  # fmt: skip
    assert outcomes(SESSIONS, given, window=EARLY, pick="first")["score"].to_list() == [3.0, 1.0]
    late = outcomes(SESSIONS, given)
    assert late.select("session_id", "days_after", "gain", "responded").rows() == [("a2", 55, 0.0, False)]


def test_a_scale_without_a_no_change_score_needs_a_baseline():
    """VAS 7 before and 3 after is a gain of 4; satisfaction rises with the score; without a baseline no
    gain."""
    given = assessed("""
      scale        | score | assessed_on
      -------------+-------+------------
      vas          | 7.0   | 2025-12-31
      vas          | 3.0   | 2026-01-20
      satisfaction | 80.0  | 2026-01-20
    """)
    found = outcomes(SESSIONS, given, window=EARLY)
    assert found.select("scale", "baseline", "gain", "reason").rows() == [
        ("satisfaction", None, None, "no baseline before the first session"),
        ("vas", 7.0, 4.0, None),
    ]  # fmt: skip


def test_scales_are_data():
    """A scale of the user's own works like the others; a score outside its range or an unknown scale is
    refused."""
    own = {"ecca": Scale("ecca", 0, 540, "lower", None, 50, 20, "given by the user")}
    given = assessed("scale | score | assessed_on\necca | 200.0 | 2025-12-01\necca | 120.0 | 2026-01-20")
    assert outcomes(SESSIONS, given, window=EARLY, scales=own)["gain"].item() == 80.0
    with pytest.raises(CheckFailed, match="ecca is not a known scale"):
        outcomes(SESSIONS, given)
    with pytest.raises(CheckFailed, match="gais must lie between 1 and 5"):
        outcomes(SESSIONS, assessed("scale | score | assessed_on\ngais | 0.0 | 2026-01-20"))
    for scale in SCALES.values():
        assert scale.source


def test_standardised_effect_of_the_textbook():
    """Borenstein et al. (2009), p. 27-29: means 103 and 100, SD 5.5 and 4.5, 50 each: g = .5924, variance
    .0411."""
    rng = np.random.default_rng(1)

    def sample(mean: float, sd: float) -> np.ndarray:
        z = rng.normal(size=50)
        return mean + sd * (z - z.mean()) / z.std(ddof=1)

    frame = pl.DataFrame(
        {"y": np.concatenate([sample(103, 5.5), sample(100, 4.5)]), "t": [True] * 50 + [False] * 50}
    )
    found = hedges_g(frame, outcome="y", treatment="t").row(0, named=True)
    assert found["value"] == pytest.approx(0.5924, abs=5e-5)
    assert found["standard_error"] ** 2 == pytest.approx(0.0411, abs=5e-5)
    assert hedges_g(frame.head(50), outcome="y", treatment="t")["reason"].item().startswith("not estimable")


# ── many protocols ──────────────────────────────────────────────────────────────────────────────────────


def network(seed: int, size: int = 2400, gains: tuple[float, ...] = (0.0, 0.0, 0.6)) -> pl.DataFrame:
    """Three protocols; worse scars get the last one more often."""
    rng = np.random.default_rng(seed)
    scar = rng.normal(size=size)
    weights = np.exp(np.outer(scar, [-0.6, 0.0, 0.6]))
    protocol = (
        rng.random(size)[:, None] > (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
    ).sum(1)
    gain = 1.5 - 0.8 * scar + np.array(gains)[protocol] + rng.normal(size=size) * 0.6
    harm = rng.random(size) < 1 / (1 + np.exp(2.5 - 0.5 * scar))
    return pl.DataFrame(
        {"protocol": np.array(["a", "b", "c"])[protocol], "scar": scar, "gain": gain, "harm": harm}
    )


def test_families_of_tests_against_statsmodels():
    """Holm, Bonferroni and Benjamini-Hochberg on random p values; none leaves them."""
    rng = random.Random(3)
    p = [rng.random() ** 3 for _ in range(30)]
    for ours, theirs in (("holm", "holm"), ("bonferroni", "bonferroni"), ("benjamini-hochberg", "fdr_bh")):
        assert adjust_p(p, ours) == pytest.approx(multipletests(p, method=theirs)[1], abs=1e-12)
    assert adjust_p(p, "none").tolist() == p
    assert adjust_p([]).tolist() == []


def test_the_protocol_that_looks_worse_crude_is_the_best():
    """Worse scars hide the better protocol: crude it is worse, adjusted it is better by its 0.6."""
    frame = network(1)
    options = {"outcome": "gain", "protocol": "protocol", "covariates": ["scar"]}
    means = protocol_means(frame, **options)
    crude = dict(means.select("protocol", "crude_mean").iter_rows())
    assert crude["c"] < crude["a"]
    assert means["value"].to_list() == pytest.approx([1.5, 1.5, 2.1], abs=0.12)
    found = protocol_differences(frame, important=0.3, **options)
    assert found.select("protocol", "against").rows() == [("b", "a"), ("c", "a"), ("c", "b")]
    assert found["conclusion"].to_list() == [
        "no important difference", "better by an important margin", "better by an important margin",
    ]  # fmt: skip
    assert (found["p_adjusted"] >= found["p"]).all()
    against = protocol_differences(frame, against="a", **options)
    assert against["protocol"].to_list() == ["b", "c"]


def test_two_protocols_are_the_doubly_robust_effect():
    """With two protocols the difference is that of aipw, and so is its error."""
    frame = network(2).filter(pl.col("protocol") != "b")
    options = {"outcome": "gain", "covariates": ["scar"]}
    pair = protocol_differences(frame, protocol="protocol", **options).row(0, named=True)
    one = aipw(frame.with_columns(deep=pl.col("protocol") == "c"), treatment="deep", **options)
    assert pair["value"] == pytest.approx(one["value"].item(), abs=1e-6)
    assert pair["standard_error"] == pytest.approx(one["standard_error"].item(), rel=1e-6)


def test_a_ranking_shows_what_it_does_not_know():
    """c is surely first, a and b share the ranks 2 to 3."""
    found = protocol_ranks(network(1), outcome="gain", protocol="protocol", covariates=["scar"])
    ranks = {row["protocol"]: (row["rank_lower"], row["rank_upper"]) for row in found.iter_rows(named=True)}
    assert ranks == {"c": (1, 1), "a": (2, 3), "b": (2, 3)}
    assert found["rank"].to_list() == [1, 2, 3]


def test_benefit_beside_harm():
    """Both sides adjusted, both with intervals, harm between 0 and 1."""
    found = benefit_and_harm(
        network(1), benefit="gain", harm="harm", protocol="protocol", covariates=["scar"]
    )
    for row in found.iter_rows(named=True):
        assert row["benefit_lower"] < row["benefit"] < row["benefit_upper"]
        assert 0 <= row["harm_lower"] < row["harm"] < row["harm_upper"] <= 1


def test_a_protocol_with_too_few_patients_has_a_reason():
    """It is shown with its crude mean, without an adjusted one, and the others are still compared."""
    frame = pl.concat([network(1), network(1).head(1).with_columns(protocol=pl.lit("new"))])
    options = {"outcome": "gain", "protocol": "protocol", "covariates": ["scar"]}
    new = protocol_means(frame, **options).filter(protocol="new").row(0, named=True)
    assert (new["patients"], new["value"]) == (1, None)
    assert "too few" in new["reason"]
    assert protocol_ranks(frame, **options).filter(pl.col("rank").is_not_null()).height == 3
    alone = protocol_means(frame.filter(protocol="a"), **options)
    assert alone["reason"].item() == "not estimable: there is only one protocol"
    assert protocol_differences(frame.head(0), **options).height == 0


# ── repeated measures ───────────────────────────────────────────────────────────────────────────────────


def test_pastes_as_lme4_has_it():
    """Davies and Goldsmith (1972) in Bates, lme4 (2010), §2.2.2: variances 8.434 (cask in batch), 1.657
    (batch), .678; mean 60.0533, error .6769; REML criterion 246.99."""
    pastes = pl.read_csv(str(files("statsmodels.regression.tests.results") / "pastes.csv"))
    found = mixed_model(pastes, outcome="strength", groups=["batch", "cask"])
    assert found.components["variance"].to_list() == pytest.approx([1.6573, 8.4337, 0.6780], abs=2e-4)
    assert found.fixed.select("value", "standard_error").row(0) == pytest.approx((60.0533, 0.6769), abs=1e-4)
    assert -2 * found.log_likelihood == pytest.approx(246.9907, abs=1e-3)


def courses(seed: int, clinics: int = 4) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for clinic in range(clinics):
        c = rng.normal(0, 0.5)
        for operator in range(3):
            o = rng.normal(0, 0.4)
            for patient in range(rng.integers(3, 8)):
                p = rng.normal(0, 0.5)
                for number in range(rng.integers(1, 5)):
                    y = 1 + 0.35 * number + c + o + p + rng.normal(0, 0.3)
                    rows.append((f"c{clinic}", f"o{operator}", f"p{patient}", float(number), y))
    columns = ["clinic_id", "operator_id", "patient_key", "number", "gain"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_three_levels_by_dense_matrices():
    """Likelihood at its maximum, fixed effects, shrunken effects and their errors, from V itself."""
    frame = courses(5)
    groups = ["clinic_id", "operator_id", "patient_key"]
    found = mixed_model(frame, outcome="gain", covariates=["number"], groups=groups)
    y = frame["gain"].to_numpy()
    x = np.column_stack([np.ones(len(y)), frame["number"].to_numpy()])
    keys = [frame.select(pl.concat_str(groups[: n + 1])).to_series().to_list() for n in range(3)]
    same = [np.array([[a == b for b in key] for a in key], dtype=float) for key in keys]
    variances = found.components["variance"].to_list()

    def restricted(values: list[float]) -> float:
        v = sum(value * part for value, part in zip(values, [*same, np.eye(len(y))], strict=True))
        inverse = np.linalg.inv(v)
        xvx = x.T @ inverse @ x
        beta = np.linalg.solve(xvx, x.T @ inverse @ y)
        rest = y - x @ beta
        parts = np.linalg.slogdet(v)[1] + np.linalg.slogdet(xvx)[1] + rest @ inverse @ rest
        return -0.5 * (parts + (len(y) - 2) * np.log(2 * np.pi))

    best = restricted(variances)
    assert found.log_likelihood == pytest.approx(best, abs=1e-8)
    for index in range(4):
        for factor in (0.97, 1.03):
            moved = list(variances)
            moved[index] *= factor
            assert restricted(moved) <= best + 1e-9
    v = sum(value * part for value, part in zip(variances, [*same, np.eye(len(y))], strict=True))
    inverse = np.linalg.inv(v)
    beta = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
    assert found.fixed["value"].to_list() == pytest.approx(beta.tolist(), abs=1e-9)
    for level, name in enumerate(groups):
        for row in found.effects[name].iter_rows(named=True):
            label = "".join(row[column] for column in groups[: level + 1])
            member = np.array([key == label for key in keys[level]], dtype=float)
            cover = variances[level] * member @ inverse
            assert row["value"] == pytest.approx(cover @ (y - x @ beta), abs=1e-9)
            by_fixed = cover @ x
            spread = variances[level] - cover @ member * variances[level]
            spread += by_fixed @ np.linalg.inv(x.T @ inverse @ x) @ by_fixed
            assert row["standard_error"] == pytest.approx(np.sqrt(spread), abs=1e-8)

    # The same predictions with the variances' own error in them, from V and its likelihood alone.
    def predicted(logs: np.ndarray) -> np.ndarray:
        values = np.exp(logs)
        v = sum(value * part for value, part in zip(values, [*same, np.eye(len(y))], strict=True))
        inverse = np.linalg.inv(v)
        rest = y - x @ np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
        return np.concatenate([values[level] * same[level] @ inverse @ rest for level in range(3)])

    at, step = np.log(variances), 0.02 * np.eye(4)
    curvature = [
        [
            sum(
                sign * -restricted(list(np.exp(at + a * p + b * q)))
                for a, b, sign in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
            )
            / (4 * 0.02**2)
            for q in step
        ]
        for p in step
    ]
    slope = np.array([(predicted(at + p) - predicted(at - p)) / 0.04 for p in step])
    moves = np.einsum("ji,jk,ki->i", slope, np.linalg.inv(curvature), slope).reshape(3, -1)
    for level, name in enumerate(groups):
        for row in found.effects[name].iter_rows(named=True):
            label = "".join(row[column] for column in groups[: level + 1])
            wanted = row["standard_error"] ** 2 + 2 * moves[level][keys[level].index(label)]
            assert row["prediction_error"] ** 2 == pytest.approx(wanted, rel=5e-3)
            assert row["lower"] < row["value"] - 1.959 * row["prediction_error"]


def test_a_level_without_variance_claims_no_interval():
    """Clinics that do not differ are predicted as 0; an interval of no width would claim certainty."""
    frame = courses(5).with_columns(gain=pl.col("gain") - pl.col("gain").mean().over("clinic_id"))
    found = mixed_model(frame, outcome="gain", covariates=["number"])
    assert found.components.filter(component="clinic_id")["variance"].to_list() == [0.0]
    clinics = found.effects["clinic_id"]
    assert clinics["value"].to_list() == [0.0] * 4
    assert clinics.select("prediction_error", "lower", "upper").null_count().row(0) == (4, 4, 4)
    assert found.effects["operator_id"]["lower"].null_count() == 0


def test_few_rows_are_shrunken_more():
    """An operator with one patient is pulled further to the mean than one with many."""
    found = mixed_model(courses(6, clinics=12), outcome="gain", covariates=["number"])
    assert found.reason is None
    raw = found.effects["patient_key"]
    single = raw.filter(pl.col("rows") == 1)["standard_error"].mean()
    assert single > raw.filter(pl.col("rows") >= 4)["standard_error"].mean()


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (courses(5).head(0), "too few"),
        (courses(5).filter(clinic_id="c0"), "clinic_id has fewer than two groups"),
        (courses(5).unique(["clinic_id", "operator_id", "patient_key"]), "single row each"),
    ],
)
def test_a_model_without_an_answer_says_why(frame, reason):
    """Nobody, one clinic, one visit a patient."""
    found = mixed_model(frame, outcome="gain")
    assert found.fixed.height == 0
    assert reason in found.reason


# ── drop-out ────────────────────────────────────────────────────────────────────────────────────────────


def leaving(seed: int, size: int = 4000) -> pl.DataFrame:
    """Those who gained little leave; their interim gain tells. The true mean is 1."""
    rng = np.random.default_rng(seed)
    interim = rng.normal(0.5, 0.5, size)
    gain = 0.5 + interim + rng.normal(0, 0.3, size)
    stays = rng.random(size) < 1 / (1 + np.exp(-2 * (interim - 0.2)))
    return pl.DataFrame({"interim": interim, "gain": gain, "stays": stays}).with_columns(
        gain=pl.when("stays").then(pl.col("gain"))
    )


def test_completers_flatter_and_weights_correct():
    """Completers' interval misses the truth; weighted for those who left it holds it."""
    found = completers_and_all(
        leaving(1), outcome="gain", measured="stays", covariates=["interim"], interim="interim"
    )
    completers, weighted, carried = found.iter_rows(named=True)
    assert completers["lower"] > 1.0
    assert weighted["lower"] < 1.0 < weighted["upper"]
    assert carried["upper"] < 1.0
    assert weighted["effective_size"] < weighted["measured"] < weighted["patients"]


def test_nobody_left_means_equal_weights():
    """With everybody measured, all and completers agree; with nobody, there are reasons."""
    frame = leaving(2, size=300).with_columns(stays=pl.lit(True), gain=pl.col("interim"))
    assert ipcw(frame, measured="stays", covariates=["interim"]).to_list() == [1.0] * 300
    found = completers_and_all(frame, outcome="gain", measured="stays", covariates=["interim"])
    assert found["value"][0] == pytest.approx(found["value"][1], abs=1e-12)
    gone = frame.with_columns(stays=pl.lit(False))
    found = completers_and_all(gone, outcome="gain", measured="stays", covariates=["interim"])
    assert found["reason"].str.starts_with("not estimable").to_list() == [True, True]
