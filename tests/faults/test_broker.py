"""A broker that is killed, paused, or behind a network that misbehaves: matrix rows 4 and 5."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaProducer

from producers.contracts import encode, partition_key
from tests.faults.harness import (
    PATIENCE_SECONDS,
    TELEMETRY,
    FaultBroker,
    Ledger,
    World,
    _Noting,
    event,
    kinds,
    nothing_lost,
)
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.integration


def careless(bootstrap: str, ledger: Ledger, **options: Any) -> Any:
    """A producer as one might have set it up, with the same ledger."""
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=False, request_timeout_ms=60_000, **options
    )
    return _Noting(producer, ledger)


def send_all(producer: Any, numbers: range) -> None:
    for number in numbers:
        one = event(number)
        producer.send(TELEMETRY, key=partition_key(one).encode(), value=encode(one))


def test_broker_killed_while_events_stream(world: World, tmp_path):
    """Row 4: after `kill -9` of the broker everything acknowledged lands. Its mutant, acks=0, loses some."""
    mutant = Ledger(tmp_path / "mutant.ndjson")
    reckless = careless(world.broker.bootstrap, mutant, acks=0, retries=0)
    reckless.partitions_for(TELEMETRY)  # it must know where to send before nobody answers
    with world.landing() as landing:
        with world.streaming() as sent:
            world.until(lambda: world.landed_batches() >= 3)
            world.broker.pause()
            send_all(reckless, range(1_000_000, 1_000_300))
            world.until(lambda: len(mutant.lines()) > 100)
            world.broker.kill()
            world.broker.start()
            before = sent()
            world.until(lambda: sent() > before + 100)
        world.until(world.drained, lambda: landing.error)
    reckless.close(timeout=1)
    assert landing.error is None
    assert world.violations(duplicates=0) == []
    assert list(nothing_lost(mutant, world.landed(), [])) != []


def test_broker_paused_while_events_stream(world: World):
    """Row 4: a broker that stands still for seconds is waited for (for 60 s in the long run)."""
    pause_for(world, 3)


def pause_for(world: World, seconds: float) -> None:
    with world.landing() as landing:
        with world.streaming() as sent:
            world.until(lambda: world.landed_batches() >= 3)
            world.broker.pause()
            threading.Event().wait(seconds)  # the length of the pause is the point
            world.broker.resume()
            before = sent()
            world.until(lambda: sent() > before + 100)
        world.until(world.drained, lambda: landing.error)
    assert landing.error is None
    assert world.violations(duplicates=0) == []


@pytest.fixture
def proxy(fault_broker: FaultBroker) -> Iterator[Proxy]:
    with Proxy(fault_broker.proxy_port, fault_broker.behind_port) as running:
        yield running


def misbehave(proxy: Proxy, world: World, seconds: float = 0.5) -> Iterator[None]:
    """One misbehaviour after the other; each lasts until asked for the next."""
    proxy.bytes_per_second = 40_000
    yield
    proxy.bytes_per_second = None
    proxy.cut()
    yield
    proxy.cut(reset=True)
    yield
    proxy.lose_answers = True
    world.until(lambda: proxy.requests_while_losing > 3)
    proxy.lose_answers = False
    proxy.cut(reset=True)
    yield
    proxy.half_open()
    threading.Event().wait(seconds)  # for so long nobody is told
    proxy.cut(reset=True)
    yield


def test_network_slow_cut_reset_half_open_and_answers_lost(world: World, proxy: Proxy):
    """Row 5: publisher and landing behind a bad network: nothing lost, and nothing sent twice either."""
    with world.landing(kafka_bootstrap_servers=world.broker.proxied) as landing:
        with world.streaming(bootstrap=world.broker.proxied) as sent:
            world.until(lambda: world.landed_batches() >= 2)
            for _ in misbehave(proxy, world):
                before = world.landed_batches(), sent()
                world.until(lambda b=before: world.landed_batches() > b[0] and sent() > b[1] + 25)  # type: ignore[misc]
        world.until(world.drained, lambda: landing.error)
    assert landing.error is None
    assert world.violations(duplicates=0) == []


def test_a_retry_without_idempotence_is_found(world: World, proxy: Proxy):
    """Row 5's mutant: the broker has the events, its answer is lost, the producer sends them again."""
    producer = careless(world.broker.proxied, world.ledger, acks="all", retries=20)
    send_all(producer, range(50))
    producer.flush(60)
    proxy.lose_answers = True
    send_all(producer, range(50, 100))
    ends = world.lag
    world.until(lambda: ends() >= 100)
    proxy.lose_answers = False
    proxy.cut(reset=True)
    producer.flush(PATIENCE_SECONDS)
    producer.close(timeout=10)
    world.drain()
    assert "duplicates" in kinds(world.violations(duplicates=0))
