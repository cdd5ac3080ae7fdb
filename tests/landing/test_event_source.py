"""Whole record batches against record by record, on the real broker: the same events, byte for byte."""

from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer

from flows.event_source import EventSource
from tests.conftest import Broker
from warehouse.log import Batch, Partition

pytestmark = pytest.mark.integration

TOPIC = "any.codec"
ONLY = Partition(TOPIC, 0)


@pytest.fixture(scope="module")
def filled(broker: Broker) -> Broker:
    """One partition with batches in every codec, null keys and values, headers, and a transaction undone."""
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics({TOPIC: {"num_partitions": 1, "replication_factor": 1}})
    admin.wait_for_topics([TOPIC])
    admin.close()
    for codec in (None, "gzip", "lz4", "zstd"):
        with_headers(broker, codec)
    for commit in (False, True):
        transaction(broker, commit=commit)
    return broker


def with_headers(broker: Broker, codec: str | None) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type=codec, linger_ms=50)
    for n in range(50):
        producer.send(
            TOPIC,
            key=None if n % 7 == 2 else b"k%d" % n,
            value=None if n % 11 == 3 else b"v" * (n * n % 300),
            headers=[("trace", b"\x00\xff"), ("empty", b"")] if n % 5 == 0 else [],
        )
    producer.flush()
    producer.close()


def transaction(broker: Broker, *, commit: bool) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=f"t-{commit}")
    producer.init_transactions()
    producer.begin_transaction()
    for n in range(5):
        producer.send(TOPIC, key=b"t", value=b"%d %d" % (commit, n))
    producer.flush()
    producer.commit_transaction() if commit else producer.abort_transaction()
    producer.close()


def read(broker: Broker, start: int, *, whole: bool) -> tuple[list[tuple[Any, ...]], int]:
    source = EventSource(broker.bootstrap, topics=[TOPIC], whole_batches=whole)
    end = source.bounds()[ONLY][1]
    source.seek({ONLY: start})
    found: list[tuple[Any, ...]] = []
    position = start
    while position < end:
        batch: Batch = source.poll(max_events=10_000, max_bytes=2**26, max_seconds=0.5)
        for slice_ in batch.slices:
            assert slice_.first_offset == position
            position = slice_.next_offset
            r = slice_.records
            found += [
                (int(r.offset[i]), int(r.timestamp_ms[i]), r.key(i), r.value(i), r.headers.get(i))
                for i in range(len(r))
            ]
        if not batch.slices and found and position >= found[-1][0] + 1:
            break
    source.close()
    return found, position


@pytest.mark.parametrize("start", [0, 1, 33, 120, 199, 203])
def test_whole_batches_give_the_same_events(filled: Broker, start: int):
    """From any offset, also inside a batch; what a transaction undid is not there; the committed part is."""
    fast, _ = read(filled, start, whole=True)
    slow, _ = read(filled, start, whole=False)
    assert fast == slow
    assert fast[0][0] == (start if start < 200 else 206)  # 200-204 were undone, 205 is the marker
    if start == 0:
        assert len(fast) == 205
        assert {value for *_, value, _ in fast if value and value[:2] in (b"0 ", b"1 ")} == {
            b"1 %d" % n for n in range(5)
        }
