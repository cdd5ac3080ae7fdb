"""Messages that are no events: the process lives, good neighbours land, each bad one is accounted for."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

import flows.prefetch
from producers.contracts import ContractViolation, decode
from tests.faults.harness import TELEMETRY, World, event, kinds
from tests.faults.poison import messages
from warehouse.decoding import Decoded
from warehouse.log import Batch

pytestmark = pytest.mark.integration


def pour(world: World, count: int) -> None:
    """Bad messages, and after each a good one with some chance: first, middle and last in their batches."""
    number = 1
    with world.publisher() as publisher:
        for message in messages(world.rng, count):
            publisher.send(message.topic, key=message.key, value=message.value, headers=message.headers)
            if world.rng.random() < 0.5:
                publisher.publish(event(number))
                number += 1


def survive(world: World, count: int) -> dict[str, int]:
    """Land so many bad messages; gives how many were refused, by rule."""
    pour(world, count)
    with world.landing() as landing:
        world.until(world.drained, lambda: landing.error)
    assert landing.error is None, f"seed {world.seed}"
    assert world.violations() == []
    unruled = world.connection.execute(
        "SELECT count(*) FROM landing.quarantine WHERE rule IS NULL OR path IS NULL OR detail IS NULL"
    ).fetchall()
    assert unruled == [(0,)]
    return dict(landing.totals.by_rule)


def test_fuzz_is_accounted_for_message_by_message(world: World):
    """Row 11: whatever comes, it is in quarantine whole, with rule and place, or was an event after all."""
    by_rule = survive(world, 500)
    assert {"json.invalid", "field.invalid", "value.missing", "size.exceeded", "key.mismatch"} <= set(by_rule)


def naive(batch: Batch) -> Decoded:
    """`json.loads` on everything, into one list: what a script would do."""
    for slice_ in batch.slices:
        for i in range(len(slice_.records)):
            json.loads(slice_.records.value(i) or b"")
    return DECODE(batch)


DECODE = flows.prefetch.decode_batch


def test_json_loads_and_a_batch_insert_die_of_it(world: World):
    """Row 11's mutant: one bad message, and nothing of the batch lands."""
    pour(world, 50)
    with patch.object(flows.prefetch, "decode_batch", naive), world.landing() as landing:
        world.until(world.drained, lambda: landing.error)
    assert isinstance(landing.error, ValueError | RecursionError)
    assert "lost" in kinds(world.violations())


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd", None])
def test_bombs_and_giants_are_refused_at_the_broker(world: World, codec: str | None):
    """Row 11: 20 MB of zeros, packed into some kilobytes or not, never reach a topic; what follows lands."""
    options: dict[str, Any] = {"compression_type": codec, "max_request_size": 2**26}
    producer = KafkaProducer(bootstrap_servers=world.broker.bootstrap, **options)
    sent = producer.send(TELEMETRY, key=b"north/dev-0", value=bytes(20 * 2**20))
    with pytest.raises(KafkaError) as refused:
        sent.get(60)
    assert isinstance(refused.value, MessageSizeTooLargeError)
    producer.close(timeout=5)
    world.publish(range(50))
    world.drain()
    assert world.violations(duplicates=0) == []


__all__ = ["ContractViolation", "decode"]
