"""What a landing worker tells Prometheus. The ledger in the warehouse holds the same per batch, for ever."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from warehouse.landing import Landed
from warehouse.log import Partition

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_EVENTS = (1, 10, 100, 1_000, 10_000, 50_000, 100_000, 200_000)


class Meter:
    """Counts since the process began, and how far landing is behind."""

    def __init__(self, clock: Callable[[], dt.datetime]) -> None:
        self.registry = CollectorRegistry()
        self._position = Position(clock)
        self.registry.register(self._position)
        self._consumed = self._counter("consumed", "Events read from Kafka")
        self._landed = self._counter("landed", "Events stored in raw")
        self._duplicate = self._counter("duplicate", "Events that were stored before, with the same content")
        self._quarantined = Counter(
            "dermastream_events_quarantined",
            "Events refused and kept in quarantine",
            ["rule"],
            registry=self.registry,
        )
        self._retries = self._counter(
            "retries", "Transactions begun again because of another writer", "commit"
        )
        self._size = self._histogram("batch_events", "Events in a batch", _EVENTS)
        self._seconds = self._histogram("batch_seconds", "Seconds to land a batch, decoding apart", _SECONDS)
        self._commit = self._histogram("commit_seconds", "Seconds that its commit took", _SECONDS)

    def landed(self, report: Landed, *, seconds: float, retries: int) -> None:
        """One batch has landed."""
        self._consumed.inc(report.consumed)
        self._landed.inc(report.landed)
        self._duplicate.inc(report.duplicate)
        for rule, events in report.by_rule.items():
            self._quarantined.labels(rule).inc(events)
        self._retries.inc(retries)
        self._size.observe(report.consumed)
        self._seconds.observe(seconds)
        self._commit.observe(report.commit_seconds)
        self._position.landed(report)

    def ends(self, found: Mapping[Partition, int]) -> None:
        """Where Kafka's partitions end, as the last fetches told."""
        self._position.ends.update(found)

    def begins(self, positions: Mapping[Partition, int]) -> None:
        """Where landing goes on."""
        self._position.next.update(positions)

    def serve(self, host: str, port: int) -> None:
        """Answer Prometheus at `/metrics`, in a thread of its own, until the process ends."""
        start_http_server(port, addr=host, registry=self.registry)

    def _counter(self, name: str, text: str, what: str = "events") -> Counter:
        return Counter(f"dermastream_{what}_{name}", text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"dermastream_{name}", text, buckets=buckets, registry=self.registry)


class Position(Collector):
    """Lag, watermarks and ages, worked out when asked: a worker that is stuck must be seen to be."""

    def __init__(self, clock: Callable[[], dt.datetime]) -> None:
        self._clock = clock
        self.ends: dict[Partition, int] = {}
        self.next: dict[Partition, int] = {}
        self._received: dict[Partition, dt.datetime] = {}
        self._watermark: dict[str, dt.datetime] = {}

    def landed(self, report: Landed) -> None:
        self.next.update(report.next_offsets)
        self._received.update(report.newest_received)
        for clinic_id, at in report.newest_by_clinic.items():
            self._watermark[clinic_id] = max(at, self._watermark.get(clinic_id, at))

    def collect(self) -> Iterator[Metric]:
        now = self._clock()
        behind = {p: max(0, end - self.next[p]) for p, end in list(self.ends.items()) if p in self.next}
        yield _of_partitions("dermastream_lag_events", "Events in Kafka that have not landed", behind)
        waits = {
            p: (now - self._received[p]).total_seconds() if lag and p in self._received else 0.0
            for p, lag in behind.items()
        }
        yield _of_partitions(
            "dermastream_lag_seconds", "Age of the newest landed event where others wait", waits
        )
        watermark = GaugeMetricFamily(
            "dermastream_watermark_timestamp_seconds",
            "Newest moment that a clinic's landed events speak of",
            labels=["clinic_id"],
        )
        for clinic_id, at in list(self._watermark.items()):
            watermark.add_metric([clinic_id], at.timestamp())
        yield watermark
        newest = max(self._received.values(), default=None)
        age = GaugeMetricFamily("dermastream_newest_event_age_seconds", "Age of the newest landed event")
        if newest is not None:
            age.add_metric([], max(0.0, (now - newest).total_seconds()))
        yield age


def _of_partitions(name: str, text: str, values: Mapping[Partition, float]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, text, labels=["topic", "partition"])
    for partition, value in sorted(values.items()):
        gauge.add_metric([partition.topic, str(partition.number)], value)
    return gauge
