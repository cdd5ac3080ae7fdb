"""Publishing to a real broker: topics as declared, every event acknowledged, files all or nothing."""

import datetime as dt
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.partitioner.default import murmur2

from flows.stack import ports
from producers import publisher as module
from producers.contracts import (
    TOPICS,
    BrokerUnavailable,
    ContractViolation,
    Event,
    SettingsError,
    decode,
    encode,
    partition_key,
)
from producers.contracts.codec import MAX_EVENT_BYTES
from producers.contracts.events import DeviceCalibrated, EventVoided
from producers.publisher import Publisher, create_topics, publish_file
from producers.record_blocks import Blocks, joined
from producers.simulator import Both, NdjsonFile, SimulatorOptions, run
from tests.conftest import Broker

pytestmark = pytest.mark.integration

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
TELEMETRY = "clinic.device-telemetry"


@pytest.fixture(scope="module")
def bootstrap(broker: Broker) -> str:
    """The session's broker, with our topics."""
    create_topics(broker.bootstrap)
    return broker.bootstrap


@pytest.fixture
def publisher(bootstrap: str) -> Iterator[Publisher]:
    with Publisher(bootstrap) as connected:
        yield connected


@pytest.fixture
def reader(bootstrap: str) -> Iterator["Reader"]:
    with Reader(bootstrap) as reading:
        yield reading


class Reader:
    """Everything appended to our topics since it was made."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap, enable_auto_commit=False, max_poll_records=10_000
        )
        self.partitions = [TopicPartition(t.name, n) for t in TOPICS.values() for n in range(t.partitions)]
        self._consumer.assign(self.partitions)
        self._begin = self._consumer.end_offsets(self.partitions)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def records(self) -> list[Any]:
        ends = self._consumer.end_offsets(self.partitions)
        for partition, offset in self._begin.items():
            self._consumer.seek(partition, offset)
        found: list[Any] = []
        while any(self._consumer.position(partition) < end for partition, end in ends.items()):
            for records in self._consumer.poll(timeout_ms=1000).values():
                found += records
        return found


def event(number: int) -> Event[Any]:
    data = DeviceCalibrated(device_id=f"d{number % 10}", depth_error_mm=0.1)
    return Event(
        specversion="1.0",
        id=f"c-{number}",
        source="/clinics/north",
        type="device.calibrated.v1",
        time=NOW,
        data=data,
    )


# ── topics ──────────────────────────────────────────────────────────────────────────────────────────────


def test_topics_are_as_the_contracts_say(bootstrap: str):
    """Partitions, clean-up, retention, the broker's clock and no compression, topic by topic."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        described = {topic["name"]: topic for topic in admin.describe_topics(list(TOPICS))}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in TOPICS]
        configs = admin.describe_configs(resources)
    finally:
        admin.close()
    found = _configs(configs)
    day_ms = 24 * 3600 * 1000
    for topic in TOPICS.values():
        assert len(described[topic.name]["partitions"]) == topic.partitions
        config = found[topic.name]
        assert config["cleanup.policy"] == topic.cleanup_policy
        assert config["retention.ms"] == str(topic.retention_days * day_ms)
        assert config["message.timestamp.type"] == "LogAppendTime"
        assert config["compression.type"] == "uncompressed"
    assert found["clinic.registry"]["min.compaction.lag.ms"] == str(7 * day_ms)


def _configs(described: Any) -> dict[str, dict[str, str]]:
    return {
        name: {key: entry["value"] for key, entry in entries.items()}
        for name, entries in described["topic"].items()
    }


def test_creating_topics_again_changes_nothing(bootstrap: str):
    """The second call finds them all and creates none."""
    assert create_topics(bootstrap) == []


@pytest.mark.parametrize("connect", [create_topics, Publisher])
def test_a_broker_that_is_away_is_named(connect: Any, monkeypatch: pytest.MonkeyPatch):
    """Where no broker answers, one line says so and where."""
    monkeypatch.setattr(module, "BOOTSTRAP_MS", 1_000)
    nowhere = f"127.0.0.1:{ports.any_free()}"
    with pytest.raises(BrokerUnavailable, match=f"^Kafka at {nowhere} did not answer"):
        connect(nowhere)


# ── events ──────────────────────────────────────────────────────────────────────────────────────────────


def test_events_arrive_once_in_order_on_their_partition(publisher: Publisher, reader: Reader):
    """Each event is in the log once, as its canonical bytes, where Kafka's own hash of its key puts it."""
    events = [event(number) for number in range(5000)]
    for one in events:
        publisher.publish(one)
    publisher.flush()
    assert publisher.acknowledged == 5000
    assert publisher.backlog == 0
    records = reader.records()
    assert Counter(record.value for record in records) == Counter(map(encode, events))
    for record in records:
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % TOPICS[TELEMETRY].partitions
    for key in {partition_key(one).encode() for one in events}:
        of_key = [record.value for record in records if record.key == key]
        assert of_key == [encode(one) for one in events if partition_key(one).encode() == key]


def test_a_void_goes_to_the_topic_named(publisher: Publisher, reader: Reader):
    """A type that travels on several topics goes where it is told, else to the first of them."""
    void: Event[Any] = Event(
        specversion="1.0",
        id="v-1",
        source="/clinics/north",
        type="event.voided.v1",
        time=NOW,
        data=EventVoided(voided_id="c-1", reason="test"),
    )
    publisher.publish(void, TELEMETRY)
    publisher.publish(void)
    publisher.flush()
    assert sorted(record.topic for record in reader.records()) == [TELEMETRY, "clinic.sessions"]


def test_bytes_are_sent_as_they_are(publisher: Publisher, reader: Reader):
    """Malformed events, and events without a value, reach the log unchanged."""
    publisher.publish_raw(TELEMETRY, b"north/d1", b"{not json")
    publisher.publish_raw(TELEMETRY, b"north/d1", None)
    publisher.flush()
    assert [(r.key, r.value) for r in reader.records()] == [(b"north/d1", b"{not json"), (b"north/d1", None)]


def test_a_value_too_large_for_any_broker_is_refused(publisher: Publisher):
    """What exceeds a request is refused at once and does not stop the publisher."""
    with pytest.raises(ContractViolation, match=r"^size\.exceeded"):
        publisher.publish_raw(TELEMETRY, b"north/d1", b"x" * 2**20)
    publisher.publish(event(1))
    publisher.flush()
    assert publisher.acknowledged == 1


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that the test may kill."""
    running = Broker(tmp_path)
    running.start()
    create_topics(running.bootstrap)
    yield running
    running.stop()


def test_a_broker_that_dies_is_reported(own_broker: Broker):
    """With the broker killed, flushing and closing say how many events are not acknowledged, in time, and
    what was told as not delivered is not sent behind the caller's back once the broker returns."""
    with Reader(own_broker.bootstrap) as reading:
        sending = Publisher(own_broker.bootstrap)
        sending.publish(event(1))
        sending.flush()
        own_broker.kill()
        for number in range(3):
            sending.publish(event(number))
        with pytest.raises(BrokerUnavailable, match=r"^3 events not acknowledged"):
            sending.flush(0.5)
        with pytest.raises(BrokerUnavailable, match=r"^3 events not acknowledged"):
            sending.close(0.5)
        assert sending.acknowledged == 1
        assert not sending._producer._sender.is_alive()
        own_broker.start()
        with Publisher(own_broker.bootstrap) as again:
            again.publish(event(4))
        assert [json.loads(record.value)["id"] for record in reading.records()] == ["c-1", "c-4"]


def test_a_broker_that_dies_while_blocks_are_sent(own_broker: Broker):
    """Killed with blocks in flight and started again, it has each record once, in order on each partition."""
    partitions = TOPICS[TELEMETRY].partitions
    values = [[b"%d-%06d " % (p, n) + b"x" * 500 for n in range(30_000)] for p in range(partitions)]
    back = threading.Timer(2.0, own_broker.start)
    with Publisher(own_broker.bootstrap) as sending, Reader(own_broker.bootstrap) as reading:
        assert sending.partitions_of(TELEMETRY) == partitions
        packing = [Blocks() for _ in range(partitions)]
        unacknowledged = 0

        def send(number: int, made: Any) -> None:
            nonlocal unacknowledged
            for block, count in made:
                sending.publish_block(TELEMETRY, number, block, count)
                if sending.acknowledged > 20_000 and not unacknowledged:
                    own_broker.kill()
                    unacknowledged = sending.backlog
                    back.start()

        for begin in range(0, 30_000, 500):
            for number, blocks in enumerate(packing):
                chunk = values[number][begin : begin + 500]
                send(number, blocks.add(*joined([b"k"] * len(chunk)), *joined(chunk)))
        for number, blocks in enumerate(packing):
            send(number, blocks.rest())
        back.join()
        sending.flush(120)
        found: dict[int, list[bytes]] = {number: [] for number in range(partitions)}
        for record in reading.records():
            found[record.partition].append(record.value)
    assert unacknowledged > 0
    assert found == dict(enumerate(values))


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────


GOOD = [encode(event(number)) for number in range(3)]
NAIVE = GOOD[1].replace(b"12:00:00Z", b"12:00:00")


def test_a_file_of_good_events_is_sent(publisher: Publisher, reader: Reader, tmp_path: Path):
    """Every line is sent in its canonical form; blank lines and Windows line ends do not matter."""
    file = tmp_path / "events.ndjson"
    spaced = GOOD[1].replace(b'"time":', b'"time" : ')
    file.write_bytes(GOOD[0] + b"\r\n\n" + spaced + b"\n   \n" + GOOD[2])
    report = publish_file(file, publisher, NOW)
    assert (report.events, report.published, report.refused) == (3, 3, [])
    assert sorted(record.value for record in reader.records()) == GOOD


def test_one_refused_line_keeps_the_whole_file_back(publisher: Publisher, reader: Reader, tmp_path: Path):
    """A file with a refused line is not sent at all; the report says which line, why and where in it."""
    file = tmp_path / "events.ndjson"
    lines = [GOOD[0], NAIVE, b"", b"{", b"x" * (3 * MAX_EVENT_BYTES), GOOD[2].replace(b"north", b"NORTH")]
    file.write_bytes(b"\n".join(lines))
    report = publish_file(file, publisher, NOW)
    assert (report.events, report.published) == (5, 0)
    assert [(r.line, r.rule, r.path) for r in report.refused] == [
        (2, "field.invalid", "$.time"),
        (4, "json.invalid", "$"),
        (5, "size.exceeded", "$"),
        (6, "field.invalid", "$.source"),
    ]
    assert reader.records() == []


def test_partial_sends_the_good_lines(publisher: Publisher, reader: Reader, tmp_path: Path):
    """Asked for, the good lines go although others are refused."""
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join([GOOD[0], NAIVE, GOOD[2], b""]))
    report = publish_file(file, publisher, NOW, partial=True)
    assert (report.events, report.published, len(report.refused)) == (3, 2, 1)
    assert sorted(record.value for record in reader.records()) == [GOOD[0], GOOD[2]]


def test_a_file_that_cannot_be_read_is_named(publisher: Publisher, tmp_path: Path):
    """A missing file, or a folder, is refused in one line."""
    for path in (tmp_path / "absent.ndjson", tmp_path):
        with pytest.raises(SettingsError, match=f"^cannot read {path}: "):
            publish_file(path, publisher, NOW)


# ── the simulator on a broker ───────────────────────────────────────────────────────────────────────────


def test_the_simulator_fills_the_log(publisher: Publisher, reader: Reader, tmp_path: Path):
    """After a run the log holds what the manifest says, and only what was planted is refused."""
    options = SimulatorOptions(clinics=3, days=30, seed=2, bad=24, telemetry_days=1)
    manifest = run(options, publisher, home=tmp_path, clock=lambda: NOW, stop=threading.Event(), live=False)
    records = reader.records()
    assert Counter(record.topic for record in records) == manifest.by_topic
    assert len(records) == manifest.acknowledged == manifest.events + manifest.bad
    kinds: Counter[str] = Counter()
    for record in records:
        try:
            decode(record.value, topic=record.topic, key=record.key, now=NOW)
            kinds[json.loads(record.value)["type"]] += 1
        except ContractViolation:
            kinds["refused"] += 1
    assert kinds.pop("refused") == manifest.bad == 24
    assert kinds == manifest.by_type


def test_the_simulator_writes_to_both(publisher: Publisher, reader: Reader, tmp_path: Path):
    """Sent to Kafka and to a file, a run leaves the same bytes in both."""
    options = SimulatorOptions(clinics=2, days=20, seed=3, bad=24, telemetry_days=1)
    with NdjsonFile(tmp_path / "events.ndjson") as file:
        both = Both(publisher, file)
        run(options, both, home=tmp_path, clock=lambda: NOW, stop=threading.Event(), live=False)
    lines = (tmp_path / "events.ndjson").read_bytes().split(b"\n")[:-1]
    sent = [record.value for record in reader.records() if record.value is not None]
    assert len(lines) > 1_000
    assert sorted(lines) == sorted(line for value in sent for line in value.split(b"\n"))
