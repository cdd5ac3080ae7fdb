"""Devices: cover of calibrations, what is due, cartridges, firmware, drift."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import stats

from producers.contracts.errors import CheckFailed
from tests.table import table
from warehouse.metrics.devices import (
    calibration_at_sessions,
    calibration_coverage,
    cartridges_reused,
    firmware_support,
    next_due,
    overdue_and_adverse_events,
)
from warehouse.metrics.drift import change_point, out_of_tolerance, theil_sen, trends

pytestmark = pytest.mark.unit

AS_OF = dt.date(2026, 1, 1)
DEVICES = table("""
  clinic_id | device_id | in_service_on
  ----------+-----------+--------------
  north     | kept      | 2024-01-01
  north     | late      | 2024-01-01
  north     | never     | 2025-07-05
""")
CALIBRATIONS = table("""
  clinic_id | device_id | calibrated_on
  ----------+-----------+--------------
  north     | kept      | 2024-12-01
  north     | kept      | 2025-06-01
  north     | kept      | 2025-11-30
  north     | late      | 2025-01-01
""")


def test_cover_and_overdue_days():
    """A calibration holds 183 days after its own; a device in service and never calibrated is overdue all
    along."""
    found = calibration_coverage(DEVICES, CALIBRATIONS, start=dt.date(2025, 1, 1), end=AS_OF)
    assert found.select("device_id", "days_observed", "days_covered", "days_overdue").rows() == [
        ("kept", 365, 365, 0), ("late", 365, 184, 181), ("never", 180, 0, 180),
    ]  # fmt: skip


def test_sessions_run_while_overdue():
    """Day 183 is in calibration, day 184 is not, a calibration on the day itself counts."""
    given = table("""
      clinic_id | device_id | session_id | completed_on
      ----------+-----------+------------+-------------
      north     | late      | s1         | 2025-07-03
      north     | late      | s2         | 2025-07-04
      north     | late      | s3         | 2025-01-01
      north     | never     | s4         | 2025-08-01
    """)
    found = calibration_at_sessions(given, CALIBRATIONS)
    assert found.select("session_id", "days_since_calibration", "overdue").rows() == [
        ("s1", 183, False), ("s2", 184, True), ("s3", 0, False), ("s4", None, True),
    ]  # fmt: skip


def test_next_due_by_calendar_and_by_usage():
    """500 sessions since the last service come before the year when a device is used much."""
    days = [AS_OF - dt.timedelta(days=n) for n in range(1, 91)]
    used = pl.DataFrame({"clinic_id": "north", "device_id": "kept", "completed_on": days * 5})
    services = table("clinic_id | device_id | serviced_on\nnorth | kept | 2025-09-01")
    found = next_due(DEVICES, used, CALIBRATIONS, services, as_of=AS_OF)
    kept, late, _ = found.iter_rows(named=True)
    assert kept["sessions_since_service"] == 450
    assert kept["sessions_per_day"] == 5.0
    assert kept["service_due_by_usage_on"] == dt.date(2026, 1, 11)
    assert kept["service_due_by_calendar_on"] == dt.date(2026, 9, 1)
    assert (kept["service_due_on"], kept["overdue"]) == (dt.date(2026, 1, 11), False)
    assert late["calibration_due_on"] == dt.date(2025, 7, 3)
    assert (late["service_due_by_usage_on"], late["overdue"]) == (None, True)


def test_a_cartridge_used_twice_is_named():
    """Sessions are counted, not rows, and each patient once."""
    given = table("""
      clinic_id | cartridge_lot | cartridge_serial | session_id | patient_key | completed_on
      ----------+---------------+------------------+------------+-------------+-------------
      north     | l1            | c1               | s1         | a           | 2025-01-01
      north     | l1            | c1               | s2         | b           | 2025-01-02
      north     | l1            | c2               | s3         | a           | 2025-01-03
      north     | l1            | c2               | s3         | a           | 2025-01-03
    """)
    found = cartridges_reused(given)
    assert found.select("cartridge_serial", "sessions", "patients").rows() == [("c1", 2, 2)]


def test_firmware_in_support():
    """A version that is not listed, or whose last day is over, is not in support, and says why."""
    given = table("""
      clinic_id | device_id | model | firmware
      ----------+-----------+-------+---------
      north     | a         | pen   | v1
      north     | b         | pen   | v2
      north     | c         | pen   | v3
    """)
    known = table("model | firmware | supported_until\npen | v1 | 2025-12-31\npen | v2 | ").with_columns(
        pl.col("supported_until").cast(pl.Date)
    )
    found = firmware_support(given, known, as_of=AS_OF)
    assert found.select("in_support", "reason").rows() == [
        (False, "support has ended"), (True, None), (False, "firmware is not listed"),
    ]  # fmt: skip


# ── drift ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_example_of_sen():
    """Sen, JASA 63 (1968), §6: slope 4, and at 93 % limits 26/7 and 35/8."""
    found = theil_sen([1, 2, 3, 4, 10, 12, 18], [9, 15, 19, 20, 45, 55, 78], level=0.93)
    assert (found.slope, found.lower, found.upper) == pytest.approx((4.0, 26 / 7, 35 / 8))


def test_the_nile_changed_in_1898():
    """Pettitt's test on the Nile at Aswan (Cobb, Biometrika 65 (1978)): K = 1617, p = 3.59e-7, after 1898, as
    R's trend package prints it."""
    nile = sm.datasets.nile.load_pandas().data
    found = change_point(nile["volume"].to_numpy()).row(0, named=True)
    assert found["statistic"] == 1617
    assert found["p"] == pytest.approx(3.591e-7, rel=1e-3)
    assert nile["year"].iloc[found["position"] - 1] == 1898


def test_trends_agree_with_scipy():
    """Slope, limits, intercept and tau of tied data, a group at a time."""
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "device": rng.choice(["a", "b"], 80),
            "x": rng.integers(0, 30, 80).astype(float),
            "y": rng.normal(size=80).round(1),
        }
    )
    for row in trends(frame, x="x", y="y", by=["device"]).iter_rows(named=True):
        part = frame.filter(device=row["device"])
        theirs = stats.theilslopes(part["y"].to_numpy(), part["x"].to_numpy(), 0.95)
        assert (row["slope"], row["intercept"], row["lower"], row["upper"]) == pytest.approx(tuple(theirs))
        kendall = stats.kendalltau(part["x"].to_numpy(), part["y"].to_numpy(), method="asymptotic")
        assert row["tau"] == pytest.approx(kendall.statistic)


def test_change_point_by_plain_loops():
    """U of every split from its definition, the sum of signs between both sides."""
    values = np.random.default_rng(4).normal(size=25).round(1)
    u = [sum(np.sign(b - a) for a in values[:t] for b in values[t:]) for t in range(1, len(values))]
    found = change_point(values).row(0, named=True)
    assert found["statistic"] == pytest.approx(max(map(abs, u)))


def test_the_day_out_of_tolerance():
    """0.01 mm a month from 0: 0.2 mm is reached after twenty months; a still device never leaves."""
    months = [dt.date(2025, month, 1) for month in range(1, 13)]
    frame = pl.concat(
        [
            pl.DataFrame({"clinic_id": "n", "device_id": device, "on": months, "error_mm": errors})
            for device, errors in {
                "drifts": [0.01 * month for month in range(12)],
                "still": [0.05] * 12,
                "out": [0.3] * 12,
            }.items()
        ]
        + [pl.DataFrame({"clinic_id": "n", "device_id": "new", "on": months[:1], "error_mm": [0.0]})]
    )
    found = out_of_tolerance(frame, on="on", error="error_mm", tolerance=0.2, as_of=AS_OF)
    drifts, new, out, still = found.iter_rows(named=True)
    assert abs((drifts["expected_on"] - dt.date(2026, 9, 1)).days) <= 5
    assert drifts["earliest_on"] <= drifts["expected_on"] <= drifts["latest_on"]
    assert (still["expected_on"], still["out_already"]) == (None, False)
    assert (out["expected_on"], out["out_already"]) == (AS_OF, True)
    assert new["reason"] == "not estimable: fewer than three points at different times"


def test_nothing_to_trend():
    """Too few points, or points that are all alike, have no change; broken numbers are refused."""
    assert change_point([1.0, 2.0])["reason"].item().startswith("not estimable")
    assert change_point([1.0] * 9)["statistic"].item() is None
    with pytest.raises(CheckFailed, match="NaN"):
        change_point([1.0, float("nan")] * 3)
    with pytest.raises(CheckFailed, match="three points"):
        theil_sen([1, 1, 1], [1, 2, 3])


def test_overdue_calibration_and_adverse_events():
    """Overdue clinics treat darker skin: crude blames the calibration, adjustment does not."""
    rng = np.random.default_rng(5)
    size = 8000
    dark = rng.random(size) < 0.4
    overdue = rng.random(size) < np.where(dark, 0.6, 0.2)
    adverse = rng.random(size) < np.where(dark, 0.12, 0.03)
    frame = pl.DataFrame(
        {
            "overdue": overdue,
            "adverse": adverse,
            "skin_type": np.where(dark, "V", "II"),
            "device_id": rng.integers(0, 200, size),
        }
    )
    found = overdue_and_adverse_events(frame, covariates=["skin_type"])
    crude, *adjusted = found.iter_rows(named=True)
    assert crude["lower"] > 0
    for row in adjusted:
        assert row["lower"] < 0 < row["upper"]
