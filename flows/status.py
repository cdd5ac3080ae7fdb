"""The state of the service as one document: components, lag, totals, freshness."""

import contextlib
import datetime as dt
from collections.abc import Mapping
from typing import Any

import httpx

from flows.event_source import EventSource
from flows.settings import Settings
from flows.stack import state
from flows.stack.supervisor import running_states
from producers.contracts import BrokerUnavailable, SettingsError
from warehouse import landing, store


def collect(settings: Settings, *, now: dt.datetime) -> dict[str, Any]:
    """Everything `dermastream status` says. What cannot be reached is said to be down, not raised."""
    warehouse = _warehouse(settings)
    partitions = _partitions(settings, warehouse.pop("progress", {}), now)
    return {
        "at": now.isoformat(),
        "components": _components(settings, partitions is not None, bool(warehouse)),
        "partitions": partitions or [],
        "lag_events": sum(p["lag_events"] for p in partitions) if partitions is not None else None,
        **warehouse,
    }


def _components(settings: Settings, broker: bool, warehouse: bool) -> dict[str, str]:
    dashboard = state.read(settings.home).get("dashboard_url")
    return {
        "broker": _up(broker),
        "warehouse": _up(warehouse),
        "prefect": _up(_answers(f"{settings.prefect_api_url}/health") if settings.prefect_api_url else False),
        "dashboard": _up(_answers(f"{dashboard}/healthz") if dashboard else False),
        **{
            name: "up" if value == "RUNNING" else value.lower()
            for name, value in running_states(settings.home).items()
            if name in ("worker", "simulator")
        },
    }


def _up(answers: bool) -> str:
    return "up" if answers else "down"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False


def _warehouse(settings: Settings) -> dict[str, Any]:
    try:
        connection = store.connect(settings.location, read_only=True)
    except SettingsError:
        return {}
    with contextlib.closing(connection):
        freshness = store.rows(connection, store.statement("status/freshness"))[0]
        return {
            "progress": landing.progress(connection),
            "totals": {
                name: freshness.pop(name) for name in ("consumed", "landed", "duplicate", "quarantined")
            },
            "balanced": freshness.pop("balanced"),
            **{k: v.isoformat() if isinstance(v, dt.datetime) else v for k, v in freshness.items()},
        }


def _partitions(
    settings: Settings, progress: Mapping[landing.Partition, int], now: dt.datetime
) -> list[dict[str, Any]] | None:
    """Offsets and lag per partition; None when the broker cannot be asked."""
    if not settings.kafka_bootstrap_servers:
        return None
    try:
        source = EventSource(settings.kafka_bootstrap_servers, security=settings.kafka_security)
    except BrokerUnavailable:
        return None
    with contextlib.closing(source):
        try:
            bounds = source.bounds()
        except BrokerUnavailable:
            return []
        waiting = {p: progress.get(p, first) for p, (first, end) in bounds.items()}
        lagging = {p: at for p, at in waiting.items() if at < bounds[p][1]}
        oldest = source.received_at(lagging) if lagging else {}
        return [
            {
                "topic": p.topic,
                "partition": p.number,
                "first_offset": first,
                "landed_offset": waiting[p],
                "end_offset": end,
                "lag_events": max(0, end - waiting[p]),
                "lag_seconds": max(0.0, (now - oldest[p]).total_seconds()) if p in oldest else 0.0,
            }
            for p, (first, end) in sorted(bounds.items())
        ]
