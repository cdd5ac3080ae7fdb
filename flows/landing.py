"""Landing events: the plain loop. `flows.bounded` wraps it in Prefect flow runs.

Exactly-once rests on the warehouse transaction alone (see `warehouse.landing.land`). Prefect sees runs,
totals and failures; when its server is away the loop goes on and says so.
"""

import datetime as dt
import itertools
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from flows.event_source import EventSource
from flows.metering import Meter
from flows.prefetch import Prefetch
from flows.retrying import retrying
from flows.settings import Settings
from producers.contracts import Retryable
from warehouse import landing, store
from warehouse.log import Partition, claim
from warehouse.tombstones import Key, Tombstones

log = structlog.get_logger("landing")

Clock = Callable[[], dt.datetime]

REOPEN_SECONDS = 300.0
"""From this age on a run asks Kafka anew which partitions there are: a clinic may have got its own topics."""


@dataclass
class Totals:
    """What a run consumed, and how it balanced."""

    batches: int = 0
    consumed: int = 0
    landed: int = 0
    duplicate: int = 0
    quarantined: int = 0
    by_rule: dict[str, int] = field(default_factory=dict)

    def table(self) -> list[dict[str, Any]]:
        """The run as one table row, for Prefect's artifact."""
        by_rule = ", ".join(f"{rule}: {n}" for rule, n in sorted(self.by_rule.items()))
        return [asdict(self) | {"by_rule": by_rule or "-"}]

    def add(self, report: landing.Landed) -> None:
        self.batches += 1
        self.consumed += report.consumed
        self.landed += report.landed
        self.duplicate += report.duplicate
        self.quarantined += report.quarantined
        for rule, events in report.by_rule.items():
            self.by_rule[rule] = self.by_rule.get(rule, 0) + events


class Lander:
    """The landing loop over one warehouse connection and one event source."""

    def __init__(self, settings: Settings, connection: store.Connection, clock: Clock) -> None:
        self._settings = settings
        self._connection = connection
        self._clock = clock
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self.meter = Meter(clock)
        key_file = settings.privacy_key
        self._tombstones = Tombstones(Key.of(key_file) if key_file.exists() else None)
        self._ahead: Prefetch | None = None
        self._opened = time.monotonic()
        self._numbers = itertools.count()
        self._run = uuid.uuid4().hex[:12]

    def run(
        self,
        stop: threading.Event,
        *,
        seconds: float,
        after_batch: Callable[[Totals], None] = lambda totals: None,
    ) -> Totals:
        """Land until stopped or until the time is over, and give the totals.

        A broker that is away, a full disk and a locked catalog are waited for. Raises CheckFailed when Kafka
        no longer holds what we have not landed: nothing may be skipped silently.
        """
        if time.monotonic() - self._opened > REOPEN_SECONDS:
            self._reset()
        totals = Totals()
        deadline = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < deadline:
            try:
                self._ahead = self._ahead or self._open()
                if self._land_next(self._ahead, totals):
                    after_batch(totals)
            except landing.ProgressLost as lost:
                log.warning("progress lost", reason=str(lost))
                self._reset()
            except Retryable as error:
                log.warning("cannot land now, trying again", reason=str(error))
                self._reset()
                stop.wait(1)
        return totals

    def close(self) -> None:
        self._reset()

    def _open(self) -> Prefetch:
        servers = self._settings.kafka_bootstrap_servers
        source = EventSource(
            servers or "", security=self._settings.kafka_security, share=self._settings.landing_share
        )
        try:
            positions = self._claim(source)
            source.seek(positions)
        except BaseException:
            source.close()
            raise
        self._opened = time.monotonic()
        self.meter.begins(positions)
        log.info("reading", partitions=len(positions), worker=self._worker)
        return Prefetch(
            source,
            self._clock,
            max_events=self._settings.batch_max_events,
            max_bytes=self._settings.batch_max_bytes,
            max_seconds=self._settings.batch_max_seconds,
            tell_ends=self.meter.ends,
        )

    def _claim(self, source: EventSource) -> Mapping[Partition, int]:
        return retrying()(
            claim,
            self._connection,
            self._settings.location,
            source.bounds(),
            at=self._clock(),
            topic_ids=source.topic_ids(),
        )

    def _reset(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def _land_next(self, ahead: Prefetch, totals: Totals) -> bool:
        found = ahead.next(self._settings.batch_max_seconds)
        if found is None:
            return False
        begun = time.monotonic()
        trying = retrying()
        report = trying(
            landing.land,
            self._connection,
            self._settings.location,
            found.decoded,
            batch_id=f"{self._run}-{next(self._numbers):06d}",
            worker=self._worker,
            started_at=found.started_at,
            landed_at=self._clock(),
            tombstones=self._tombstones,
        )
        seconds = time.monotonic() - begun
        self.meter.landed(report, seconds=seconds, retries=trying.statistics["attempt_number"] - 1)
        ahead.mirror(found.decoded.batch)
        totals.add(report)
        log.info(
            "batch",
            batch_id=report.batch_id,
            consumed=report.consumed,
            landed=report.landed,
            duplicate=report.duplicate,
            quarantined=report.quarantined,
            by_rule=dict(report.by_rule),
            seconds=round(seconds, 3),
        )
        return True
