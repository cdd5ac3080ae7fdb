"""Reading ahead: one thread polls and decodes the next batch while another lands the last one.

The consumer belongs to the reading thread alone, also for mirroring offsets and for closing. At most one
batch is read ahead; until it is taken nothing is polled, so a slow warehouse slows reading instead of filling
memory: there are two batches at any time, the one that lands and the next.
"""

import contextlib
import datetime as dt
import functools
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flows.event_source import EventSource
from warehouse.decoding import Decoded, decode_batch
from warehouse.log import Batch, Partition

_LOOK_SECONDS = 0.1
_FIRST_SECONDS = 0.1
"""How long the first batch is gathered: after a restart people have waited already."""


@dataclass(frozen=True)
class Ahead:
    """A decoded batch, and when reading it began."""

    decoded: Decoded
    started_at: dt.datetime


class Prefetch:
    """Batches of one event source, in order, each decoded before it is asked for."""

    def __init__(
        self,
        source: EventSource,
        clock: Callable[[], dt.datetime],
        *,
        max_events: int,
        max_bytes: int,
        max_seconds: float,
        tell_ends: Callable[[Mapping[Partition, int]], None],
    ) -> None:
        self._source = source
        self._clock = clock
        self._tell_ends = tell_ends
        self._poll = functools.partial(source.poll, max_events=max_events, max_bytes=max_bytes)
        self._max_seconds = max_seconds
        self._room = threading.Semaphore(1)
        self._ready: queue.SimpleQueue[Ahead | Exception] = queue.SimpleQueue()
        self._landed: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="prefetch", daemon=True)
        self._thread.start()

    def next(self, seconds: float) -> Ahead | None:
        """The next batch, or None when none came in time. Raises what reading raised."""
        try:
            found = self._ready.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(found, Exception):
            raise found
        self._room.release()
        return found

    def mirror(self, batch: Batch) -> None:
        """Tell Kafka, soon, that this batch has landed."""
        self._landed.put(batch)

    def close(self) -> None:
        """Drop what was read ahead, and close the source."""
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        try:
            seconds = min(_FIRST_SECONDS, self._max_seconds)
            while not self._stop.is_set():
                if not self._room.acquire(timeout=_LOOK_SECONDS):
                    self._mirror_landed()
                    continue
                ahead = self._read_batch(seconds)
                if ahead is None:
                    self._room.release()
                    continue
                seconds = self._max_seconds
                self._ready.put(ahead)
                del ahead  # it belongs to whoever takes it: held here, there would be three
        except Exception as error:
            self._ready.put(error)
        finally:
            self._mirror_landed()
            self._source.close()

    def _read_batch(self, seconds: float) -> Ahead | None:
        started_at = self._clock()
        batch = self._poll(max_seconds=seconds)
        self._tell_ends(self._source.ends())
        self._mirror_landed()
        return Ahead(decode_batch(batch), started_at) if batch.slices else None

    def _mirror_landed(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._source.mirror(self._landed.get_nowait())
