"""Events that contradict or miss others land all the same, are seen, and clear themselves."""

import pytest

from tests.warehouse.facts import Warehouse

pytestmark = pytest.mark.integration

SESSION = """
session_id | device_id | operator_id | protocol_id | protocol_version | completed_at
s-1        | dev-1     | op-1        | scar-15     | 1                | 2026-03-02 10:00
"""
MISSING = {
    "session.unknown-device": ("device_registered", "device_id\ndev-1"),
    "session.unknown-operator": ("operator_registered", "operator_id | role\nop-1 | nurse"),
    "session.unknown-protocol": ("protocol_published", "protocol_id | version\nscar-15 | 1"),
    "clinic.not-registered": ("clinic_registered", "display_name | time_zone | locale\nNorth | UTC | en-GB"),
}
ORPHANS = {
    "adverse-event.unknown-session": (
        "adverse_event_reported",
        "adverse_event_id | session_id | onset_at\nae-1 | s-9 | 2026-03-02 12:00",
    ),
    "assessment.unknown-session": (
        "assessment_recorded",
        "assessment_id | session_id | score\na-1 | s-9 | 2",
    ),
    "follow-up.unknown-session": (
        "follow_up_completed",
        "follow_up_id | session_id | patient_key | adverse_event_found\nf-1 | s-9 | pat | false",
    ),
    "telemetry.no-session": (
        "telemetry_frame",
        "device_id | session_id | sequence | sample_interval_ms\ndev-1 | s-9 | 1 | 100",
    ),
}


def failing(warehouse: Warehouse) -> dict[str, str]:
    found = warehouse.read("SELECT check_id, subject_id FROM core.data_quality")
    return dict(found.iter_rows())


def test_nothing_fails_in_an_empty_warehouse(warehouse: Warehouse):
    """No events, no problems."""
    assert failing(warehouse) == {}


def test_a_session_of_unknown_things_clears_as_they_arrive(warehouse: Warehouse):
    """Each check disappears with the registration that it missed, and only that one."""
    warehouse.put("session_completed", SESSION)
    expected = {
        "session.unknown-device": "dev-1",
        "session.unknown-operator": "op-1",
        "session.unknown-protocol": "scar-15 v1",
        "clinic.not-registered": "north",
    }
    assert failing(warehouse) == expected
    for check, (table, facts) in MISSING.items():
        warehouse.put(table, facts)
        del expected[check]
        assert failing(warehouse) == expected


@pytest.mark.parametrize("check", ORPHANS)
def test_what_belongs_to_no_session_clears_when_it_lands(warehouse: Warehouse, check: str):
    """An outcome or telemetry before its session is a problem until the session has landed."""
    table, facts = ORPHANS[check]
    warehouse.put(table, facts)
    assert failing(warehouse) == {check: "s-9"}
    warehouse.put("session_completed", SESSION.replace("s-1 ", "s-9 "))
    assert check not in failing(warehouse)


def test_a_session_closed_before_it_started(warehouse: Warehouse):
    """Two events that cannot both be right are both kept, and said."""
    warehouse.put("session_completed", SESSION)
    warehouse.put("session_started", "session_id | occurred_at\ns-1 | 2026-03-02 11:00")
    assert failing(warehouse)["session.closed-before-started"] == "s-1"


def test_another_clinics_device_is_not_this_ones(warehouse: Warehouse):
    """Ids belong to their clinic."""
    warehouse.put("session_completed", SESSION)
    warehouse.put("device_registered", "clinic_id | device_id\nsouth | dev-1")
    assert failing(warehouse)["session.unknown-device"] == "dev-1"
