"""The schedule's cards from raw facts to mart, on a real DuckLake, and their frames alone."""

import datetime as dt

import polars as pl
import pytest

from tests.warehouse.facts import Warehouse
from warehouse.metrics import RESULT, SCHEDULE_CARDS, Facts, schedule
from warehouse.metrics.courses import WINDOW
from warehouse.refresh import refresh

pytestmark = pytest.mark.integration

AS_OF = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)
YEAR = dt.timedelta(days=365)


def refreshed(warehouse: Warehouse, as_of: dt.datetime = AS_OF) -> None:
    refresh(warehouse.connection, warehouse.location, as_of=as_of, computed_at=AS_OF)


def result(warehouse: Warehouse, metric_id: str) -> dict[str, tuple[float, float]]:
    found = warehouse.read(
        "SELECT scope || '/' || scope_id, numerator, denominator FROM mart.metric_current "
        "WHERE metric_id = $metric_id",
        {"metric_id": metric_id},
    )
    return {name: (numerator, denominator) for name, numerator, denominator in found.iter_rows()}


def some_patients(warehouse: Warehouse) -> None:
    """kept: a whole series and a maintenance session; gone: one session; now: due for maintenance."""
    warehouse.put(
        "session_completed",
        """
        session_id | patient_key | completed_at     | device_id | cartridge_lot | cartridge_serial
        -----------+-------------+------------------+-----------+---------------+-----------------
        k1         | kept        | 2026-01-05 10:00 | pen       | l1            | c1
        k2         | kept        | 2026-02-05 10:00 | pen       | l1            | c2
        k3         | kept        | 2026-03-20 10:00 | pen       | l1            | c3
        k4         | kept        | 2026-07-20 10:00 | pen       | l1            | c4
        g1         | gone        | 2026-01-05 11:00 | pen       | l1            | c1
        n1         | now         | 2026-05-01 10:00 | old       | l1            | c5
        n2         | now         | 2026-06-01 10:00 | old       | l1            | c6
        n3         | now         | 2026-07-01 10:00 | old       | l1            | c7
        """,
    )
    warehouse.put("device_registered", "device_id\npen\nold")
    warehouse.put(
        "device_calibrated", "device_id | occurred_at\npen | 2026-01-02 09:00\npen | 2026-07-01 09:00"
    )
    warehouse.put(
        "follow_up_completed",
        "follow_up_id | session_id | occurred_at\nf1 | k1 | 2026-01-10 10:00\nf2 | k2 | 2026-03-05 10:00",
    )


def test_from_facts_to_the_mart(warehouse):
    """Each share is counted over what is decided, of the clinic and of the network alike."""
    some_patients(warehouse)
    refreshed(warehouse)
    for metric_id, counts in {
        "series_completion": (2, 3),
        "series_gap_on_time": (3, 5),
        "sessions_while_overdue": (3, 8),
        "cartridge_reuse": (1, 7),
        "contraindication_overridden": (0, 8),
        "follow_up_in_time": (1, 8),
    }.items():
        assert result(warehouse, metric_id) == {"network/network": counts, "clinic/north": counts}, metric_id


def test_the_due_list_and_the_windows_in_the_mart(warehouse):
    """Two patients are due; a window tells which session fell into it; a second refresh changes nothing."""
    some_patients(warehouse)
    refreshed(warehouse)
    due = warehouse.read("SELECT patient_key, state, due_from, due_until FROM mart.patient_due ORDER BY ALL")
    assert due.select("patient_key", "due_from").rows() == [
        ("kept", dt.date(2026, 10, 18)), ("now", dt.date(2026, 9, 29)),
    ]  # fmt: skip
    windows = warehouse.read("FROM mart.patient_window ORDER BY session_id")
    assert dict(windows.schema) == WINDOW
    assert dict(windows.select("session_id", "next_session_id").iter_rows()) == {
        "g1": None, "k1": "k2", "k2": "k3", "k3": "k4", "k4": None, "n1": "n2", "n2": "n3", "n3": None,
    }  # fmt: skip
    refreshed(warehouse)
    assert warehouse.read("FROM mart.patient_window ORDER BY session_id").equals(windows)


def test_only_windows_that_changed_are_written_anew(warehouse):
    """A patient who comes back changes one window and adds one; a day recomputed in the past changes none."""
    some_patients(warehouse)
    refreshed(warehouse)
    warehouse.put(
        "session_completed", "session_id | patient_key | completed_at\nk5 | kept | 2026-11-10 10:00"
    )
    refreshed(warehouse, AS_OF + dt.timedelta(days=1))
    found = warehouse.read("FROM mart.patient_window ORDER BY session_id")
    assert found.height == 9
    assert found.filter(session_id="k4")["next_session_id"].item() == "k5"
    assert warehouse.read("SELECT patient_key FROM mart.patient_due").rows() == [("now",)]
    refreshed(warehouse)
    assert warehouse.read("FROM mart.patient_window ORDER BY session_id").equals(found)


def facts(patients: int = 0) -> Facts:
    """Two protocols for one concern; everybody completes a series and has a score."""
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=30 * n) for n in range(3)]
    sessions = pl.DataFrame(
        [
            (f"c{n % 2}", f"p{n}", f"s{n}-{k}", day, "acne-scars", None, f"protocol-{n % 3 % 2}", "pen", "l",
             f"{n}-{k}", "face", n % 4 + 1, "30-39", False, False, None, None)
            for n in range(patients) for k, day in enumerate(days)
        ],
        schema={
            "clinic_id": pl.String, "patient_key": pl.String, "session_id": pl.String,
            "completed_on": pl.Date,
            "indication": pl.String, "sessions_planned": pl.Int64, "protocol_id": pl.String,
            "device_id": pl.String, "cartridge_lot": pl.String, "cartridge_serial": pl.String,
            "area": pl.String, "skin_type": pl.Int64, "age_band": pl.String,
            "contraindication_overridden": pl.Boolean, "adverse": pl.Boolean, "followed_on": pl.Date,
            "followed_from_day_1_on": pl.Date,
        },
        orient="row",
    )  # fmt: skip
    scores = pl.DataFrame(
        {
            "clinic_id": [f"c{n % 2}" for n in range(patients)],
            "patient_key": [f"p{n}" for n in range(patients)],
            "gais_score": [float(1 + (n * 7) % 4) for n in range(patients)],
        },
        schema={"clinic_id": pl.String, "patient_key": pl.String, "gais_score": pl.Float64},
    )
    nothing = {"clinic_id": pl.String, "device_id": pl.String}
    return Facts(
        sessions=sessions,
        devices=pl.DataFrame(schema={**nothing, "in_service_on": pl.Date}),
        calibrations=pl.DataFrame(schema={**nothing, "calibrated_on": pl.Date}),
        scores=scores,
    )


@pytest.mark.parametrize("patients", [0, 1, 2, 60])
def test_every_card_has_one_shape_and_no_nan(patients):
    """Nobody has no row; one, two and sixty patients have rows with numbers or a reason, never both or
    neither."""
    found = schedule(facts(patients), start=AS_OF - YEAR, as_of=AS_OF).rows
    assert dict(found.schema) == RESULT
    assert set(found["metric_id"]) <= set(SCHEDULE_CARDS)
    assert (found.height > 0) == (patients > 0)
    assert (found["value"].is_null() == found["reason"].is_not_null()).all()
    assert not any(found.select(pl.col(pl.Float64).is_nan().any()).row(0))
    assert (
        not found.select("metric_id", "scope", "scope_id", "period", "interval_start").is_duplicated().any()
    )


def test_crude_and_adjusted_stand_side_by_side():
    """With enough patients alike both protocols have both rows; a single one cannot be compared and says
    so."""
    found = schedule(facts(60), start=AS_OF - YEAR, as_of=AS_OF).rows
    for metric_id in ("protocol_difference_crude", "protocol_difference_adjusted"):
        rows = found.filter(metric_id=metric_id)
        assert rows["scope_id"].to_list() == ["protocol-0", "protocol-1"]
        assert rows["reason"].null_count() == 2
        assert rows["value"][0] == pytest.approx(-rows["value"][1])
    alone = schedule(facts(2), start=AS_OF - YEAR, as_of=AS_OF).rows.filter(
        metric_id="protocol_difference_adjusted"
    )
    assert alone["reason"].str.starts_with("not estimable").all()


def test_the_cards_read_as_definitions():
    """Each says what is counted over what, where it comes from, and which direction is good."""
    for card in SCHEDULE_CARDS.values():
        assert card.description.endswith(".")
        assert card.numerator
        assert card.denominator
        assert card.source
        assert card.better in ("lower", "higher")
