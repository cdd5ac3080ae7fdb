"""Pairs, the tree of clinics, severity, drift and protocols: what stands in marts beside the metric rows."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from tests.table import table
from tests.warehouse.facts import Warehouse
from warehouse.metrics import findings
from warehouse.metrics.disproportionality import contingency, disproportionality
from warehouse.metrics.protocol_balance import BALANCE_ROW, protocol_balance
from warehouse.metrics.risk_indicators import hierarchical_fdr
from warehouse.refresh import refresh

AS_OF = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)


def events(*rows: tuple[str, str, str, int, int]) -> pl.DataFrame:
    """Session, lot, term, grade and month."""
    return pl.DataFrame(
        [
            {
                "clinic_id": "north", "session": session, "term": term, "grade": grade,
                "period": dt.date(2026, month, 1), "cartridge_lot": lot, "firmware": "1",
                "protocol": "unknown", "device": "unknown",
            }
            for session, lot, term, grade, month in rows
        ],
        schema={
            **dict.fromkeys(("clinic_id", "session", "term"), pl.String), "grade": pl.Int32,
            "period": pl.Date,
            **dict.fromkeys(("cartridge_lot", "firmware", "protocol", "device"), pl.String),
        },
    )  # fmt: skip


@pytest.mark.unit
def test_a_lot_with_its_own_term_is_flagged():
    """Forty infections with one lot among four hundred events with ten lots: that pair, and no other, is
    high; its measures are those of the method, and an unknown product is in no pair."""
    rng = np.random.default_rng(1)
    rows = [
        (f"s{n}", f"lot-{n % 10}", str(rng.choice(["erythema", "oedema", "bruise"])), 1, 3)
        for n in range(360)
    ]
    rows += [(f"i{n}", "lot-3", "infection", 2, 3) for n in range(40)]
    rows += [(f"j{n}", f"lot-{n}", "infection", 2, 3) for n in range(10)]
    given = events(*rows)
    found = findings.reported_pairs(given)
    assert dict(found.schema) == findings.PAIR_ROW
    high = found.filter(flag="high", scope="cartridge_lot")
    assert high.select("scope_id", "term").rows() == [("lot-3", "infection")]
    measured = disproportionality(contingency(given, report="session", product="cartridge_lot", event="term"))
    one = measured.filter(product="lot-3", event="infection")
    assert high.select("prr", "ror_lower", "ic_upper").row(0) == one.select(
        "prr", "ror_lower", "ic_upper"
    ).row(0)
    assert set(found["scope"]) == {"cartridge_lot", "firmware"}


@pytest.mark.unit
def test_without_events_there_is_no_pair_and_no_trend():
    """No event: no rows, of the same shape."""
    assert findings.reported_pairs(events()).height == 0
    assert findings.severity(events()).height == 0
    assert dict(findings.severity(events()).schema) == findings.SEVERITY_ROW


@pytest.mark.unit
def test_rising_grades_are_seen_and_steady_ones_are_not():
    """Grades that rise from 1 to 3 over nine months against grades that do not."""
    rising = [(f"s{n}", "l", "bruise", 1 + n // 30, 1 + n // 10) for n in range(90)]
    found = findings.severity(events(*rising))
    assert found["scope"].to_list() == ["clinic", "network"]
    assert (found["p"] < 1e-6).all()
    assert (found["statistic"] > 0).all()
    steady = findings.severity(
        events(*((s, lot, t, 1 + n % 3, m) for n, (s, lot, t, _, m) in enumerate(rising)))
    )
    assert (steady["p"] > 0.2).all()
    one = findings.severity(events(("s", "l", "bruise", 2, 3)))
    assert one["p"].null_count() == 2
    assert one["reason"].to_list() == ["fewer than two events"] * 2


def clinics(rates: dict[tuple[str, str, str], float], sessions: int = 400) -> pl.DataFrame:
    """Sessions of clinic, operator and lot with that share of adverse events; five per cent are expected."""
    rows = [
        (clinic, f"{clinic}/{operator}", lot, int(n < rate * sessions), 0.05)
        for (clinic, operator, lot), rate in rates.items()
        for n in range(sessions)
    ]
    return pl.DataFrame(
        rows, schema=["clinic_id", "operator", "cartridge_lot", "adverse", "expected"], orient="row"
    )


@pytest.mark.unit
def test_the_tree_is_followed_down_to_the_bad_lot():
    """One operator with one lot has four times as many: the clinic, that operator and that lot are rejected;
    below clinics that are not, nothing is tested; the tree is hierarchical_fdr's."""
    cells = {(c, o, lot): 0.05 for c in ("a", "b", "d") for o in ("x", "y") for lot in ("l1", "l2")}
    found = findings.hierarchy(clinics(cells | {("a", "x", "l1"): 0.2}))
    assert dict(found.schema) == findings.HIERARCHY_ROW
    rejected = found.filter("rejected").select("depth", "clinic_id", "operator", "cartridge_lot").rows()
    assert rejected == [
        ("clinic", "a", None, None), ("operator", "a", "a/x", None), ("lot", "a", "a/x", "l1")
    ]  # fmt: skip
    assert found.filter(pl.col("clinic_id") == "b", pl.col("depth") != "clinic")["q"].null_count() == 6
    top = found.filter(depth="clinic")
    alone = hierarchical_fdr(top.select(id="clinic_id", parent=pl.lit(None, pl.String), p="p"))
    assert top["q"].to_list() == alone["q"].to_list()


@pytest.mark.unit
def test_unknown_operators_are_no_group_and_nothing_gives_nothing():
    """Sessions of an unknown operator count in their clinic only."""
    found = findings.hierarchy(
        clinics({("a", "x", "l"): 0.1, ("b", "y", "l"): 0.05}).with_columns(operator=pl.lit("unknown"))
    )
    assert set(found["depth"]) == {"clinic"}
    assert findings.hierarchy(clinics({("a", "x", "l"): 0.1}).clear()).height == 0


@pytest.mark.unit
def test_a_device_that_drifts_has_a_date():
    """0.0005 mm a day from 0: out of 0.15 mm after 300 days; a steady one never; two points tell nothing."""
    first = dt.date(2026, 1, 1)
    rows = [
        {"clinic_id": "n", "device_id": device, "calibrated_on": first + dt.timedelta(days=30 * n),
         "depth_error_mm": slope * 30 * n}
        for device, slope, points in (("drifts", 0.0005, 6), ("steady", 0.0, 6), ("young", 0.001, 2))
        for n in range(points)
    ]  # fmt: skip
    found = findings.device_drift(pl.DataFrame(rows), as_of=dt.date(2026, 7, 1))
    by = {row["device_id"]: row for row in found.iter_rows(named=True)}
    assert by["drifts"]["expected_on"] == first + dt.timedelta(days=300)
    assert by["steady"]["expected_on"] is None
    assert by["steady"]["reason"] is None
    assert by["young"]["reason"].startswith("not estimable")


@pytest.mark.unit
def test_protocols_are_ranked_with_their_uncertainty():
    """A protocol that gains one grade more is first for sure, two alike share places; harm stands beside, of
    the patients whose outcome is known; an indication with one protocol has no row."""
    rng = np.random.default_rng(4)
    rows = [
        {"indication": "scars", "protocol_id": protocol, "skin_type": str(rng.integers(1, 4)),
         "gain": gain + rng.normal(), "adverse": None if n % 10 == 0 else bool(rng.random() < harm)}
        for protocol, gain, harm in (("best", 2.0, 0.3), ("one", 1.0, 0.05), ("two", 1.0, 0.05))
        for n in range(400)
    ]  # fmt: skip
    rows.append({**rows[0], "indication": "lines"})
    found = findings.protocol_table(pl.DataFrame(rows), ["skin_type"])
    assert dict(found.schema) == findings.RANK_ROW
    assert set(found["indication"]) == {"scars"}
    assert found["protocol_id"][0] == "best"
    assert found.select("rank_lower", "rank_upper").rows() == [(1, 1), (2, 3), (2, 3)]
    assert found["harm_patients"].to_list() == [360] * 3
    assert found["harm_lower"][0] > found["harm_upper"].slice(1).max()
    assert found.select(pl.col("reason", "harm_reason").is_null().all()).row(0) == (True, True)


@pytest.mark.unit
def test_weights_of_the_adjusted_difference_make_patients_alike():
    """A protocol chosen for one skin type: unlike before weighting, alike after; the counts are told."""
    rng = np.random.default_rng(41)
    rows = [
        {"skin_type": skin, "session_number": int(rng.integers(1, 5)), "mine": bool(rng.random() < chance)}
        for skin, chance in (("1", 0.2), ("4", 0.6))
        for _ in range(500)
    ]
    given = {"treatment": "mine", "covariates": ["skin_type", "session_number"]}
    found = protocol_balance(pl.DataFrame(rows), protocol="deep", **given)
    assert dict(found.schema) == BALANCE_ROW
    assert found.select("covariate", "category").rows() == [
        ("skin_type", "1"), ("skin_type", "4"), ("session_number", None)
    ]  # fmt: skip
    assert found["smd"].head(2).abs().min() > 0.5
    assert found["smd_weighted"].abs().max() < 0.05
    assert found["patients"][0] + found["compared"][0] == 1000
    alone = protocol_balance(pl.DataFrame(rows).with_columns(mine=True), protocol="deep", **given)
    assert alone["smd_weighted"].null_count() == alone.height == alone["reason"].drop_nulls().len()


@pytest.mark.integration
def test_refresh_fills_the_marts_of_the_day(warehouse: Warehouse):
    """From raw facts to the marts that pages read: who is left out and why, pairs, tree, trend, drift."""
    warehouse.put(
        "session_completed",
        """
        session_id | patient_key | completed_at     | cartridge_lot | device_id
        -----------+-------------+------------------+---------------+----------
        followed   | a           | 2026-10-01 10:00 | L1            | pen
        silent     | b           | 2026-10-02 10:00 | L1            | pen
        event      | c           | 2026-10-03 10:00 | L2            | pen
        young      | d           | 2026-11-17 10:00 | L2            | pen
        """,
    )
    warehouse.put("follow_up_completed", "follow_up_id | session_id\nf1 | followed\nf2 | event\nf3 | young")
    warehouse.put(
        "adverse_event_reported",
        table("adverse_event_id | session_id | term | onset_at\na | event | infection | 2026-10-04 10:00"),
    )
    warehouse.put(
        "device_calibrated",
        """
        device_id | occurred_at      | depth_error_mm
        ----------+------------------+---------------
        pen       | 2026-08-01 10:00 | 0.01
        pen       | 2026-09-01 10:00 | 0.02
        pen       | 2026-10-01 10:00 | 0.03
        """,
    )
    for _ in range(2):
        refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=AS_OF)
    left = warehouse.read(
        "SELECT metric_id, reason, sessions FROM mart.left_out WHERE scope = 'network' ORDER BY ALL"
    )
    assert ("adverse_event_incidence", "outcome not known: no follow-up, no sign reported", 1) in left.rows()
    assert ("adverse_event_ratio", "not followed up", 1) in left.rows()
    assert ("adverse_event_ratio", "less than 14 days old", 1) in left.rows()
    counted = warehouse.read(
        "SELECT denominator FROM mart.metric_current WHERE metric_id = 'adverse_event_incidence' "
        "AND scope = 'network' AND period = 'year'"
    )
    assert counted["denominator"].to_list() == [3]
    pair = warehouse.read("SELECT scope, scope_id, term, sessions FROM mart.reported_pair ORDER BY ALL")
    assert ("cartridge_lot", "L2", "infection", 1) in pair.rows()
    assert warehouse.read("SELECT depth, clinic_id FROM mart.hierarchy_test").rows() == [("clinic", "north")]
    assert warehouse.read("SELECT scope, events FROM mart.severity_trend ORDER BY ALL").rows() == [
        ("clinic", 1), ("network", 1)
    ]  # fmt: skip
    drift = warehouse.read("SELECT device_id, calibrations, out_already FROM mart.device_drift").rows()
    assert drift == [("pen", 3, False)]
    assert set(warehouse.read("SELECT as_of FROM mart.left_out")["as_of"]) == {AS_OF}
    fit = warehouse.read(
        "SELECT sum(sessions) AS s, sum(observed) AS o, sum(expected) AS e FROM mart.case_mix_calibration"
    )
    assert fit.select(pl.all().cast(pl.Float64).round(6)).rows() == [(2.0, 1.0, 1.0)]


@pytest.mark.integration
def test_what_the_checks_find_is_kept(warehouse: Warehouse):
    """The mart of the checks says what core.data_quality says, corrections, withdrawals and updates applied;
    it is looked at again an hour later."""
    warehouse.put(
        "session_completed",
        """
        session_id | device_id | operator_id | completed_at
        s-1        | pen       | op          | 2026-10-01 10:00
        s-2        | pen       | op          | 2026-10-02 10:00
        s-3        | lost      | -           | 2026-10-03 10:00
        """,
    )
    warehouse.put(
        "session_completed",
        "clinic_id | session_id | device_id | completed_at\nsouth | s-1 | x | 2026-10-01 10:00",
    )
    warehouse.put("device_registered", "device_id\npen")
    warehouse.put(
        "device_calibrated", "device_id | occurred_at | depth_error_mm\ngone | 2026-10-01 10:00 | 0.1"
    )
    warehouse.put(
        "session_started", "session_id | occurred_at\ns-1 | 2026-10-01 11:00\ns-2 | 2026-10-02 09:00"
    )
    warehouse.put(
        "follow_up_completed",
        """
        id | follow_up_id | session_id | supersedes | occurred_at
        f1 | a            | s-9        | -          | 2026-10-05 10:00
        f2 | b            | s-9        | -          | 2026-10-05 10:00
        f3 | b            | s-1        | f2         | 2026-10-06 10:00
        f4 | c            | s-8        | -          | 2026-10-05 10:00
        f5 | d            | s-1        | -          | 2026-10-05 10:00
        f6 | d            | s-7        | -          | 2026-10-06 10:00
        f7 | e            | s-6        | -          | 2026-10-05 10:00
        f8 | e            | s-1        | -          | 2026-10-06 10:00
        f9 | other        | s-1        | f8         | 2026-10-07 10:00
        """,
    )
    warehouse.put("event_voided", "voided_id\nf4")
    warehouse.put("assessment_recorded", "assessment_id | session_id | score\na-1 | s-9 | 2\na-2 | s-1 | 2")
    warehouse.put(
        "adverse_event_reported",
        table(
            "id | adverse_event_id | session_id | onset_at\nx1 | x | s-9 | 2026-10-04 10:00\n"
            "y1 | y | s-1 | 2026-10-04 10:00"
        ),
    )
    warehouse.put(
        "adverse_event_updated",
        table(
            "adverse_event_id | session_id | term | grade | serious | onset_at | occurred_at | patient_key\n"
            "y | s-5 | erythema | 1 | false | 2026-10-04 10:00 | 2026-10-05 10:00 | pat\n"
            "z | s-4 | erythema | 1 | false | 2026-10-04 10:00 | 2026-10-05 10:00 | pat"
        ),
    )
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=AS_OF)
    kept = "SELECT check_id, clinic_id, subjects, events FROM mart.data_quality"
    slow = warehouse.read(
        "SELECT check_id, clinic_id, count(*) AS subjects, sum(events)::BIGINT AS events "
        "FROM core.data_quality WHERE check_id <> 'telemetry.no-session' GROUP BY ALL ORDER BY ALL"
    )
    assert warehouse.read(f"{kept} WHERE clinic_id IS NOT NULL ORDER BY ALL").rows() == slow.rows()
    assert set(slow["check_id"]) == set(warehouse.read("SELECT check_id FROM mart.data_quality")["check_id"])
    for minutes, missing in ((59, 3), (61, 2)):
        warehouse.put(
            "follow_up_completed", "follow_up_id | session_id | occurred_at\na | s-1 | 2026-10-08 10:00"
        )
        at = AS_OF + dt.timedelta(minutes=minutes)
        refresh(warehouse.connection, warehouse.location, as_of=at, computed_at=at)
        (found,) = warehouse.read(f"{kept} WHERE check_id LIKE 'follow-up%' AND clinic_id = 'north'").rows()
        assert found[2] == missing


@pytest.mark.unit
def test_calibration_by_tenth_of_risk():
    """Right risks lie between the limits in every tenth and add up; halved ones do not; equal risks stay
    together; nobody has no row."""
    rng = np.random.default_rng(3)
    risks = rng.choice(np.linspace(0.01, 0.3, 60), 40_000)
    given = pl.DataFrame({"expected": risks, "adverse": (rng.random(40_000) < risks).astype(int)})
    found = findings.calibration(given, level=0.999)
    assert dict(found.schema) == findings.CALIBRATION_ROW
    assert found["tenth"].to_list() == list(range(1, 11))
    assert found["sessions"].sum() == 40_000
    assert found["observed"].sum() == given["adverse"].sum()
    assert found["expected"].sum() == pytest.approx(risks.sum())
    assert (found["expected"].is_between(found["lower"], found["upper"])).all()
    half = findings.calibration(given.with_columns(pl.col("expected") / 2), level=0.999)
    assert not (half["expected"].is_between(half["lower"], half["upper"])).any()
    flat = findings.calibration(given.with_columns(expected=pl.lit(0.1)))
    assert flat.select("tenth", "sessions").rows() == [(6, 40_000)]
    assert findings.calibration(given.clear()).height == 0
