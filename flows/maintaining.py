"""Maintenance on a schedule: the plain loop that `flows.bounded` wraps."""

import datetime as dt
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from flows.settings import Settings
from producers.contracts import CheckFailed, WarehouseConflict, WarehouseUnavailable
from warehouse import store
from warehouse.maintenance import Maintained, Policy, maintain
from warehouse.retention import Retention

log = structlog.get_logger("maintenance")


def policy(settings: Settings) -> Policy:
    """What the settings say about how long things stay."""
    return Policy(
        snapshots_for=dt.timedelta(days=settings.snapshot_days),
        retention=Retention(
            telemetry_days=settings.retention_telemetry_days,
            quarantine_days=settings.retention_quarantine_days,
            clinical_days=settings.retention_clinical_days,
        ),
    )


def pinned_snapshots(archive: Path) -> set[int]:
    """The snapshots that issued reports name: their numbers can be asked for again."""
    issued = (json.loads(file.read_bytes()) for file in archive.glob("*/*/*.json"))
    return {int(report["snapshot_id"]) for report in issued if "snapshot_id" in report}


class Maintainer:
    """Maintains the warehouse when it is due; a maintenance that was put off is due again next time."""

    def __init__(
        self, settings: Settings, connection: store.Connection, clock: Callable[[], dt.datetime]
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._clock = clock
        self._due = time.monotonic() + settings.maintain_seconds

    def run(self, stop: threading.Event, seconds: float) -> Maintained:
        """Maintain once it is due, until stopped or until the time is over; gives the last account."""
        done = Maintained()
        deadline = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < deadline:
            stop.wait(max(0.0, min(self._due, deadline) - time.monotonic()))
            if not stop.is_set() and time.monotonic() >= self._due:
                done = self._maintain(stop) or done
                self._due = time.monotonic() + self._settings.maintain_seconds
        return done

    def _maintain(self, stop: threading.Event) -> Maintained | None:
        try:
            done = maintain(
                self._connection,
                self._settings.location,
                policy(self._settings),
                pins=pinned_snapshots(self._settings.archive_dir),
                now=self._clock(),
                stopped=stop.is_set,
            )
        except (WarehouseConflict, WarehouseUnavailable) as error:
            log.warning("maintenance put off", reason=str(error))
            return None
        except CheckFailed as error:  # landing goes on; what is wrong must be looked at
            log.error("maintenance stopped", reason=str(error))
            return None
        log.info("maintenance", **done.table()[0])
        return done
