"""Reading events from Kafka: assignment, position and batches are ours, not the broker's.

Offsets live in the warehouse, in the rows' own transaction; the consumer is told where to read and never
decides. The group's committed offsets are only a mirror for lag tools.
"""

import contextlib
import datetime as dt
import time
from collections.abc import Iterable, Mapping
from typing import Any

import kafka
import structlog
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata

from producers.contracts import TOPICS, BrokerUnavailable, CheckFailed, is_ours, route
from warehouse.log import Batch, Partition, Records, Slice

log = structlog.get_logger("event_source")

GROUP = "dermastream-landing"
"""Consumer group under which progress is mirrored."""
_BATCHES_AT_ONCE = 8
"""Kafka's batches taken at a time, up to 1 MB each: a landing batch oversteps its bound by no more than that.
With 64 it took 40 MB too many from senders that pack them full, and a backlog 1.3 GB of memory."""
HINT = "see `dermastream topics losses`"


class EventSource:
    """All events of the given topics, partition by partition, from positions that the caller holds."""

    def __init__(
        self,
        bootstrap: str,
        *,
        topics: Iterable[str] = tuple(TOPICS),
        share: str = "1/1",
        security: Mapping[str, Any] | None = None,
        whole_batches: bool = True,
    ) -> None:
        self._topics = tuple(topics)
        self._share = share
        self._next: dict[Partition, int] = {}
        self._ids: dict[str, str] = {}
        try:
            self._consumer = KafkaConsumer(
                bootstrap_servers=bootstrap,
                client_id="dermastream-landing",
                group_id=GROUP,
                enable_auto_commit=False,
                auto_offset_reset="none",  # out of range must stop us, never skip silently
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                check_crcs=True,
                max_poll_records=10_000,
                fetch_max_bytes=32 * 2**20,
                max_partition_fetch_bytes=8 * 2**20,
                fetch_max_wait_ms=100,
                receive_buffer_bytes=2**20,
                bootstrap_timeout_ms=10_000,
                **(security or {}),
            )
        except KafkaError as error:
            raise BrokerUnavailable(f"Kafka at {bootstrap}: {type(error).__name__}") from None
        self._whole_batches = whole_batches and self._read_whole_batches()
        self._most_at_once = _BATCHES_AT_ONCE if self._whole_batches else 10_000

    def _read_whole_batches(self) -> bool:
        """Switch to the fast path, or say loudly why not."""
        from flows import record_batches  # compiled code: only the landing loop needs it

        if kafka.__version__ != record_batches.SUPPORTED:
            log.warning("reading record by record", reason=f"unknown kafka-python {kafka.__version__}")
            return False
        record_batches.install(self._consumer)
        return True

    def partitions(self) -> list[Partition]:
        """Every partition of our share. Raises BrokerUnavailable while a topic is missing.

        Shares are dealt out by number, not negotiated: a worker that is killed and started again goes on at
        once, without waiting for a session of a group to time out.
        """
        found = []
        for topic in [*self._topics, *self._own_topics()]:
            numbers = self._consumer.partitions_for_topic(topic)
            if not numbers:
                raise BrokerUnavailable(f"Kafka has no topic {topic} yet")
            found += [Partition(topic, number) for number in sorted(numbers)]
        number, workers = map(int, self._share.split("/"))
        return found[number - 1 :: workers]

    def _own_topics(self) -> list[str]:
        """Topics of single clinics; more of them may have come since the last time."""
        return sorted(
            name
            for name in self._consumer.topics()
            if name not in self._topics and is_ours(name) and route(name)[0] in self._topics
        )

    def bounds(self) -> dict[Partition, tuple[int, int]]:
        """First offset kept and the offset after the last, per partition."""
        partitions = [_kafka(p) for p in self.partitions()]
        try:
            first = self._consumer.beginning_offsets(partitions)
            end = self._consumer.end_offsets(partitions)
        except KafkaError as error:
            raise BrokerUnavailable(f"Kafka offsets: {type(error).__name__}") from None
        return {Partition(p.topic, p.partition): (first[p], end[p]) for p in partitions}

    def topic_ids(self) -> dict[str, str]:
        """Kafka's id of each topic; a broker older than 3.1 gives none."""
        cluster = self._consumer._client.cluster
        found = {topic: cluster.topic_id(topic) for topic in {p.topic for p in self.partitions()}}
        return {topic: str(topic_id) for topic, topic_id in found.items() if topic_id is not None}

    def seek(self, positions: Mapping[Partition, int]) -> None:
        """Read from these offsets on. Raises CheckFailed when Kafka no longer has one of them."""
        bounds = self.bounds()
        for partition, position in positions.items():
            first, end = bounds[partition]
            if not first <= position <= end:
                raise CheckFailed(_gap(partition, position, first, end))
        self._consumer.assign([_kafka(p) for p in positions])
        for partition, position in positions.items():
            self._consumer.seek(_kafka(partition), position)
        self._next = dict(positions)
        self._ids = self.topic_ids()

    def poll(self, *, max_events: int, max_bytes: int, max_seconds: float) -> Batch:
        """Gather events until one of the bounds is reached; empty when there were none in time.

        While more than a whole batch waits in Kafka the time is not a bound: to cut batches short would only
        make the backlog last longer.
        """
        deadline = time.monotonic() + max_seconds
        gathered: dict[Partition, list[Records]] = {}
        events = size = 0
        while events < max_events and size < max_bytes:
            wait_ms = max(0, int((deadline - time.monotonic()) * 1000))
            try:
                polled = self._consumer.poll(timeout_ms=wait_ms, max_records=self._most_at_once)
            except OffsetOutOfRangeError as error:
                raise CheckFailed(f"Kafka no longer holds the offset we are at: {error}") from None
            for kafka_partition, found in polled.items():
                partition = Partition(kafka_partition.topic, kafka_partition.partition)
                parts = self._records(found)
                gathered.setdefault(partition, []).extend(parts)
                events += sum(len(p) for p in parts)
                size += sum(len(p.buffer) for p in parts)
            if time.monotonic() >= deadline and not (polled and self._behind() > max_events):
                break
        self._refuse_made_anew()
        return Batch([self._slice(partition, parts) for partition, parts in gathered.items()])

    def _behind(self) -> int:
        """Events that wait in Kafka, as far as the last fetches told."""
        return sum(end - self._consumer.position(_kafka(p)) for p, end in self.ends().items())

    def _refuse_made_anew(self) -> None:
        """What was polled from a topic that was made anew under us does not follow what we landed."""
        for topic, topic_id in self._ids.items():
            now = self._consumer._client.cluster.topic_id(topic)
            if now is not None and str(now) != topic_id:
                raise CheckFailed(f"{topic} was deleted and made anew while it was read; {HINT}")

    def _records(self, found: list[Any]) -> list[Records]:
        """What the consumer gave: whole batches, or records one by one where those cannot be had."""
        if self._whole_batches:
            return [stand_in.value.records() for stand_in in found]
        return [Records.of(found)]

    def _slice(self, partition: Partition, parts: list[Records]) -> Slice:
        first = self._next[partition]
        self._next[partition] = self._consumer.position(_kafka(partition))
        return Slice(partition, first, self._next[partition], Records.joined(parts, first_offset=first))

    def received_at(
        self, positions: Mapping[Partition, int], *, seconds: float = 2.0
    ) -> dict[Partition, dt.datetime]:
        """The broker's time of the event at each position, for those that answer within the time."""
        self.seek(positions)
        found: dict[Partition, dt.datetime] = {}
        deadline = time.monotonic() + seconds
        while len(found) < len(positions) and time.monotonic() < deadline:
            for kafka_partition, records in self._consumer.poll(timeout_ms=200, max_records=1).items():
                partition = Partition(kafka_partition.topic, kafka_partition.partition)
                oldest_ms = self._slice(partition, self._records(records)).records.timestamp_ms[0]
                found[partition] = dt.datetime.fromtimestamp(int(oldest_ms) / 1000, dt.UTC)
                self._consumer.pause(kafka_partition)
        return found

    def ends(self) -> dict[Partition, int]:
        """The offset after the last event of each partition, as the last fetches told; no call is made."""
        found = {p: self._consumer.highwater(_kafka(p)) for p in self._next}
        return {p: end for p, end in found.items() if end is not None}

    def mirror(self, batch: Batch) -> None:
        """Tell the group's committed offsets to Kafka for lag tools; losing this loses nothing."""
        with contextlib.suppress(KafkaError):
            self._consumer.commit_async(
                {_kafka(s.partition): OffsetAndMetadata(s.next_offset, "", -1) for s in batch.slices}
            )

    def close(self) -> None:
        with contextlib.suppress(KafkaError):
            self._consumer.close(autocommit=False)


def _kafka(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number)


def _gap(partition: Partition, position: int, first: int, end: int) -> str:
    where = f"{partition.topic}/{partition.number}"
    if position < first:
        return f"{where}: offsets {position} to {first - 1} are gone from Kafka and were never landed; {HINT}"
    return f"{where}: the warehouse is at offset {position}, Kafka ends at {end}: was the topic recreated?"


def answers(bootstrap: str, security: Mapping[str, Any] | None = None, *, timeout_ms: int = 1_000) -> bool:
    """Whether a broker at this address answers a real request within the time."""
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap, bootstrap_timeout_ms=timeout_ms, **(security or {})
        )
    except KafkaError:
        return False
    try:
        admin.describe_cluster()
    except KafkaError:
        return False
    finally:
        admin.close()
    return True
