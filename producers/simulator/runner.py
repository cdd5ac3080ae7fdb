"""Running the simulated network: first its history as fast as possible, then live.

What has been acknowledged is written to `simulator.json` in the home folder. Started again there, the same
stream is made again from its seed and goes on behind the last acknowledged place: after a clean stop without
a repeat, after a crash with repeats of the same ids and bytes only.
"""

import datetime as dt
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import msgspec

from producers.contracts import Event, SettingsError
from producers.simulator.items import Item, Malformed, Place, instant
from producers.simulator.stream import stream
from producers.simulator.world import build_world

STATE_FILE = "simulator.json"
CHECKPOINT_SECONDS = 2.0
"""Between two writes of the state while events flow [A]."""
FLUSH_SECONDS = 30.0
"""For outstanding events at a checkpoint; a killed broker is back in 15-26 s (measured)."""
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


@dataclass(frozen=True)
class SimulatorOptions:
    """What a user may choose; None takes what the home was started with, else the default."""

    clinics: int | None = None
    """Clinics in the network, 1-200; default 12."""
    days: int | None = None
    """Days of history before the first start, 1-1825; default 365."""
    seed: int | None = None
    """Seed of all randomness; default 1."""
    bad: int | None = None
    """Malformed events planted in the history, 0-10 000; default 25."""
    telemetry_days: int | None = None
    """Last days of the history that carry telemetry, 0 to `days`; default 2, or `days` if fewer."""
    speed: float = 1.0
    """Simulated seconds a second until the clock is caught up with, 1-86 400; may differ at each start."""


class Scenario(msgspec.Struct, frozen=True):
    """The options that make the stream, settled for good at the first start."""

    clinics: int
    days: int
    seed: int
    bad: int
    telemetry_days: int


class Manifest(msgspec.Struct, kw_only=True):
    """What has been produced and acknowledged since the first start; also the state file's content.

    `by_type` counts valid events and `bad_by_kind` the malformed ones; `by_topic` counts both. An event
    repeated after a crash is counted once.
    """

    scenario: Scenario
    start: dt.datetime
    """First moment of the history."""
    first_run_at: dt.datetime
    """When the history ended and live events began."""
    reached: dt.datetime
    """Simulated time of the newest event."""
    place: Place | None = None
    """Of the newest event in the stream; None before the first."""
    acknowledged: int = 0
    """Events, valid and malformed, that the broker has acknowledged."""
    by_type: dict[str, int] = msgspec.field(default_factory=dict)
    by_topic: dict[str, int] = msgspec.field(default_factory=dict)
    bad_by_kind: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def events(self) -> int:
        """Valid events produced."""
        return sum(self.by_type.values())

    @property
    def bad(self) -> int:
        """Malformed events produced."""
        return sum(self.bad_by_kind.values())


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
    _check_ranges(options)
    manifest = _resume(home, options) or _begin(options, clock())
    books = _Books(manifest, publisher, home, progress)
    pace = _Pace(options.speed, manifest.reached, clock)
    for made in _items(manifest):
        if not _wait_for(pace.due_at(made[0]), clock, stop, books, live=live):
            break
        while publisher.backlog >= MAX_BACKLOG and not stop.wait(0.01):
            pass
        if stop.is_set():
            break
        books.send(made)
    books.checkpoint()
    return manifest


def _items(manifest: Manifest) -> Any:
    scenario = manifest.scenario
    first_run = int(manifest.first_run_at.timestamp())
    return stream(
        build_world(scenario.seed, scenario.clinics, manifest.start),
        telemetry_from=first_run - scenario.telemetry_days * 86_400,
        bad=scenario.bad,
        bad_until=first_run,
        after=manifest.place,
    )


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────


class _Pace:
    """When each event is due: at its own time, or later where the past is played at a speed."""

    def __init__(self, speed: float, reached: dt.datetime, clock: Callable[[], dt.datetime]) -> None:
        self._speed = speed
        self._clock = clock
        lead = min(MAX_LEAD, dt.timedelta(minutes=speed)) if speed > 1 else dt.timedelta()
        self._played_from = max(reached, clock() - lead).timestamp()
        self._began: float | None = None

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


class _Books:
    """Sends items, counts them, and writes down what has been acknowledged."""

    def __init__(
        self, manifest: Manifest, publisher: Sink, home: Path | None, progress: Callable[[Manifest], None]
    ) -> None:
        self._manifest = manifest
        self._publisher = publisher
        self._home = home
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
        manifest = self._manifest
        if isinstance(content, Malformed):
            self._publisher.publish_raw(topic, content.key, content.value)
            _count(manifest.bad_by_kind, content.kind)
        else:
            self._publisher.publish(content, topic)
            _count(manifest.by_type, content.type)
        _count(manifest.by_topic, topic)
        manifest.place = (second, number, event_id)
        self.is_open = True
        if self.is_due:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Wait until everything sent is acknowledged, then write the state down."""
        self._publisher.flush(FLUSH_SECONDS)
        manifest = self._manifest
        manifest.acknowledged = self._acknowledged_before + self._publisher.acknowledged
        if manifest.place is not None:
            manifest.reached = instant(manifest.place[0])
        if self._home is not None:
            _write(self._home / STATE_FILE, msgspec.json.format(msgspec.json.encode(manifest)))
        self.is_open = False
        self._written = time.monotonic()
        self._progress(manifest)


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _write(file: Path, content: bytes) -> None:
    """Replace a file so that it is either the old or the new one, whatever happens."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(".tmp")
    with scratch.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# ── options ─────────────────────────────────────────────────────────────────────────────────────────────

_DEFAULTS = {"clinics": 12, "days": 365, "seed": 1, "bad": 25, "telemetry_days": 2}
_RANGES: dict[str, tuple[float, float]] = {
    "clinics": (1, 200),
    "days": (1, 1825),
    "seed": (0, 2**63 - 1),
    "bad": (0, 10_000),
    "telemetry_days": (0, 1825),
    "speed": (1, 86_400),
}


def _check_ranges(options: SimulatorOptions) -> None:
    for name, (low, high) in _RANGES.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise SettingsError(f"{name} must be from {low:g} to {high:g}, not {value:g}")


def _begin(options: SimulatorOptions, now: dt.datetime) -> Manifest:
    chosen = {name: getattr(options, name) for name in _DEFAULTS}
    settled = {name: _DEFAULTS[name] if value is None else value for name, value in chosen.items()}
    if options.telemetry_days is not None and options.telemetry_days > settled["days"]:
        raise SettingsError(f"telemetry_days must not exceed days, {settled['days']}")
    settled["telemetry_days"] = min(settled["telemetry_days"], settled["days"])
    start = (now - dt.timedelta(days=settled["days"])).astimezone(dt.UTC)
    start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return Manifest(scenario=Scenario(**settled), start=start, first_run_at=now, reached=start)


def _resume(home: Path | None, options: SimulatorOptions) -> Manifest | None:
    """The manifest that the home was left with; None for a new one."""
    file = None if home is None else home / STATE_FILE
    if file is None or not file.exists():
        return None
    try:
        manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"cannot read {file} ({type(error).__name__}): restore it, or use a new home"
        ) from None
    for field in fields(options):
        given, recorded = getattr(options, field.name), getattr(manifest.scenario, field.name, None)
        if None not in (given, recorded) and given != recorded:
            raise SettingsError(
                f"{field.name} {given}: {file} was started with {recorded}; leave it out, or use a new home"
            )
    return manifest


def load_manifest(home: Path) -> Manifest | None:
    """What the simulator of a home has produced so far; None if it never ran. Raises SettingsError."""
    return _resume(home, SimulatorOptions())
