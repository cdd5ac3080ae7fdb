"""Sends the outbox to Kafka: in order, again after any failure, and never past an event not acknowledged."""

import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog

from producers.contracts import BrokerUnavailable, Retryable
from producers.gateway.outbox import Outbox, Retention, Unsent
from producers.publisher import DELIVERY_SECONDS, Publisher

PAGE = 1_000
"""Events read, sent and marked together: at most 64 MiB in memory, usually under 1 MiB [A]."""
LOOK_SECONDS = 1.0
"""How often an idle forwarder looks for events that another process stored [A]."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0
"""Back-off while the broker is away, doubled each time; jitter, so that clinics do not return as one [A]."""
TIDY_SECONDS = 60.0

log = structlog.get_logger("gateway.forwarder")


class Forwarder:
    """One thread that empties the outbox. What it says about itself may be read from any thread."""

    def __init__(
        self,
        outbox: Outbox,
        bootstrap: str,
        security: Mapping[str, Any],
        retention: Retention,
        clock: Callable[[], datetime],
    ) -> None:
        self._outbox = outbox
        self._bootstrap = bootstrap
        self._security = security
        self._retention = retention
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="forwarder", daemon=True)
        self.connected = False
        self.last_error: str | None = None
        """Why it cannot send now; null while it can."""
        self.last_sent_at: datetime | None = None
        self.failures = 0

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask it to end; what is unsent stays in the outbox."""
        self._stopping.set()
        self._outbox.arrived.set()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def run(self) -> None:
        """Send until told to stop; each failure is followed by a pause and a new connection."""
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            sent_before = self.last_sent_at
            try:
                self._send_while_connected()
            except Retryable as error:
                self._failed(error)
                if self.last_sent_at != sent_before:
                    pause = FIRST_PAUSE_SECONDS
                self._stopping.wait(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self.connected = False

    def _send_while_connected(self) -> None:
        """The order that loses nothing: 1. read the oldest unsent; 2. send them; 3. wait until the broker has
        acknowledged every one; 4. mark them sent, on disk. A crash anywhere before 4 sends the page again."""
        publisher = Publisher(self._bootstrap, self._security)
        try:
            self.connected, self.last_error = True, None
            tidy_at = self._clock()
            while not self._stopping.is_set():
                self._outbox.arrived.clear()
                page = self._outbox.unsent(PAGE)
                if page:
                    self._send(publisher, page)
                else:
                    self._outbox.arrived.wait(LOOK_SECONDS)
                if self._clock() >= tidy_at:
                    self._tidy()
                    tidy_at = self._clock() + timedelta(seconds=TIDY_SECONDS)
        finally:
            self.connected = False
            with suppress(BrokerUnavailable):  # said already; what it could not send is still unsent here
                publisher.close(1.0)

    def _send(self, publisher: Publisher, page: list[Unsent]) -> None:
        for event in page:
            publisher.publish_raw(event.topic, event.key, event.value)
        publisher.flush(DELIVERY_SECONDS)
        self._mark(page)
        self.last_sent_at, self.last_error = self._clock(), None

    def _mark(self, page: list[Unsent]) -> None:
        """Until it is on disk, however long that takes: sending the same page for ever would help nobody."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._outbox.mark_sent(page, self._clock())
            except Retryable as error:
                if self._stopping.wait(pause):
                    raise
                self._failed(error)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _tidy(self) -> None:
        now = self._clock()
        content_before, ids_before = now - self._retention.content, now - self._retention.ids
        while not self._stopping.is_set() and self._outbox.prune(
            content_before=content_before, ids_before=ids_before
        ):
            pass

    def _failed(self, error: Retryable) -> None:
        self.failures += 1
        hint = " Are user and password right?" if "sasl_mechanism" in self._security else ""
        self.last_error = f"{error}{hint}"
        log.warning("cannot send now, will try again", reason=self.last_error, failures=self.failures)
