"""A backup that is older than what Kafka still keeps: landing refuses with the exact gap."""

import datetime as dt
import shutil
import threading
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from flows.landing import Lander
from flows.settings import Settings
from producers.contracts import CheckFailed, Event
from producers.contracts.events import DeviceCalibrated
from producers.publisher import Publisher, create_topics
from tests.conftest import Broker
from warehouse import store
from warehouse.backup import backup, restore
from warehouse.log import Partition, progress
from warehouse.verify import verify

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)


def publish(broker: Broker, numbers: range) -> None:
    with Publisher(broker.bootstrap) as publisher:
        for number in numbers:
            publisher.publish(
                Event(
                    specversion="1.0",
                    id=f"restored-{number}",
                    source="/clinics/north",
                    type="device.calibrated.v1",
                    time=NOW,
                    data=DeviceCalibrated(device_id="pen-1", depth_error_mm=0.1),
                )
            )


def land(settings: Settings, connection: store.Connection, *, events: int) -> None:
    """Land until that many of this module's events are there."""
    lander = Lander(settings, connection, lambda: dt.datetime.now(dt.UTC))
    count = "SELECT count(*) FROM raw.device_calibrated WHERE id LIKE 'restored-%'"
    while connection.execute(count).fetchall()[0][0] < events:
        lander.run(threading.Event(), seconds=0.3)
    lander.close()


def test_a_restore_lands_the_rest_or_names_the_gap(broker: Broker, tmp_path: Path):
    """Restored while Kafka still holds what came after: it is landed again, once. After Kafka has dropped
    some of it: landing stops, and says which offsets are gone."""
    create_topics(broker.bootstrap)
    settings = Settings.load(
        home=tmp_path / "home", kafka_bootstrap_servers=broker.bootstrap, batch_max_seconds=0.1
    )
    connection = store.connect(settings.location)
    store.migrate(connection, settings.location)
    publish(broker, range(50))
    land(settings, connection, events=50)
    backup(connection, settings.location, tmp_path / "backup", now=NOW, actor="op")
    backed_up = progress(connection)
    publish(broker, range(50, 80))
    land(settings, connection, events=80)
    newest = progress(connection)
    connection.close()
    (partition,) = (p for p in newest if newest[p] > backed_up[p])

    restore(tmp_path / "backup", settings.home, set_aside=True, now=NOW)
    connection = store.connect(settings.location)
    land(settings, connection, events=80)
    assert verify(connection, settings.location).findings == []
    assert progress(connection) == newest
    connection.close()

    _drop(broker, partition, newest[partition] - 10)
    shutil.rmtree(settings.home / "warehouse")
    restore(tmp_path / "backup", settings.home, now=NOW)
    connection = store.connect(settings.location)
    gap = f"offsets {backed_up[partition]} to {newest[partition] - 11} are gone from Kafka"
    with pytest.raises(CheckFailed, match=gap):
        land(settings, connection, events=80)
    assert progress(connection) == backed_up
    connection.close()


def _drop(broker: Broker, partition: Partition, before: int) -> None:
    """What retention does: the log begins later."""
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.delete_records({TopicPartition(partition.topic, partition.number): before})
    admin.close()
