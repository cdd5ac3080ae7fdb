"""The state of the service as one document: components, lag, totals, freshness."""

import contextlib
import datetime as dt
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx

from flows.event_source import EventSource
from flows.settings import Settings
from flows.stack import state
from flows.stack.supervisor import running_states
from producers.contracts import BrokerUnavailable, SettingsError
from warehouse import store
from warehouse.log import Partition, progress


class StatusReader:
    """Reads the service's state, again and again over the same connections. Use as a context manager.

    What cannot be reached is said to be down, not raised.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: store.Connection | None = None
        self._source: EventSource | None = None

    def read(self, now: dt.datetime) -> dict[str, Any]:
        """Everything `dermastream status` says, as of `now`."""
        warehouse = self._warehouse()
        partitions = self._partitions(warehouse.pop("progress", {}), now)
        return {
            "at": now.isoformat(),
            "components": self._components(partitions is not None, bool(warehouse)),
            "partitions": partitions or [],
            "lag_events": None if partitions is None else sum(p["lag_events"] for p in partitions),
            **warehouse,
        }

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._drop_source()

    def __enter__(self) -> "StatusReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _components(self, broker: bool, warehouse: bool) -> dict[str, str]:
        prefect = self._settings.prefect_api_url
        dashboard = state.read(self._settings.home).get("dashboard_url")
        supervised = running_states(self._settings.home)
        return {
            "broker": _up(broker),
            "warehouse": _up(warehouse),
            "prefect": _up(_answers(f"{prefect}/health") if prefect else False),
            "dashboard": _up(_answers(f"{dashboard}/healthz") if dashboard else False),
            **{
                name: "up" if value == "RUNNING" else value.lower()
                for name, value in supervised.items()
                if name in ("worker", "simulator")
            },
        }

    def _warehouse(self) -> dict[str, Any]:
        try:
            self._connection = self._connection or store.connect(self._settings.location, read_only=True)
        except SettingsError:
            return {}
        found = store.rows(self._connection, store.statement("status/freshness"))[0]
        return {
            "progress": progress(self._connection),
            "totals": {name: found.pop(name) for name in ("consumed", "landed", "duplicate", "quarantined")},
            "balanced": found.pop("balanced"),
            **{k: v.isoformat() if isinstance(v, dt.datetime) else v for k, v in found.items()},
        }

    def _partitions(self, landed: Mapping[Partition, int], now: dt.datetime) -> list[dict[str, Any]] | None:
        """Offsets and lag per partition; None when the broker cannot be asked."""
        try:
            source = self._open_source()
            bounds = source.bounds()
            waiting = {p: landed.get(p, first) for p, (first, _) in bounds.items()}
            lagging = {p: at for p, at in waiting.items() if bounds[p][0] <= at < bounds[p][1]}
            oldest = source.received_at(lagging) if lagging else {}
        except BrokerUnavailable:
            self._drop_source()
            return None
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

    def _open_source(self) -> EventSource:
        servers = self._settings.kafka_bootstrap_servers
        if not servers:
            raise BrokerUnavailable("no broker is configured, and no stack runs here")
        self._source = self._source or EventSource(
            servers, security=self._settings.kafka_security, whole_batches=False
        )
        return self._source

    def _drop_source(self) -> None:
        if self._source is not None:
            with contextlib.suppress(BrokerUnavailable):
                self._source.close()
            self._source = None


def _up(answers: bool) -> str:
    return "up" if answers else "down"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False
