"""Sending events to Kafka: topics, an idempotent publisher, and files of events.

A publisher counts an event only when the broker has acknowledged it. After the first delivery error it
refuses to go on: what came after the lost event must not overtake it.
"""

import functools
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError
from kafka.partitioner.default import DefaultPartitioner, murmur2
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.structs import TopicPartition

from producers.contracts import (
    EVENTS,
    TOPICS,
    BrokerUnavailable,
    ContractViolation,
    Event,
    SettingsError,
    Topic,
    clinic_of,
    encode,
    own_topic,
    partition_key,
)
from producers.contracts.checking import CheckedLine, RefusedLine, check_lines
from producers.contracts.routes import CLINIC_ID

MAX_BACKLOG = 20_000
"""Events in flight before `publish` waits, about 12 MB; kafka-python itself has no bound [A]."""
DELIVERY_SECONDS = 120
"""How long an event may take to be acknowledged; a killed broker is back in 15-26 s (measured)."""
MAX_BLOCKS = 40
"""Blocks in flight before `publish_block` waits, about 16 MB [A]."""
SUPPORTED = "3.0.12"
"""The version of kafka-python whose accumulator `publish_block` was written against; a test holds it."""
BOOTSTRAP_MS = 10_000
"""How long to look for a broker before saying that there is none [A]."""
LETTING_GO_SECONDS = 10.0
"""How long to wait for a sending thread that was told to stop; it looks up after each answer [A]."""
COMPACTION_LAG = timedelta(days=7)
"""How long the registry keeps every version, so that a late reader still sees the history [A]."""


def create_topics(
    bootstrap: str, security: Mapping[str, Any] | None = None, *, replication_factor: int = 1
) -> list[str]:
    """Create those of our topics that are missing and give their names; safe to run again.

    Raises BrokerUnavailable.
    """
    wanted = {t.name: _options(t, replication_factor) for t in TOPICS.values()}
    with _admin(bootstrap, security) as admin:
        return _create_missing(admin, wanted)


def create_clinic_topics(
    bootstrap: str,
    security: Mapping[str, Any] | None = None,
    *,
    clinic_id: str,
    principal: str | None = None,
    replication_factor: int = 1,
) -> list[str]:
    """Create the topics of one clinic's own that are missing and give their names; safe to run again.

    `principal`, like `User:north`, is allowed to write to them and to nothing else: its rules name each topic
    literally, since one for a prefix `…north` would cover `…north-2` as well. The broker must refuse what no
    rule allows. Raises BrokerUnavailable, SettingsError for a clinic id that the contracts do not know.
    """
    if not re.fullmatch(CLINIC_ID, clinic_id):
        raise SettingsError(f"clinic id {clinic_id!r} must match {CLINIC_ID}")
    wanted = {
        own_topic(t.name, clinic_id): _options(t, replication_factor) | {"num_partitions": 1}
        for t in TOPICS.values()
    }
    with _admin(bootstrap, security) as admin:
        created = _create_missing(admin, wanted)
        if principal:
            admin.create_acls(
                [_may(principal, operation, topic) for topic in wanted for operation in _WRITING]
            )
    return created


_WRITING = (ACLOperation.WRITE, ACLOperation.DESCRIBE)


def _may(principal: str, operation: ACLOperation, topic: str) -> ACL:
    resource = ResourcePattern(ResourceType.TOPIC, topic)
    return ACL(principal, "*", operation, ACLPermissionType.ALLOW, resource)


@contextmanager
def _admin(bootstrap: str, security: Mapping[str, Any] | None) -> Iterator[KafkaAdminClient]:
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap,
            client_id="dermastream-topics",
            bootstrap_timeout_ms=BOOTSTRAP_MS,
            request_timeout_ms=30_000,
            **(security or {}),
        )
    except (KafkaError, OSError) as error:
        raise _unavailable(bootstrap, error) from None
    try:
        yield admin
    except (KafkaError, OSError) as error:
        raise _unavailable(bootstrap, error) from None
    finally:
        admin.close()


def _create_missing(admin: KafkaAdminClient, wanted: Mapping[str, dict[str, Any]]) -> list[str]:
    present = set(admin.list_topics())
    missing = {name: options for name, options in wanted.items() if name not in present}
    if missing:
        with suppress(TopicAlreadyExistsError):  # another process was quicker
            admin.create_topics(missing)
        admin.wait_for_topics(list(missing))
    return list(missing)


def _options(topic: Topic, replication_factor: int) -> dict[str, Any]:
    configs = {
        "cleanup.policy": topic.cleanup_policy,
        "retention.ms": str(int(timedelta(days=topic.retention_days).total_seconds() * 1000)),
        # The broker's clock decides what is old, so that a year of history is not dropped on arrival.
        "message.timestamp.type": "LogAppendTime",
        # A batch arrives unpacked, so a small one cannot unfold into hundreds of megabytes in a reader.
        "compression.type": "uncompressed",
        "min.insync.replicas": str(max(1, replication_factor - 1)),
    }
    if topic.cleanup_policy == "compact":
        configs["min.compaction.lag.ms"] = str(int(COMPACTION_LAG.total_seconds() * 1000))
    return {
        "num_partitions": topic.partitions,
        "replication_factor": replication_factor,
        "configs": configs,
    }


def _unavailable(bootstrap: str, error: BaseException) -> BrokerUnavailable:
    return BrokerUnavailable(f"Kafka at {bootstrap} did not answer ({type(error).__name__}): is it running?")


class _Murmur2Partitioner(DefaultPartitioner):
    """Kafka's default partition of a key, remembering the hashes: few devices send most events."""

    _hash = staticmethod(functools.lru_cache(maxsize=65_536)(murmur2))

    def partition(
        self, topic: str, key: Any, serialized_key: Any, value: Any, serialized_value: Any, cluster: Any
    ) -> int:
        if serialized_key is None:
            return super().partition(topic, key, serialized_key, value, serialized_value, cluster)
        partitions = sorted(cluster.partitions_for_topic(topic))
        return partitions[(self._hash(serialized_key) & 0x7FFFFFFF) % len(partitions)]


class Publisher:
    """Sends events in order per key, without repeats of its own, and counts the acknowledged ones.

    Use from one thread, as a context manager; leaving it waits for outstanding events.
    """

    def __init__(
        self, bootstrap: str, security: Mapping[str, Any] | None = None, *, own_topics: bool = False
    ) -> None:
        """Connect. With `own_topics`, events go to the topics of their clinic. Raises BrokerUnavailable."""
        self._own_topics = own_topics
        self._bootstrap = bootstrap
        self._changed = threading.Condition()
        self._sent = 0
        self._acknowledged = 0
        self._failed = 0
        self._blocks = 0
        self._error: BaseException | None = None
        self._closed = False
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=bootstrap,
                client_id="dermastream-publisher",
                acks="all",
                enable_idempotence=True,
                retries=float("inf"),
                max_in_flight_requests_per_connection=5,
                delivery_timeout_ms=DELIVERY_SECONDS * 1000,
                request_timeout_ms=30_000,
                bootstrap_timeout_ms=BOOTSTRAP_MS,
                max_block_ms=30_000,
                batch_size=128 * 1024,
                linger_ms=20,
                max_request_size=2**20,
                compression_type=None,
                allow_auto_create_topics=False,
                partitioner=_Murmur2Partitioner(),
                metrics_enabled=False,
                **(security or {}),
            )
        except (KafkaError, OSError) as error:
            raise _unavailable(bootstrap, error) from None

    @property
    def acknowledged(self) -> int:
        """Events the broker has acknowledged so far."""
        return self._acknowledged

    @property
    def backlog(self) -> int:
        """Events sent and neither acknowledged nor failed yet."""
        return self._sent - self._acknowledged - self._failed

    def publish(self, event: Event[Any], topic: str | None = None) -> None:
        """Send one event in its canonical form under its partition key.

        `topic` is needed only for a type that travels on several, such as `event.voided.v1`; the first of
        them is taken when it is not given. Raises BrokerUnavailable.
        """
        name = topic or EVENTS[event.type].topics[0].name
        if self._own_topics:
            name = own_topic(name, clinic_of(event.source))
        self.publish_raw(name, partition_key(event).encode(), encode(event))

    def publish_raw(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Send bytes as they are, valid or not; waits while the backlog is full.

        Raises BrokerUnavailable, or ContractViolation for a value too large for any broker.
        """
        if self.backlog >= MAX_BACKLOG:
            self._wait_until(lambda: self.backlog < MAX_BACKLOG)
        self._raise_error()
        try:
            future = self._producer.send(topic, key=key, value=value)
        except MessageSizeTooLargeError:
            raise ContractViolation("size.exceeded", "$", "larger than a Kafka request") from None
        except KafkaError as error:
            raise BrokerUnavailable(
                f"cannot send to {topic} at {self._bootstrap} ({type(error).__name__}): "
                "is the broker running, and are its topics created?"
            ) from None
        with self._changed:
            self._sent += 1
        future.add_callback(self._on_acknowledged)
        future.add_errback(self._on_failed)

    def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has. Raises BrokerUnavailable."""
        try:
            return len(self._producer.partitions_for(topic))
        except KafkaError as error:
            raise _unavailable(self._bootstrap, error) from None

    def publish_block(self, topic: str, partition: int, block: Any, count: int) -> None:
        """Send records packed by `producers.record_blocks`, in order behind those sent before.

        kafka-python has no door for whole record batches, so this one goes where its own `send` ends, into
        the accumulator; sequence numbers, retries and order stay its business. Ask `partitions_of` first: it
        makes the topic known, without which nothing is sent. Waits while too much is in flight. Raises
        BrokerUnavailable.
        """
        if self._blocks >= MAX_BLOCKS:
            self._wait_until(lambda: self._blocks < MAX_BLOCKS)
        self._raise_error()
        batch = _batch(TopicPartition(topic, partition), block, count)
        with self._changed:
            self._sent += count
            self._blocks += 1
        batch.produce_future.add_callback(lambda result: self._on_block(count, result[2]))
        batch.produce_future.add_errback(lambda error: self._on_block(count, lambda _: error))
        accumulator = self._producer._accumulator
        with accumulator._tp_lock(batch.topic_partition):
            accumulator._batches[batch.topic_partition].append(batch)
            accumulator._incomplete.add(batch)
        self._producer._sender.wakeup()

    def _on_block(self, count: int, error_of: Callable[[int], BaseException] | None) -> None:
        with self._changed:
            self._blocks -= 1
            if error_of is None:
                self._acknowledged += count
            else:
                self._failed += count
                self._error = self._error or error_of(0)
            self._changed.notify_all()

    def flush(self, timeout: float = 30.0) -> None:
        """Wait until every event sent so far is acknowledged. Raises BrokerUnavailable."""
        done = self._wait_until(lambda: self._acknowledged == self._sent, timeout)
        self._raise_error()
        if not done:
            raise BrokerUnavailable(
                f"{self.backlog} events not acknowledged by {self._bootstrap} after {timeout:g} s"
            )

    def close(self, timeout: float = 10.0) -> None:
        """Send what is outstanding and let go of the broker; raises BrokerUnavailable if that fails."""
        if self._closed:
            return
        self._closed = True
        patience = 0.0
        try:
            self.flush(timeout)
            patience = timeout
        finally:
            self._let_go(patience)

    def _let_go(self, patience: float) -> None:
        """Close the producer; what it still holds then is not sent any more: it was told as not delivered.

        kafka-python's own `close` gives up before it stops the sending thread when something is outstanding;
        that thread would go on and deliver once the broker is back, after others have sent the same again.
        """
        try:
            self._producer.close(patience)
        except KafkaError:
            self._producer._sender.force_close()
            self._producer._sender.join(LETTING_GO_SECONDS)

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        with suppress(BrokerUnavailable):  # the first error is the one to tell, and soon
            self.close(1.0)

    def _on_acknowledged(self, _: Any) -> None:
        with self._changed:
            self._acknowledged += 1
            self._changed.notify_all()

    def _on_failed(self, error: BaseException) -> None:
        with self._changed:
            self._failed += 1
            self._error = self._error or error
            self._changed.notify_all()

    def _wait_until(self, holds: Callable[[], bool], timeout: float = DELIVERY_SECONDS) -> bool:
        """Wait until it holds or delivery has failed; false when neither came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._error is not None or holds(), timeout)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise BrokerUnavailable(
                f"an event was not delivered to {self._bootstrap} ({type(self._error).__name__}); "
                f"{self._acknowledged} were before it"
            )


def _batch(place: TopicPartition, block: Any, count: int) -> ProducerBatch:
    """A producer's batch that holds these records already, not yet closed."""
    records = MemoryRecordsBuilder(2, 0, 0)
    builder = records._builder
    builder._buffer += memoryview(block)
    builder._num_records, builder._last_offset = count, count - 1
    builder._first_timestamp = builder._max_timestamp = int(time.time() * 1000)
    records._next_offset = count
    return ProducerBatch(place, records)


@dataclass(frozen=True)
class PublishReport:
    """What became of a file: events in it, events acknowledged by the broker, lines refused."""

    events: int
    published: int
    refused: list[RefusedLine] = field(default_factory=list)


def publish_file(path: Path, publisher: Publisher, now: datetime, *, partial: bool = False) -> PublishReport:
    """Send a file of events, one JSON document a line, after checking every line.

    Nothing is sent if any line is refused, unless `partial`: then the good lines are. Blank lines are
    passed over. `now` is what the events' clocks are held against.
    Raises SettingsError for an unreadable file, BrokerUnavailable.
    """
    try:
        with path.open("rb") as file:
            events, refused = _check(file, now)
            if refused and not partial:
                return PublishReport(events, 0, refused)
            before = publisher.acknowledged
            file.seek(0)
            for found in check_lines(file, now):
                if isinstance(found, CheckedLine):
                    topic, key = EVENTS[found.event.type].topics[0].name, partition_key(found.event)
                    publisher.publish_raw(topic, key.encode(), found.canonical)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror or error}") from None
    publisher.flush(DELIVERY_SECONDS)
    return PublishReport(events, publisher.acknowledged - before, refused)


def _check(file: BinaryIO, now: datetime) -> tuple[int, list[RefusedLine]]:
    events, refused = 0, []
    for found in check_lines(file, now):
        events += 1
        if isinstance(found, RefusedLine):
            refused.append(found)
    return events, refused
