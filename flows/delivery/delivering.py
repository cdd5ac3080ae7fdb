"""Telling and sending on a schedule: the plain loop that `flows.bounded` wraps."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from flows.delivery.signalling import Signalling
from flows.delivery.working import sender_of
from flows.settings import Settings
from producers.contracts import WarehouseUnavailable
from warehouse import store

log = structlog.get_logger("delivery")


@dataclass
class Delivered:
    """What a run planned and sent."""

    planned: int = 0
    accepted: int = 0
    failed: int = 0
    unknown: int = 0
    put_off: int = 0
    withheld: int = 0

    def table(self) -> list[dict[str, Any]]:
        return [asdict(self)]


class Deliverer:
    """Looks every so often for signals to tell and for deliveries that are due."""

    def __init__(
        self, settings: Settings, connection: store.Connection, clock: Callable[[], dt.datetime]
    ) -> None:
        """Raises SettingsError for an unreadable password or secret."""
        self._settings = settings
        self._clock = clock
        self._signalling = Signalling(settings, connection)
        self._sender = sender_of(settings, clock)

    def run(self, stop: threading.Event, seconds: float) -> Delivered:
        """Deliver until stopped or until the time is over."""
        done = Delivered()
        deadline = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < deadline:
            self._look(done)
            stop.wait(self._settings.delivery_seconds)
        return done

    def _look(self, done: Delivered) -> None:
        try:
            done.planned += self._signalling.plan(self._clock())
            for name, count in vars(self._sender.run()).items():
                setattr(done, name, getattr(done, name) + count)
        except WarehouseUnavailable as error:
            log.warning("delivery put off", reason=str(error))
