"""Clinics and operators by their patients' scores: from assessments to mart.shrunken_effect."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from producers.contracts.errors import CheckFailed
from tests.warehouse.facts import Warehouse
from warehouse.metrics.mixed import mixed_model
from warehouse.metrics.shrunken_effects import CASE_MIX, SHRUNKEN_ROW, shrunken_effects
from warehouse.refresh import refresh

AS_OF = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)


def scores(seed: int, *, clinics: int = 8, operators: int = 3, patients: int = 12) -> pl.DataFrame:
    """Satisfaction after up to three sessions of each patient; the clinic `c0` is 15 points better."""
    rng = np.random.default_rng(seed)
    rows = []
    for c in range(clinics):
        clinic = 15.0 if c == 0 else rng.normal(0, 3)
        for o in range(operators):
            operator = rng.normal(0, 3)
            for p in range(patients):
                patient, skin = rng.normal(0, 6), str(rng.integers(1, 7))
                for number in range(1, rng.integers(2, 5)):
                    score = 50 + clinic + operator + patient + 4 * number + rng.normal(0, 5)
                    rows.append((f"c{c}", f"c{c}/o{o}", p, score, str(number), skin))
    columns = ["clinic_id", "operator", "patient", "score", "session_number", "skin_type"]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        pl.col("score").clip(0, 100),
        scale=pl.lit("satisfaction"), indication=pl.lit("melasma"), area=pl.lit("face"),
        age_band=pl.lit("40-49"),
    )  # fmt: skip


@pytest.mark.unit
def test_effects_are_those_of_the_mixed_model():
    """Towards better, per clinic and operator, adjusted for what varies; the better clinic surely is."""
    given = scores(1)
    found = shrunken_effects(given)
    assert dict(found.schema) == SHRUNKEN_ROW
    assert found["adjusted_for"].unique().to_list() == ["session_number, skin_type"]
    model = mixed_model(
        given, outcome="score", covariates=["session_number", "skin_type"],
        groups=["clinic_id", "operator", "patient"],
    )  # fmt: skip
    clinics = found.filter(depth="clinic").sort("clinic_id")
    expected = model.effects["clinic_id"].sort("clinic_id")
    for name in ("value", "lower", "upper"):
        assert clinics[name].to_list() == pytest.approx(expected[name].to_list(), abs=1e-9)
    best = clinics.row(0, named=True)
    assert best["lower"] > 0
    spread = np.sqrt(model.components["variance"].sum())
    assert best["standardised"] == pytest.approx(best["value"] / spread)
    assert clinics["sessions"].sum() == given.height
    assert clinics["patients"].to_list() == [12] * 8  # numbered anew for every operator
    assert found.filter(depth="operator")["patients"].to_list() == [12] * 24


@pytest.mark.unit
def test_lower_scores_are_better_where_the_scale_says_so():
    """The same scores turned around, on a scale where less is better, give the same effects."""
    given = scores(2)
    turned = given.with_columns(score=(100 - pl.col("score")) / 10, scale=pl.lit("vas"))
    ours, theirs = shrunken_effects(given), shrunken_effects(turned)
    assert theirs["value"].to_list() == pytest.approx((ours["value"] / 10).to_list(), abs=1e-6)
    assert theirs["standardised"].to_list() == pytest.approx(ours["standardised"].to_list(), abs=1e-6)
    both = shrunken_effects(pl.concat([given, turned]))
    assert both.height == 2 * ours.height


@pytest.mark.unit
def test_covariates_that_determine_each_other_are_not_both_adjusted_for():
    """Where unknown skin means unknown age, one of them says all."""
    given = scores(3).with_columns(age_band="skin_type")
    found = shrunken_effects(given)
    assert found["adjusted_for"].unique().to_list() == ["session_number, skin_type"]
    assert found["reason"].null_count() == found.height


@pytest.mark.unit
@pytest.mark.parametrize(
    ("given", "clinic", "operator"),
    [
        (scores(4, clinics=1), "there is only one clinic", None),
        (scores(4, operators=1), None, "no clinic has a second operator"),
        (scores(4).unique(["clinic_id", "operator", "patient"], maintain_order=True), None, None),
        (scores(4).head(1), "there is only one clinic", "no clinic has a second operator"),
        (scores(4).with_columns(score=pl.lit(7.0)), "without a rest", "without a rest"),
    ],
    ids=["one clinic", "one operator each", "one score a patient", "one score", "a constant"],
)  # fmt: skip
def test_a_level_that_cannot_be_told_has_a_reason(given: pl.DataFrame, clinic: str, operator: str):
    """One clinic, one operator in each, one score of each patient, one score, all the same: every group still
    has its row, with its sessions."""
    found = shrunken_effects(given)
    for depth, wanted in (("clinic", clinic), ("operator", operator)):
        mine = found.filter(depth=depth)
        assert mine["sessions"].sum() == given.height
        if wanted is None:
            assert mine["value"].null_count() == 0
        else:
            assert mine["reason"].str.contains(wanted, literal=True).all()
            assert mine["value"].null_count() == mine.height


@pytest.mark.unit
def test_bad_scores_are_named():
    """A scale nobody knows, a score out of its range, a missing column; nobody at all has no row."""
    given = scores(5)
    assert shrunken_effects(given.clear()).height == 0
    with pytest.raises(CheckFailed, match=r"scores\.area: column is missing"):
        shrunken_effects(given.drop("area"))
    with pytest.raises(CheckFailed, match="mood is not a known scale"):
        shrunken_effects(given.with_columns(scale=pl.lit("mood")))
    with pytest.raises(CheckFailed, match="satisfaction must lie between 0 and 100"):
        shrunken_effects(given.with_columns(score=pl.lit(101.0)))
    assert set(CASE_MIX) <= set(given.columns)


@pytest.mark.integration
def test_refresh_finds_them_once_a_day(warehouse: Warehouse):
    """From assessments on two scales to the mart: of several scores in the window the newest counts, each
    for the session before it; what comes later the same day waits for the next."""
    day = dt.timedelta(days=1)
    start = AS_OF - 200 * day
    sessions, assessments = [], []
    for c in range(3):
        for o in range(2):
            for p in range(6):
                for n in range(2):
                    at = start + 40 * n * day
                    name = f"{c}{o}{p}{n}"
                    sessions.append((f"c{c}", name, f"{c}{o}{p}", f"o{o}", at, n + 1))
                    for days, gain in ((20, 9), (30, c + p % 3), (95, 9)):
                        assessed = at + days * day
                        if n == 1 or days < 40:
                            score = 50.0 + gain + 10 * o * (p % 2)
                            for scale, told in (("satisfaction", score), ("gais", 3.0)):
                                assessment = (f"c{c}", f"{name}-{scale}-{days}", f"{c}{o}{p}", scale, told)
                                assessments.append((*assessment, assessed))
    warehouse.put(
        "session_completed",
        pl.DataFrame(
            sessions, orient="row",
            schema={
                **dict.fromkeys(("clinic_id", "session_id", "patient_key", "operator_id"), pl.String),
                "completed_at": pl.Datetime("us", "UTC"), "session_number": pl.Int32,
            },
        ),
    )  # fmt: skip
    warehouse.put(
        "assessment_recorded",
        pl.DataFrame(
            assessments, orient="row",
            schema=["clinic_id", "assessment_id", "patient_key", "scale", "score", "occurred_at"],
        ),
    )  # fmt: skip
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=AS_OF)
    ours = warehouse.read("SELECT * FROM mart.shrunken_effect ORDER BY ALL")
    clinics = ours.filter(scale="satisfaction", depth="clinic")
    assert clinics.select("clinic_id", "sessions", "patients").rows() == [(f"c{c}", 24, 12) for c in range(3)]
    assert clinics["value"].is_sorted()
    assert clinics["value"].null_count() == 0
    same = ours.filter(scale="gais")
    assert same["reason"].str.contains("without a rest").all()
    assert same.height == 9
    gains = warehouse.read(
        "SELECT value FROM mart.metric_current WHERE metric_id = 'protocol_improvement' "
        "AND scope = 'network' AND period = 'year'"
    )
    assert gains["value"].to_list() == [1.0]  # GAIS alone, whatever the other scales say
    later = AS_OF + dt.timedelta(hours=3)
    refresh(warehouse.connection, warehouse.location, as_of=later, computed_at=later)
    assert set(warehouse.read("SELECT as_of FROM mart.shrunken_effect")["as_of"]) == {AS_OF}
    later = AS_OF + day
    refresh(warehouse.connection, warehouse.location, as_of=later, computed_at=later)
    assert set(warehouse.read("SELECT as_of FROM mart.shrunken_effect")["as_of"]) == {later}
