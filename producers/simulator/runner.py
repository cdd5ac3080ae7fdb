"""Running the simulated network: first its history as fast as possible, then live.

What has been acknowledged is written to `simulator.json` in the home folder. Started again there, the same
stream is made again from its seed and goes on behind the last acknowledged place: after a clean stop without
a repeat, after a crash with repeats of the same ids and bytes only.
"""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from producers.contracts import Event, clinic_of
from producers.contracts.events import TELEMETRY, SessionCompleted
from producers.simulator.items import Faulty, Item, Malformed, Place, instant
from producers.simulator.manifest import Manifest, SimulatorOptions, mine, save_manifest, settle, world_of
from producers.simulator.stream import Window, delivered, windows
from producers.simulator.telemetry import TYPE as FRAME
from producers.simulator.visits import is_first_entry
from producers.simulator.world import World

if TYPE_CHECKING:
    from producers.simulator.bulk import Bulk

CHECKPOINT_SECONDS = 2.0
"""Between two writes of the state while events flow [A]."""
FLUSH_SECONDS = 60.0
"""For outstanding events at a checkpoint; a killed broker is back in 15-26 s (measured)."""
LAST_FLUSH_SECONDS = 5.0
"""The same once `stop` is set; what is not acknowledged by then is repeated at the next start [A]."""
MAX_BACKLOG = 10_000
"""Events in flight before the simulator pauses; below the publisher's own bound, so that `stop` is seen."""
MAX_LEAD = dt.timedelta(days=1)
"""With `speed`, at most so much of the past is played instead of sent at once."""


class Sink(Protocol):
    """What the simulator needs of a publisher."""

    @property
    def acknowledged(self) -> int: ...
    @property
    def backlog(self) -> int: ...
    def publish(self, event: Event[Any], topic: str | None = None) -> None: ...
    def publish_raw(self, topic: str, key: bytes | None, value: bytes | None) -> None: ...
    def flush(self, timeout: float = ...) -> None: ...


@runtime_checkable
class BlockSink(Sink, Protocol):
    """One that also takes records by the block."""

    def partitions_of(self, topic: str) -> int: ...
    def publish_block(self, topic: str, partition: int, block: Any, count: int) -> None: ...


def run(
    options: SimulatorOptions,
    publisher: Sink,
    *,
    home: Path | None,
    clock: Callable[[], dt.datetime],
    stop: threading.Event,
    progress: Callable[[Manifest], None] = lambda manifest: None,
    live: bool = True,
) -> Manifest:
    """Publish the network's history up to now, then its events as they happen, until `stop` is set.

    No event is sent before its own time. With `live` false it ends where the clock stands. `progress` is
    called after every checkpoint. Gives the final manifest, everything in it acknowledged.
    Raises SettingsError for options out of range or other than those the home was started with, and
    BrokerUnavailable; the state then stands where the last checkpoint left it.
    """
    manifest = settle(options, home, clock())
    world = world_of(manifest)
    books = _Books(manifest, world, publisher, home, stop, progress)
    if not live:
        clock = _until(clock, manifest)
    pace = _Pace(options.speed, manifest.reached, clock)
    place = manifest.place
    for window in _windows(manifest, world):
        if stop.is_set():
            break
        if _is_behind(place, window):
            continue
        if books.sends_windows and pace.is_past(window.before) and _is_ahead(place, window):
            books.send_window(window)
            continue
        for made in window.in_order():
            if place is not None and made[:3] <= place:
                continue
            if not _wait_for(pace.due_at(made[0]), clock, stop, books, live=live):
                break
            books.wait_for_backlog(MAX_BACKLOG)
            if stop.is_set():
                break
            books.send(made)
        else:
            continue
        break
    books.checkpoint()
    return manifest


def _until(clock: Callable[[], dt.datetime], manifest: Manifest) -> Callable[[], dt.datetime]:
    """The clock, or, where the scenario says when history ends, that moment."""
    return clock if manifest.scenario.end is None else lambda: manifest.first_run_at


def _is_behind(place: Place | None, window: Window) -> bool:
    """Whether all of the window was sent before."""
    return place is not None and (window.before, -1, "") <= place


def _is_ahead(place: Place | None, window: Window) -> bool:
    """Whether none of the window was sent before."""
    return place is None or place <= (window.begins, -1, "")


def _windows(manifest: Manifest, world: World) -> Iterator[Window]:
    """The stream; of what was sent before, frames are passed over where nothing of them can still come."""
    scenario, place = manifest.scenario, manifest.place
    first_run = int(manifest.first_run_at.timestamp())
    made = windows(
        world,
        telemetry_from=first_run - scenario.telemetry_days * 86_400,
        bad=scenario.bad,
        unknown_versions=scenario.unknown_versions,
        bad_until=first_run,
        frames_after=place[0] if place and not scenario.faults.any else 0,
        mine=lambda number: mine(manifest, number),
    )
    return delivered(made, scenario.faults, scenario.seed) if scenario.faults.any else made


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────


class _Pace:
    """When each event is due: at its own time, or later where the past is played at a speed."""

    def __init__(self, speed: float, reached: dt.datetime, clock: Callable[[], dt.datetime]) -> None:
        self._speed = speed
        self._clock = clock
        lead = min(MAX_LEAD, dt.timedelta(minutes=speed)) if speed > 1 else dt.timedelta()
        self._played_from = max(reached, clock() - lead).timestamp()
        self._began: float | None = None

    def is_past(self, second: int) -> bool:
        """Whether everything before that second is sent at once."""
        return second <= min(self._played_from, self._clock().timestamp())

    def due_at(self, second: int) -> float:
        """Moment, in seconds since 1970, at which an event of that second may be sent."""
        if self._speed <= 1 or second <= self._played_from:
            return float(second)
        if self._began is None:
            self._began = self._clock().timestamp()
        return max(float(second), self._began + (second - self._played_from) / self._speed)


def _wait_for(
    due_at: float, clock: Callable[[], dt.datetime], stop: threading.Event, books: "_Books", *, live: bool
) -> bool:
    """Wait until an event is due, keeping the books meanwhile; false when it is not to be sent any more."""
    while (seconds := due_at - clock().timestamp()) > 0:
        if not live or stop.is_set():
            return False
        if books.is_due:
            books.checkpoint()
        if stop.wait(min(seconds, CHECKPOINT_SECONDS) if books.is_open else seconds):
            return False
    return True


# ── books ───────────────────────────────────────────────────────────────────────────────────────────────


def _bulk(publisher: Sink, manifest: Manifest) -> "Bulk | None":
    """What packs windows; None where events have to go one by one. Its compiler takes a while to import."""
    if not isinstance(publisher, BlockSink) or manifest.scenario.faults.any:
        return None
    from producers.simulator.bulk import Bulk

    return Bulk(publisher.partitions_of, publisher.publish_block, publisher.publish_raw)


class _Books:
    """Sends items, counts them, and writes down what has been acknowledged."""

    def __init__(
        self,
        manifest: Manifest,
        world: World,
        publisher: Sink,
        home: Path | None,
        stop: threading.Event,
        progress: Callable[[Manifest], None],
    ) -> None:
        self._manifest = manifest
        self._truths = list(zip(world.planted.truths, manifest.truths, strict=True))
        self._publisher = publisher
        self._bulk = _bulk(publisher, manifest)
        self._home = home
        self._stop = stop
        self._progress = progress
        self._acknowledged_before = manifest.acknowledged - publisher.acknowledged
        self._written = time.monotonic()
        self.is_open = False
        """Whether something was sent since the last checkpoint."""

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint should be made."""
        return self.is_open and time.monotonic() - self._written >= CHECKPOINT_SECONDS

    def send(self, made: Item) -> None:
        """Send one item and count it."""
        second, number, event_id, topic, content = made
        if self._bulk is not None:
            self._bulk.rest()  # else this one would overtake what is packed and not yet sent
        if isinstance(content, Malformed):
            self._publisher.publish_raw(topic, content.key, content.value)
        else:
            self._publisher.publish(content.event if isinstance(content, Faulty) else content, topic)
        self._count(made)
        self._sent_up_to((second, number, event_id))

    @property
    def sends_windows(self) -> bool:
        """Whether the publisher takes whole blocks, and every event takes its way without a fault."""
        return self._bulk is not None

    def send_window(self, window: Window) -> None:
        """Send all of a window and count it."""
        assert self._bulk is not None
        self._bulk.add(window)
        for made in window.items:
            self._count(made)
        frames = sum(end - first for _, first, end in window.frames)
        if frames:
            _count(self._manifest.by_type, FRAME, frames)
            _count(self._manifest.by_topic, TELEMETRY.name, frames)
        self._sent_up_to((window.before, -1, ""))

    def _sent_up_to(self, place: Place) -> None:
        self._manifest.place = place
        self.is_open = True
        if self.is_due:
            self.checkpoint()

    def _count(self, made: Item) -> None:
        manifest, content = self._manifest, made[4]
        _count(manifest.by_topic, made[3])
        if isinstance(content, Malformed):
            _count(manifest.bad_by_kind, content.kind)
            return
        if isinstance(content, Faulty):
            for fault in content.faults:
                _count(manifest.by_fault, fault)
            if content.again:
                return
            content = content.event
        _count(manifest.by_type, content.type)
        self._tell(content)

    def _tell(self, event: Event[Any]) -> None:
        """Count a completed session for each truth that befell it, an entry made twice once."""
        session = event.data
        if not isinstance(session, SessionCompleted) or not is_first_entry(event):
            return
        for truth, told in self._truths:
            if truth.exposes(clinic_of(event.source), session):
                told.sessions += 1
                told.first_session_at = told.first_session_at or event.time
                told.last_session_at = event.time

    def wait_for_backlog(self, bound: int, deadline: float = float("inf")) -> None:
        """Wait until fewer events than that are in flight, the deadline has passed, or `stop` is set."""
        while self._publisher.backlog >= bound and time.monotonic() < deadline:
            if self._stop.wait(0.005):
                return

    def checkpoint(self) -> None:
        """Wait until everything sent is acknowledged, then write the state down."""
        if self._bulk is not None:
            self._bulk.rest()
        deadline = time.monotonic() + FLUSH_SECONDS
        self.wait_for_backlog(1, deadline)
        self._publisher.flush(LAST_FLUSH_SECONDS)
        manifest = self._manifest
        manifest.acknowledged = self._acknowledged_before + self._publisher.acknowledged
        if manifest.place is not None:
            manifest.reached = instant(manifest.place[0])
        if self._home is not None:
            save_manifest(manifest, self._home)
        self.is_open = False
        self._written = time.monotonic()
        self._progress(manifest)


def _count(counts: dict[str, int], name: str, number: int = 1) -> None:
    counts[name] = counts.get(name, 0) + number
