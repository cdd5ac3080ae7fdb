"""Nobody who was erased comes back: neither by a replayed topic, nor by telemetry, nor in the quarantine."""

import json
from pathlib import Path
from typing import Any

import pytest

from producers.contracts import Event, WarehouseConflict, encode, partition_key
from producers.contracts.events import FollowUpCompleted
from tests.landing.test_land_batch import NOW, TELEMETRY, frame, records
from warehouse import store
from warehouse.decoding import decode_batch
from warehouse.landing import Landed, land
from warehouse.log import Batch, Partition, Records, Slice, claim
from warehouse.tombstones import RULE, Key, Tombstones

pytestmark = pytest.mark.integration

OUTCOMES = Partition("clinic.outcomes", 0)
ANN, BEN = "a" * 32, "b" * 32


def follow_up(id_: str, patient_key: str, session_id: str = "s-2") -> Event[Any]:
    data = FollowUpCompleted(
        follow_up_id=id_,
        session_id=session_id,
        patient_key=patient_key,
        channel="phone",
        adverse_event_found=False,
    )
    return Event(
        specversion="1.0", id=id_, source="/clinics/north", type="follow-up.completed.v1", time=NOW, data=data
    )


def outcome_records(*events: Event[Any]) -> list[Any]:
    found = records(*events)
    for record, event in zip(found, events, strict=True):
        record.key = partition_key(event).encode()
    return found


@pytest.fixture
def lake(tmp_path: Path):
    location = store.Location.under(tmp_path)
    with store.connect(location) as connection:
        store.migrate(connection, location)
        claim(connection, location, {TELEMETRY: (0, 0), OUTCOMES: (0, 0)}, at=NOW)
        yield connection, location


def bury(lake: Any, key: Key, *digests: tuple[str, str]) -> None:
    connection, location = lake
    with store.transaction(connection, location):
        for kind, digest in digests:
            connection.execute(
                "INSERT INTO privacy.tombstone VALUES (?, ?, ?, ?)", [kind, digest, key.id, NOW]
            )


def do_land(lake: Any, tombstones: Tombstones) -> Landed:
    connection, location = lake
    outcomes = outcome_records(follow_up("f-ann", ANN), follow_up("f-ben", BEN))
    mangled = records(encode(follow_up("f-bad", ANN)).replace(b'"adverse_event_found":false', b'"x":1'))[0]
    mangled.offset = 2
    frames = records(frame("of-ann", "s-1"), frame("of-ben", "s-2"), frame("idle", None))
    batch = Batch(
        [
            Slice(OUTCOMES, 0, 3, Records.of([*outcomes, mangled])),
            Slice(TELEMETRY, 0, 3, Records.of(frames)),
        ]
    )
    return land(
        connection, location, decode_batch(batch), batch_id="b", worker="test", started_at=NOW, landed_at=NOW,
        tombstones=tombstones,
    )  # fmt: skip


def test_erased_persons_events_are_booked_and_nothing_of_them_is_kept(lake, tmp_path):
    """The person's events, a malformed one too, and their session's frames; others land as ever."""
    key = Key.of(tmp_path / "privacy.key")
    bury(lake, key, ("patient", key.patient(ANN)), ("session", key.session("north", "s-1")))
    tombstones = Tombstones(key)
    tombstones.refresh(lake[0])
    report = do_land(lake, tombstones)
    assert (report.consumed, report.landed, report.quarantined) == (6, 3, 3)
    assert report.by_rule == {RULE: 3}
    connection, _ = lake
    landed = connection.execute("SELECT id FROM raw.event_key ORDER BY id").fetchall()
    assert landed == [("f-ben",), ("idle",), ("of-ben",)]
    kept = connection.execute("SELECT key, value, headers, rule FROM landing.quarantine").fetchall()
    assert kept == [(None, None, None, RULE)] * 3
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert ANN.encode() not in everything
    assert b"of-ann" not in everything


def test_an_erasure_in_the_middle_of_a_batch_is_seen(lake, tmp_path):
    """A batch decoded before the erasure is not stored; landed again, it honours it."""
    key = Key.of(tmp_path / "privacy.key")
    tombstones = Tombstones(key)
    bury(lake, key, ("patient", key.patient(ANN)))
    with pytest.raises(WarehouseConflict, match="erased"):
        do_land(lake, tombstones)
    assert lake[0].execute("SELECT count(*) FROM landing.batch").fetchall() == [(0,)]
    assert do_land(lake, tombstones).by_rule == {RULE: 2}


def test_without_erasures_nothing_is_refused(lake):
    """The same batch lands whole, but for the malformed event, which is kept whole."""
    report = do_land(lake, Tombstones(None))
    assert (report.landed, report.quarantined) == (5, 1)
    (value,) = lake[0].execute("SELECT value FROM landing.quarantine").fetchall()[0]
    assert json.loads(value)["data"]["patient_key"] == ANN
