"""Landing one batch into a real DuckLake, without a broker: records are what any log could have held."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from producers.contracts import NEWEST, Event, encode, partition_key
from producers.contracts.events import DeviceCalibrated, TelemetryFrame
from warehouse import store
from warehouse.decoding import decode_batch
from warehouse.landing import ProgressLost, land
from warehouse.log import Batch, Partition, Records, Slice, claim, progress

pytestmark = pytest.mark.integration

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
TELEMETRY = Partition("clinic.device-telemetry", 0)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[tuple[store.Connection, store.Location]]:
    location = store.Location.under(tmp_path)
    connection = store.connect(location)
    store.migrate(connection, location)
    yield connection, location
    connection.close()


def calibrated(id_: str, *, error_mm: float = 0.1, at: dt.datetime = NOW) -> Event[Any]:
    data = DeviceCalibrated(device_id="dev-1", depth_error_mm=error_mm)
    return Event(
        specversion="1.0", id=id_, source="/clinics/north", type="device.calibrated.v1", time=at, data=data
    )


def frame(id_: str, session_id: str | None = "s-1") -> Event[Any]:
    data = TelemetryFrame(
        device_id="dev-1",
        sequence=1,
        sample_interval_ms=100,
        depth_mm=[1.0, 1.25],
        stroke_rate_per_min=[7000.0, 7010.5],
        motor_current_ma=[300.0, 301.0],
        battery_percent=80.0,
        session_id=session_id,
    )
    return Event(
        specversion="1.0", id=id_, source="/clinics/north", type="telemetry.frame.v1", time=NOW, data=data
    )


def records(*values: Event[Any] | bytes | None, start: int = 0) -> list[Any]:
    key = partition_key(calibrated("x")).encode()
    return [
        SimpleNamespace(
            offset=start + n,
            timestamp=int(NOW.timestamp() * 1000),
            key=key,
            value=encode(v) if isinstance(v, Event) else v,
            headers=[("trace", b"\xff")] if v is None else [],
        )
        for n, v in enumerate(values)
    ]


def do_land(lake: tuple[store.Connection, store.Location], batch: Batch, batch_id: str = "b") -> Any:
    connection, location = lake
    decoded = decode_batch(batch)
    return land(
        connection, location, decoded, batch_id=batch_id, worker="test", started_at=NOW, landed_at=NOW
    )


def one(*values: Event[Any] | bytes | None, start: int = 0) -> Batch:
    found = records(*values, start=start)
    return Batch([Slice(TELEMETRY, start, start + len(found), Records.of(found))])


@pytest.fixture
def claimed(lake: tuple[store.Connection, store.Location]) -> tuple[store.Connection, store.Location]:
    connection, location = lake
    assert claim(connection, location, {TELEMETRY: (0, 0)}, at=NOW) == {TELEMETRY: 0}
    return lake


def test_each_event_is_landed_duplicate_or_quarantined(claimed):
    """In one batch, the good land, a repeat is a duplicate, the bad are kept whole, and the books balance."""
    report = do_land(
        claimed,
        one(calibrated("a"), calibrated("a"), b"{not json", None, frame("f", None), calibrated("b")),
    )
    assert (report.consumed, report.landed, report.duplicate, report.quarantined) == (6, 3, 1, 2)
    assert report.by_rule == {"json.invalid": 1, "value.missing": 1}
    connection, _ = claimed
    assert progress(connection) == {TELEMETRY: 6}
    kept = connection.execute(
        'SELECT "offset", rule, value, headers FROM landing.quarantine ORDER BY "offset"'
    ).fetchall()
    assert kept == [
        (2, "json.invalid", b"{not json", None),
        (3, "value.missing", None, '[["trace", "/w=="]]'),
    ]
    landed = connection.execute(
        "SELECT id, depth_mm, stroke_rate_per_min, session_id, clinic_id FROM raw.telemetry_frame"
    ).fetchall()
    assert landed == [("f", [1.0, 1.25], [7000.0, 7010.5], None, "north")]


def test_a_repeat_in_a_later_batch_is_a_duplicate(claimed):
    """The same event sent again, batches later, is counted and not stored."""
    do_land(claimed, one(calibrated("a")), "b1")
    report = do_land(claimed, one(calibrated("a"), start=1), "b2")
    assert (report.landed, report.duplicate) == (0, 1)


def test_same_id_with_other_content_is_a_conflict(claimed):
    """Other content under a landed id is quarantined with both hashes; the first stays."""
    do_land(claimed, one(calibrated("a", error_mm=0.1)), "b1")
    report = do_land(claimed, one(calibrated("a", error_mm=0.2), frame("a"), start=1), "b2")
    assert (report.landed, report.quarantined, report.by_rule) == (0, 2, {"id.conflict": 2})
    connection, _ = claimed
    assert connection.execute("SELECT depth_error_mm FROM raw.device_calibrated").fetchall() == [(0.1,)]
    details = connection.execute("SELECT DISTINCT detail FROM landing.quarantine").fetchall()
    assert all("differs from" in detail for (detail,) in details)


def minutes(count: float) -> dt.datetime:
    return NOW + dt.timedelta(minutes=count)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["by this worker", "by another worker"])
def test_same_id_under_another_time_is_a_conflict(claimed, elsewhere: bool):
    """A fact repeated with a fresh `time`, on the same UTC day or the next, does not land a second time;
    whichever worker landed the first, before or after this one began to keep the day's keys."""
    connection, location = claimed
    other = (store.connect(location), location) if elsewhere else claimed
    do_land(claimed, one(calibrated("first")), "b0")
    do_land(other, one(calibrated("a", at=minutes(-900)), start=1), "b1")
    report = do_land(claimed, one(calibrated("a", at=minutes(-1200)), calibrated("b"), start=2), "b2")
    assert (report.landed, report.by_rule) == (1, {"id.conflict": 1})
    report = do_land(claimed, one(calibrated("a", at=minutes(1)), start=4), "b3")
    assert (report.landed, report.by_rule) == (0, {"id.conflict": 1})
    far = [calibrated(f"far-{n}", at=NOW - dt.timedelta(days=3 * n)) for n in range(40)]
    report = do_land(claimed, one(calibrated("b", at=minutes(7)), *far, start=5), "b4")
    assert (report.landed, report.by_rule) == (40, {"id.conflict": 1})
    landed = connection.execute("SELECT id, count(*) FROM raw.device_calibrated GROUP BY id").fetchall()
    assert len(landed) == 43
    assert {count for _, count in landed} == {1}
    if elsewhere:
        other[0].close()


def test_keys_of_a_batch_that_did_not_land_are_not_kept(claimed):
    """What a rolled-back batch found out is undone with it: its facts land when they come again."""
    do_land(claimed, one(calibrated("first")), "b0")
    with pytest.raises(ProgressLost):
        do_land(claimed, one(calibrated("a"), start=7), "b1")
    report = do_land(claimed, one(calibrated("a", at=minutes(5)), start=1), "b2")
    assert report.landed == 1
    report = do_land(claimed, one(calibrated("a", at=minutes(9)), start=2), "b3")
    assert report.by_rule == {"id.conflict": 1}


def test_keys_of_a_day_are_read_anew_when_the_change_feed_has_expired(claimed):
    """Snapshots since the last look-up are gone: the day is read again, and the repeat is found."""
    connection, location = claimed
    other = (store.connect(location), location)
    do_land(claimed, one(calibrated("first")), "b0")
    do_land(claimed, one(calibrated("second"), start=1), "b1")
    for number, id_ in enumerate("abc"):
        do_land(other, one(calibrated(id_), start=2 + number), f"other-{number}")
    newest = store.snapshot_id(connection)
    connection.execute(
        "CALL ducklake_expire_snapshots('dermastream', versions => ?)", [list(range(1, newest))]
    )
    report = do_land(claimed, one(calibrated("b", at=minutes(30)), start=5), "b2")
    assert report.by_rule == {"id.conflict": 1}
    other[0].close()


def test_what_retention_removed_does_not_land_again(claimed):
    """Before a relation's newest horizon nothing of it lands: refused with the reason, kept whole."""
    connection, location = claimed
    day = dt.timedelta(days=1)
    moves = [(NOW - 9 * day, NOW - 2 * day), (NOW - 3 * day, NOW - day)]
    with store.transaction(connection, location):
        for before, moved in moves:
            connection.execute(
                "INSERT INTO landing.horizon VALUES ('raw.device_calibrated', ?, ?)", [before, moved]
            )
    old, again = calibrated("old", at=NOW - 4 * day), calibrated("old", at=NOW - 4 * day)
    report = do_land(claimed, one(old, again, calibrated("young", at=NOW - 2 * day), frame("f")))
    assert (report.landed, report.duplicate, report.by_rule) == (2, 0, {"retention.passed": 2})
    kept = connection.execute("SELECT path, value FROM landing.quarantine").fetchall()
    assert kept == [("$.time", encode(old))] * 2
    assert connection.execute("SELECT id FROM raw.device_calibrated").fetchall() == [("young",)]


def test_a_batch_that_another_worker_landed_is_refused_whole(claimed):
    """Compare-and-set: a thawed worker that commits the offsets again changes nothing."""
    do_land(claimed, one(calibrated("a")), "b1")
    with pytest.raises(ProgressLost):
        do_land(claimed, one(calibrated("z"), b"bad"), "b1-again")
    connection, _ = claimed
    assert connection.execute("SELECT id FROM raw.device_calibrated").fetchall() == [("a",)]
    assert connection.execute("SELECT count(*) FROM landing.quarantine").fetchall() == [(0,)]
    assert connection.execute("SELECT count(*) FROM landing.batch").fetchall() == [(1,)]
    assert progress(connection) == {TELEMETRY: 1}


def test_offsets_without_events_are_skipped_not_lost(claimed):
    """Compaction leaves gaps: the ledger says so, and consumed + skipped spans the offsets."""
    found = records(calibrated("a"), calibrated("b"))
    found[1].offset = 7
    do_land(claimed, Batch([Slice(TELEMETRY, 0, 8, Records.of(found))]))
    connection, _ = claimed
    row = connection.execute(
        "SELECT consumed, skipped, next_offset - first_offset FROM landing.batch"
    ).fetchall()
    assert row == [(2, 6, 8)]


def test_every_event_type_has_a_raw_table_with_its_fields(lake):
    """The contract and the migration agree: envelope plus one column per field of the event's data."""
    connection, _ = lake
    for event_class in NEWEST.values():
        shape = connection.execute(store.statement("landing/shape"), {"table": event_class.table})
        columns = {name for name, _ in shape.fetchall()}
        assert columns == set(event_class.data.__struct_fields__), event_class.type


def test_migrating_again_changes_nothing(lake):
    """Migrations are remembered."""
    assert store.migrate(*lake) == []
