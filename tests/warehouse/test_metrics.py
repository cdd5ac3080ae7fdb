"""Metrics as specifications: counts in, measures with their intervals out."""

import datetime as dt
import math

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from producers.contracts.errors import CheckFailed
from tests.table import table
from warehouse.metrics import (
    CARDS,
    RESULT,
    adverse_event_incidence,
    device_in_calibration,
    follow_up_coverage,
    maintenance_on_time,
    protocol_improvement,
)

pytestmark = pytest.mark.unit

START, END = dt.datetime(2025, 11, 18, tzinfo=dt.UTC), dt.datetime(2026, 11, 18, tzinfo=dt.UTC)

BY_COUNTS = {
    adverse_event_incidence: ("sessions_with_adverse_event", "sessions_with_known_outcome"),
    maintenance_on_time: ("patients_on_time", "patients_decided"),
    device_in_calibration: ("devices_in_calibration", "devices_in_service"),
    follow_up_coverage: ("sessions_followed_up", "sessions_due"),
}


def cells(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with a scope for each row and the year as its interval."""
    return frame.with_columns(
        scope=pl.lit("clinic"),
        period=pl.lit("year"),
        interval_start=pl.lit(START),
        interval_end=pl.lit(END),
    )


def test_incidence_per_100_sessions():
    """3 sessions of 40 are 7.5 per 100, with the exact interval; unknown outcomes give no rate, not zero."""
    given = cells(
        table("""
          scope_id | sessions_with_known_outcome | sessions_with_adverse_event
          ---------+-----------------------------+----------------------------
          north    | 40                          | 3
          quiet    | 20                          | 0
          silent   | 0                           | 0
        """)
    )
    expected = table("""
      scope_id | numerator | denominator | value | lower | upper
      ---------+-----------+-------------+-------+-------+------
      north    | 3.0       | 40.0        | 7.5   | 1.57  | 20.39
      quiet    | 0.0       | 20.0        | 0.0   | 0.0   | 16.84
      silent   | 0.0       | 0.0         |       |       |
    """)
    found = adverse_event_incidence(given)
    assert_frame_equal(found.select(expected.columns), expected, abs_tol=0.005)
    assert found["reason"].to_list() == [
        None,
        None,
        "no sessions whose outcome is known: a follow-up was completed or an adverse event reported",
    ]


def test_improvement_is_the_mean_gain():
    """GAIS 4 is no change: scores 1, 2 and 3 gain 3, 2 and 1 grades, 2 on average, give or take 4.303/√3."""
    patients = table("""
      clinic_id | patient_key | protocol_id | gais_score
      ----------+-------------+-------------+-----------
      north     | a           | scar-15     | 1.0
      north     | b           | scar-15     | 2.0
      east      | a           | scar-15     | 3.0
      east      | c           | lines-05    | 5.0
    """)
    given = table("""
      scope    | scope_id
      ---------+----------
      network  | network
      protocol | scar-15
      protocol | lines-05
      protocol | unused
    """).with_columns(period=pl.lit("year"), interval_start=pl.lit(START), interval_end=pl.lit(END))
    found = protocol_improvement(patients, given)
    expected = table("""
      scope_id | numerator | denominator | value | lower  | upper
      ---------+-----------+-------------+-------+--------+------
      network  | 5.0       | 4.0         | 1.25  | -1.468 | 3.968
      scar-15  | 6.0       | 3.0         | 2.0   | -0.484 | 4.484
      lines-05 | -1.0      | 1.0         |       |        |
      unused   | 0.0       | 0.0         |       |        |
    """)
    assert_frame_equal(found.select(expected.columns), expected, abs_tol=0.0005)
    assert found["reason"].to_list() == [
        None,
        None,
        "only one patient: no interval can be given",
        "no patients with a GAIS score 14 to 90 days after their latest session",
    ]


def test_no_patient_at_all():
    """A network without a single score has cells without a value."""
    patients = table("clinic_id | patient_key | protocol_id | gais_score", gais_score=pl.Float64)
    given = cells(table("scope_id\nx")).with_columns(scope=pl.lit("network"), scope_id=pl.lit("network"))
    assert protocol_improvement(patients, given)["value"].to_list() == [None]


@pytest.mark.parametrize("metric", BY_COUNTS, ids=lambda metric: metric.__name__)
def test_shape_and_bounds(metric):
    """Every metric has the one result shape, its card's labels, and limits around its value; never a NaN."""
    numerator, denominator = BY_COUNTS[metric]
    pairs = [(x, n) for n in range(6) for x in range(n + 1)]
    given = cells(
        pl.DataFrame({"scope_id": [f"{x} of {n}" for x, n in pairs]}).with_columns(
            pl.Series(numerator, [x for x, _ in pairs]), pl.Series(denominator, [n for _, n in pairs])
        )
    )
    found = metric(given)
    card = CARDS[metric.__name__]
    assert dict(found.schema) == RESULT
    assert set(found.select("metric_id", "metric_version", "unit", "method", "level").iter_rows()) == {
        (card.id, card.version, card.unit, card.interval, card.level)
    }
    for row in found.iter_rows(named=True):
        known = row["denominator"] > 0
        assert (row["reason"] is None) == known
        if known:
            assert 0 <= row["lower"] <= row["value"] <= row["upper"]
            assert not any(math.isnan(row[name]) for name in ("value", "lower", "upper"))
        else:
            assert (row["value"], row["lower"], row["upper"]) == (None, None, None)


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────


def counts() -> pl.DataFrame:
    return cells(table("scope_id | sessions_due | sessions_followed_up\nnorth | 5 | 3\neast | 2 | 1"))


NUMBER, KEY = pl.col("sessions_followed_up"), pl.col("scope_id")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (counts().drop("sessions_due"), r"sessions_due: column is missing"),
        (counts().drop("period"), r"period: column is missing"),
        (counts().with_columns(NUMBER.cast(pl.Float64)), r"sessions_followed_up: must be Int64, is Float64"),
        (counts().with_columns(NUMBER.cast(pl.String)), r"sessions_followed_up: must be Int64, is String"),
        (counts().with_columns(NUMBER * float("nan")), r"sessions_followed_up: must be Int64, is Float64"),
        (counts().with_columns(-NUMBER), r"sessions_followed_up: must not be negative"),
        (counts().with_columns(NUMBER + 3), r"sessions_followed_up: must not exceed sessions_due"),
        (
            counts().with_columns(pl.when(KEY == "east").then(NUMBER)),
            r"sessions_followed_up: must not be null",
        ),
        (counts().with_columns(pl.lit("x").alias("scope_id")), r"scope, .*interval_start must be unique"),
        (
            counts().with_columns(pl.col("interval_start").dt.replace_time_zone(None)),
            r"interval_start: must be Datetime",
        ),
    ],
)
def test_broken_counts_are_refused(broken, message):
    """A frame that does not hold stops the metric, naming the frame, the column and the rule."""
    with pytest.raises(CheckFailed, match=rf"^follow_up_coverage.*{message}"):
        follow_up_coverage(broken)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (float("nan"), "gais_score: must not be NaN"),
        (None, "gais_score: must not be null"),
        (0.5, "gais_score: must lie between 1 and 5"),
        (5.5, "gais_score: must lie between 1 and 5"),
    ],
)
def test_broken_scores_are_refused(score, message):
    """A score that is no GAIS score stops the metric, without telling whose it was."""
    patient = pl.DataFrame(
        {
            "clinic_id": ["north"],
            "patient_key": ["secret"],
            "protocol_id": ["scar-15"],
            "gais_score": [score],
        },
        schema_overrides={"gais_score": pl.Float64},
    )
    with pytest.raises(CheckFailed, match=message) as refused:
        protocol_improvement(patient, cells(table("scope_id\nscar-15")))
    assert "secret" not in str(refused.value)


def test_a_patient_counts_once():
    """The same patient of the same clinic twice is an error of the grain."""
    patients = table("""
      clinic_id | patient_key | protocol_id | gais_score
      ----------+-------------+-------------+-----------
      north     | a           | scar-15     | 1.0
      north     | a           | scar-15     | 2.0
    """)
    with pytest.raises(CheckFailed, match=r"clinic_id, patient_key must be unique"):
        protocol_improvement(patients, cells(table("scope_id\nscar-15")))


def test_cards_read_as_definitions():
    """A card says what is counted over what, where it comes from, and which direction is good."""
    assert len(CARDS) == 5
    for card in CARDS.values():
        assert card.description.endswith(".")
        assert card.numerator
        assert card.denominator
        assert card.source
        assert card.better in ("lower", "higher")
        assert 0 < card.level < 1
