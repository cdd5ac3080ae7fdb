"""Two workers that meet the same event at the same time, on different partitions: it lands once.

Appends of two writers do not conflict in DuckLake, so rows alone would double. What conflicts is the
progress, which all workers keep in one relation: whoever commits second does it again, and then sees.
"""

import pytest

from producers.contracts import WarehouseConflict
from tests.landing.test_land_batch import NOW, calibrated, records
from tests.scale_out.conftest import Lake
from warehouse import landing, store
from warehouse.decoding import decode_batch
from warehouse.landing import Landed
from warehouse.log import Batch, Partition, Records, Slice, claim

pytestmark = pytest.mark.integration

HERE, THERE = (Partition("clinic.device-telemetry", number) for number in (0, 1))


def land(connection: store.Connection, location: store.Location, partition: Partition, name: str) -> Landed:
    """The same event, as it stands on this partition."""
    batch = Batch([Slice(partition, 0, 1, Records.of(records(calibrated("twice"))))])
    return landing.land(
        connection, location, decode_batch(batch), batch_id=name, worker=name, started_at=NOW, landed_at=NOW
    )


def test_one_event_on_two_partitions_at_once(scaled_out: Lake, monkeypatch: pytest.MonkeyPatch):
    """The second to commit is refused, does it again, and counts a duplicate."""
    location = store.Location(
        scaled_out.environment["DERMASTREAM_CATALOG"], scaled_out.environment["DERMASTREAM_DATA_PATH"]
    )
    with store.connect(location) as one, store.connect(location) as two:
        store.migrate(one, location)
        claim(one, location, {HERE: (0, 1), THERE: (0, 1)}, at=NOW)
        fresh = landing.refuse_stale

        def overtaken(connection: store.Connection, tombstones: landing.Tombstones) -> None:
            fresh(connection, tombstones)  # its snapshot is taken; now the other worker comes first
            monkeypatch.setattr(landing, "refuse_stale", fresh)
            assert land(two, location, THERE, "two").landed == 1

        monkeypatch.setattr(landing, "refuse_stale", overtaken)
        with pytest.raises(WarehouseConflict):
            land(one, location, HERE, "one")
        again = land(one, location, HERE, "one again")
        assert (again.landed, again.duplicate) == (0, 1)
        assert one.execute("SELECT batch_id FROM raw.device_calibrated").fetchall() == [("two",)]
