"""Windows sent whole hold what the stream holds, byte for byte and in the order of each key."""

import datetime as dt
import random
from collections import defaultdict

import numpy as np
import pytest
from kafka import __version__ as kafka_version
from kafka.partitioner.default import murmur2
from kafka.record.memory_records import MemoryRecords

from producers import publisher
from producers.contracts import TOPICS, Event, encode, partition_key
from producers.publisher import _batch
from producers.record_blocks import BLOCK_BYTES, Blocks, joined, partitions
from producers.simulator.bulk import Bulk
from producers.simulator.frames import frames
from producers.simulator.items import Malformed
from producers.simulator.stream import stream, until, windows
from producers.simulator.world import World, build_world

pytestmark = pytest.mark.unit

START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = int((START + dt.timedelta(days=30)).timestamp())
OPTIONS = {"telemetry_from": END - 86_400, "bad": 26, "unknown_versions": 4, "bad_until": END}


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(2, 3, START)


def read(block: "np.ndarray", count: int) -> list[tuple[bytes, bytes]]:
    """Keys and values of a block, as kafka-python reads the batch that it became."""
    records = _batch(publisher.TopicPartition("t", 0), block, count).records
    records.set_producer_state(7, 0, 0, False)
    records.close()
    found = [(bytes(r.key), bytes(r.value)) for batch in MemoryRecords(records.buffer()) for r in batch]
    assert len(found) == count == records.next_offset()
    return found


def test_windows_sent_whole_are_the_stream(world: World):
    """Each key has the same values in the same order, on the partition that Kafka would choose."""
    whole: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
    raw, malformed = [], []
    places: dict[tuple[str, bytes], set[int]] = defaultdict(set)

    def take(topic: str, partition: int, block: "np.ndarray", count: int) -> None:
        for key, value in read(block, count):
            whole[topic, key].append(value)
            places[topic, key].add(partition)

    bulk = Bulk(lambda topic: TOPICS[topic].partitions, take, lambda *record: raw.append(record))
    for window in windows(world, **OPTIONS):
        if window.before > END:
            break
        bulk.add(window)
    bulk.rest()
    single: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
    for *_, topic, content in until(stream(world, **OPTIONS), window.begins):
        if isinstance(content, Malformed):
            malformed.append((topic, content.key, content.value))
        else:
            assert isinstance(content, Event)
            single[topic, partition_key(content).encode()].append(encode(content))
    assert sum(map(len, single.values())) > 7_000
    assert whole == single
    assert raw == malformed
    for (topic, key), found in places.items():
        assert found == {(murmur2(key) & 0x7FFFFFFF) % TOPICS[topic].partitions}


def test_frames_are_written_as_the_contracts_encode_them(world: World):
    """Every frame of a day, needling and idle, has the canonical bytes, whichever part of it is asked for."""
    checked = 0
    for window in windows(world, **OPTIONS):
        if window.before > END:
            break
        for stretch, first, end in window.frames:
            values, ends = frames(stretch, first, end)
            starts = [0, *ends[:-1]]
            for made, start, stop in zip(stretch.items(first, end), starts, ends, strict=True):
                assert isinstance(made[4], Event)
                assert values[start:stop].tobytes() == encode(made[4])
                checked += 1
    assert checked > 5_000


def test_numbers_are_written_in_their_shortest_form(world: World):
    """Depths, rates, currents and charges at the ends of their ranges, and with zeros behind the point."""
    stretch = next(s for w in windows(world, **OPTIONS) for s, _, _ in w.frames if s.session_id)
    depths = [0, 1, 5, 10, 100, 999, 1000, 1200, 2995, 3000]
    stretch._samples = np.array(
        [[depths], [[0, 1, 9, 10, 25_000, 7000, 1, 2, 3, 4]], [[0, 1, 9, 10, 50_000, 3105, 100, 2, 3, 4]]],
        np.uint16,
    )
    stretch.tenths = np.array([1000])
    values, _ = frames(stretch, 0, 1)
    (made,) = stretch.items(0, 1)
    assert isinstance(made[4], Event)
    assert values.tobytes() == encode(made[4])


def test_random_records_survive_packing():
    """Keys and values of any size come back from the blocks, in order; a block stays within its bound."""
    rng = random.Random(5)
    sent = [(rng.randbytes(rng.randint(0, 90)), rng.randbytes(rng.randint(0, 9000))) for _ in range(600)]
    blocks = Blocks()
    found = []
    for at in range(0, 600, 100):
        keys, values = zip(*sent[at : at + 100], strict=True)
        for block, count in blocks.add(*joined(keys), *joined(values)):
            assert len(block) <= BLOCK_BYTES
            found += read(block, count)
    for block, count in blocks.rest():
        found += read(block, count)
    assert found == sent
    with pytest.raises(ValueError, match="larger than a block"):
        list(blocks.add(*joined([b"k"]), *joined([b"v" * BLOCK_BYTES])))


def test_partitions_are_kafkas():
    """Keys of every length go where Kafka's own partitioner sends them."""
    rng = random.Random(6)
    keys = [rng.randbytes(size) for size in range(70)]
    expected = [(murmur2(key) & 0x7FFFFFFF) % 7 for key in keys]
    assert partitions(*joined(keys), 7).tolist() == expected


def test_blocks_were_written_for_this_kafka_python():
    """`publish_block` uses kafka-python's accumulator: whoever raises the version looks at it again."""
    assert kafka_version == publisher.SUPPORTED
