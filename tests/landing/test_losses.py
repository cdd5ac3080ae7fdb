"""What Kafka lost before it was landed is named, and booked once a person accepts it; landing goes on."""

from typing import Any

import pytest

from producers.contracts import CheckFailed, WarehouseConflict
from tests.landing.test_land_batch import NOW, TELEMETRY, calibrated, do_land, frame, lake, one  # noqa: F401
from warehouse import store
from warehouse.log import claim
from warehouse.losses import Loss, accept, losses
from warehouse.verify import verify

pytestmark = pytest.mark.integration

TOPIC, FORMER, PRESENT = TELEMETRY.topic, "id-of-the-first", "id-of-the-second"


@pytest.fixture
def behind(lake: Any) -> Any:  # noqa: F811
    """Offsets 0 and 1 are landed."""
    connection, location = lake
    claim(connection, location, {TELEMETRY: (0, 2)}, at=NOW, topic_ids={TOPIC: FORMER})
    do_land(lake, one(calibrated("a"), frame("b")), "b1")
    return lake


def totals(connection: store.Connection) -> dict[str, Any]:
    return store.rows(connection, store.statement("status/freshness"))[0]


def test_nothing_is_lost_while_kafka_holds_what_comes_next(behind):
    """The log may have been cut below the progress: that was landed."""
    assert losses(behind[0], {TELEMETRY: (2, 5)}, {TOPIC: FORMER}) == []


def test_a_gap_is_named_and_booked(behind):
    """Offsets 2 to 6 are gone: accepted, they are skipped in the ledger, and offset 7 lands."""
    connection, location = behind
    found = losses(connection, {TELEMETRY: (7, 9)}, {TOPIC: FORMER})
    assert found == [Loss(TELEMETRY, 2, 7)]
    assert str(found[0]) == f"{TOPIC}/0: offsets 2 to 6 are gone from Kafka"

    accept(connection, location, found, by="ann", reason="retention of an hour", at=NOW)

    assert losses(connection, {TELEMETRY: (7, 9)}, {TOPIC: FORMER}) == []
    assert do_land(behind, one(calibrated("c"), start=7), "b2").landed == 1
    assert verify(connection, location).findings == []
    assert (totals(connection)["balanced"], totals(connection)["lost_accepted"]) == (True, 5)
    remembered = connection.execute("SELECT * EXCLUDE accepted_at FROM landing.accepted_loss").fetchall()
    assert remembered == [(TOPIC, 0, 2, 7, "ann", "retention of an hour")]


def test_a_topic_made_anew_is_read_from_its_first_offset(behind):
    """Its offsets mean other events: the former ledger is closed under the former id, a new one begins."""
    connection, location = behind
    with pytest.raises(CheckFailed, match="made anew"):
        claim(connection, location, {TELEMETRY: (0, 9)}, at=NOW, topic_ids={TOPIC: PRESENT})
    found = losses(connection, {TELEMETRY: (0, 9)}, {TOPIC: PRESENT})
    assert found == [Loss(TELEMETRY, 2, None, FORMER)]

    accept(connection, location, found, by="ann", reason="deleted by mistake", at=NOW)

    held = claim(connection, location, {TELEMETRY: (0, 9)}, at=NOW, topic_ids={TOPIC: PRESENT})
    assert held == {TELEMETRY: 0}
    report = do_land(behind, one(calibrated("a"), calibrated("d")), "b2")
    assert (report.landed, report.duplicate) == (1, 1)
    assert verify(connection, location).findings == []
    assert totals(connection)["balanced"]


def test_accepting_needs_a_reason_and_happens_once(behind):
    """A second acceptance finds that landing is not there any more, and books nothing."""
    connection, location = behind
    found = losses(connection, {TELEMETRY: (7, 9)}, {TOPIC: FORMER})
    with pytest.raises(CheckFailed, match="reason"):
        accept(connection, location, found, by="ann", reason=" ", at=NOW)
    accept(connection, location, found, by="ann", reason="known", at=NOW)
    with pytest.raises(WarehouseConflict, match="not there any more"):
        accept(connection, location, found, by="ben", reason="known", at=NOW)
    assert connection.execute("SELECT count(*) FROM landing.accepted_loss").fetchall() == [(1,)]
