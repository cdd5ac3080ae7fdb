"""What a monitoring system reads: the outbox's depth and age, what was accepted, refused and sent."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from producers.gateway.forwarder import Forwarder
from producers.gateway.outbox import OutboxState

PREFIX = "dermastream_gateway_"


def exposition(
    state: OutboxState, forwarder: Forwarder | None, refused: Mapping[str, int], repeated: int, now: datetime
) -> tuple[bytes, str]:
    """Prometheus' text format and its content type."""
    registry = CollectorRegistry()
    registry.register(_Collected([*_of_outbox(state, now), *_of_process(forwarder, refused, repeated)]))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collected:
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


def _of_outbox(state: OutboxState, now: datetime) -> Iterator[Metric]:
    yield _counter("events_accepted", "Events stored, over the outbox's life", state.accepted)
    yield _counter("events_sent", "Events acknowledged by the broker, over the outbox's life", state.sent)
    yield _gauge("outbox_depth_events", "Events stored and not acknowledged yet", state.depth)
    yield _gauge(
        "outbox_oldest_age_seconds",
        "How long the oldest of them has waited; 0: none waits",
        state.waited_seconds(now),
    )
    yield _gauge("outbox_bytes", "Bytes used in the outbox's file", state.stored_bytes)
    yield _gauge("disk_free_bytes", "Bytes free on its disk", state.free_disk_bytes)


def _of_process(forwarder: Forwarder | None, refused: Mapping[str, int], repeated: int) -> Iterator[Metric]:
    yield _counter("events_repeated", "Events given again, since the start", repeated)
    by_rule = CounterMetricFamily(PREFIX + "refusals", "Refusals by rule, since the start", labels=["rule"])
    for rule, count in sorted(refused.items()):
        by_rule.add_metric([rule], count)
    yield by_rule
    yield _gauge("broker_connected", "1 while events can be sent", bool(forwarder and forwarder.connected))
    yield _counter(
        "send_failures", "Failed attempts to send, since the start", forwarder.failures if forwarder else 0
    )


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=float(value))
