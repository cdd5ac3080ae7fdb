"""Recomputing the metrics while events land: the plain loop that `flows.bounded` wraps."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from flows.settings import Settings
from producers.contracts import CheckFailed, SettingsError, WarehouseConflict, WarehouseUnavailable
from warehouse import store
from warehouse.refresh import Spread, refresh_if_changed

log = structlog.get_logger("refresh")


@dataclass
class Refreshes:
    """What a run recomputed."""

    looked: int = 0
    recomputed: int = 0
    rows: int = 0
    seconds: float = 0.0

    def table(self) -> list[dict[str, Any]]:
        return [asdict(self)]


class Refresher:
    """Looks for new facts every few seconds and recomputes the metrics when there are some."""

    def __init__(
        self, settings: Settings, connection: store.Connection, clock: Callable[[], dt.datetime]
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._clock = clock
        self._spread: Spread | None = None
        if settings.metric_workers:
            try:  # seconds to import
                from flows import spreading
            except ModuleNotFoundError:
                raise SettingsError(
                    "DERMASTREAM_METRIC_WORKERS needs Dask: install dermastream[scale-out]"
                ) from None
            self._spread = spreading.over(settings.metric_workers, settings.metric_seconds)

    def run(self, stop: threading.Event, seconds: float) -> Refreshes:
        """Refresh until stopped or until the time is over."""
        done = Refreshes()
        deadline = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < deadline:
            done.looked += 1
            now = self._clock()
            try:
                report = refresh_if_changed(
                    self._connection,
                    self._settings.location,
                    as_of=now,
                    computed_at=now,
                    spread=self._spread,
                )
            except (WarehouseConflict, WarehouseUnavailable) as error:
                log.warning("refresh put off", reason=str(error))
                report = None
            except CheckFailed as error:
                # The last good results stay; landing, which shares the process, goes on.
                log.error("refresh not published", reason=str(error))
                report = None
            if report is not None:
                done.recomputed += 1
                done.rows += report.rows
                done.seconds += report.seconds
                log.info(
                    "refresh",
                    rows=report.rows,
                    patients=report.patients,
                    snapshot_id=report.snapshot_id,
                    seconds=round(report.seconds, 3),
                )
                if report.warnings:
                    log.warning("refresh published with rows that break a check", **report.warnings)
            stop.wait(self._settings.refresh_seconds)
        return done
