"""What a run is asked for, and the record of what it has produced: the simulator's state file."""

import datetime as dt
import os
import re
from dataclasses import dataclass, fields
from pathlib import Path

import msgspec

from producers.contracts import SettingsError
from producers.simulator.items import Place
from producers.simulator.parameters import Parameters, Stated, load_parameters, parameters_of, stated
from producers.simulator.transport import Faults
from producers.simulator.truths import Truth, wishes
from producers.simulator.world import World, build_world

STATE_FILE = "simulator.json"
STREAM_VERSION = 5
"""Raised whenever the same scenario makes other events than before; an older home cannot go on then."""


@dataclass(frozen=True)
class SimulatorOptions:
    """What a user may choose; None takes what the home was started with, else the default."""

    clinics: int | None = None
    """Clinics in the network, 1-1000; default 12."""
    days: int | None = None
    """Days of history before the first start, 1-3653; default 365."""
    seed: int | None = None
    """Seed of all randomness; default 1."""
    bad: int | None = None
    """Malformed events planted in the history, 0-10 000; default 25."""
    telemetry_days: int | None = None
    """Last days of the history that carry telemetry, 0 to `days`; default 2, or `days` if fewer."""
    plant: tuple[str, ...] | None = None
    """Truths to plant, like `lot-breakouts:ratio=8`; default none. See `truths.TRUTHS`."""
    config: Path | None = None
    """TOML file that sets parameters; default: each parameter's own. See `parameters.Parameters`."""
    duplicates: float | None = None
    """Share of events sent again; default 0, as for the faults below. See `transport.Faults`."""
    reordered: float | None = None
    """Share of events overtaken by later ones."""
    late: float | None = None
    """Share of events sent minutes to months late."""
    skewed: float | None = None
    """Share of clinics whose clock is wrong."""
    unknown_versions: int | None = None
    """Events of versions that nobody knows, planted in the history, 0-10 000; default 0."""
    share: str | None = None
    """Clinics made by this process, like `2/3`, every third one; default all. Each has a home of its own."""
    end: str | None = None
    """Day, midnight in UTC, at which the history ends instead of the moment of the first start."""
    speed: float = 1.0
    """Simulated seconds a second until the clock is caught up with, 1-86 400; may differ at each start."""


class Scenario(msgspec.Struct, frozen=True):
    """The options that make the stream, settled for good at the first start."""

    clinics: int
    days: int
    seed: int
    bad: int
    telemetry_days: int
    plant: tuple[str, ...] = ()
    """Each truth with all its sizes."""
    unknown_versions: int = 0
    duplicates: float = 0.0
    reordered: float = 0.0
    late: float = 0.0
    skewed: float = 0.0
    share: str = "1/1"
    end: str | None = None

    @property
    def faults(self) -> Faults:
        """What goes wrong on the way to the broker."""
        return Faults(self.duplicates, self.reordered, self.late, self.skewed)


class Told(msgspec.Struct):
    """A planted truth: whom it befalls, how strongly, when, and the sessions it befell so far."""

    name: str
    sizes: dict[str, float]
    ids: dict[str, str]
    dates: dict[str, str]
    sessions: int = 0
    """Completed sessions, entries made twice counted once."""
    first_session_at: dt.datetime | None = None
    last_session_at: dt.datetime | None = None


class Manifest(msgspec.Struct, kw_only=True):
    """What has been produced and acknowledged since the first start; also the state file's content.

    `by_type` counts valid events, each once, and `bad_by_kind` the malformed ones; `by_fault` what befell
    valid ones on their way, `duplicate` being those sent again. `by_topic` counts all that was sent. An event
    repeated after a crash is counted once.
    """

    stream_version: int = STREAM_VERSION
    scenario: Scenario
    start: dt.datetime
    """First moment of the history."""
    first_run_at: dt.datetime
    """When the history ended and live events began."""
    reached: dt.datetime
    """Simulated time up to which events were sent."""
    place: Place | None = None
    """Of the newest event in the stream; None before the first."""
    acknowledged: int = 0
    """Events, valid and malformed, that the broker has acknowledged."""
    by_type: dict[str, int] = msgspec.field(default_factory=dict)
    by_topic: dict[str, int] = msgspec.field(default_factory=dict)
    bad_by_kind: dict[str, int] = msgspec.field(default_factory=dict)
    by_fault: dict[str, int] = msgspec.field(default_factory=dict)
    truths: list[Told] = msgspec.field(default_factory=list)
    parameters: dict[str, Stated] = msgspec.field(default_factory=dict)

    @property
    def events(self) -> int:
        """Valid events produced."""
        return sum(self.by_type.values())

    @property
    def bad(self) -> int:
        """Malformed events produced."""
        return sum(self.bad_by_kind.values())

    @property
    def duplicates(self) -> int:
        """Valid events sent again."""
        return self.by_fault.get("duplicate", 0)


def world_of(manifest: Manifest) -> World:
    """The network that the manifest tells of, all shares of it."""
    scenario = manifest.scenario
    return build_world(
        scenario.seed, scenario.clinics, manifest.start, parameters(manifest), wishes(scenario.plant)
    )


def mine(manifest: Manifest, clinic_number: int) -> bool:
    """Whether the clinic of that number belongs to the share."""
    number, count = _share(manifest.scenario.share)
    return clinic_number % count == number - 1


def parameters(manifest: Manifest) -> Parameters:
    """The parameters in force. Raises SettingsError where somebody has changed them in the state file."""
    return parameters_of({name: found.value for name, found in manifest.parameters.items()}, STATE_FILE)


def settle(options: SimulatorOptions, home: Path | None, now: dt.datetime) -> Manifest:
    """The manifest to go on with: the home's if it has one, else a new one whose history ends `now`.

    Raises SettingsError for options out of range, or other than those the home was started with.
    """
    _check_ranges(options)
    return _resume(home, options) or _begin(options, now)


def load_manifest(home: Path) -> Manifest | None:
    """What the simulator of a home has produced so far; None if it never ran. Raises SettingsError."""
    return _resume(home, SimulatorOptions())


def save_manifest(manifest: Manifest, home: Path) -> None:
    """Replace the home's state file so that it is either the old or the new one, whatever happens."""
    home.mkdir(parents=True, exist_ok=True)
    scratch = home / f"{STATE_FILE}.new"
    with scratch.open("wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(manifest)))
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(home / STATE_FILE)
    folder = os.open(home, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


_DEFAULTS: dict[str, float] = {
    "clinics": 12,
    "days": 365,
    "seed": 1,
    "bad": 25,
    "telemetry_days": 2,
    "unknown_versions": 0,
    "duplicates": 0.0,
    "reordered": 0.0,
    "late": 0.0,
    "skewed": 0.0,
}
_RANGES: dict[str, tuple[float, float]] = {
    "clinics": (1, 1000),
    "days": (1, 3653),
    "seed": (0, 2**63 - 1),
    "bad": (0, 10_000),
    "telemetry_days": (0, 3653),
    "unknown_versions": (0, 10_000),
    "duplicates": (0, 1),
    "reordered": (0, 1),
    "late": (0, 1),
    "skewed": (0, 1),
    "speed": (1, 86_400),
}


def _check_ranges(options: SimulatorOptions) -> None:
    for name, (low, high) in _RANGES.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise SettingsError(f"{name} must be from {low:g} to {high:g}, not {value:g}")


def _share(text: str) -> tuple[int, int]:
    """(number from 1, count) of `2/3`. Raises SettingsError."""
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise SettingsError(f"share must be like 2/3, not {text!r}")
    return number, count


def _end(text: str | None, now: dt.datetime) -> dt.datetime:
    """When history ends. Raises SettingsError for what is no past day."""
    if text is None:
        return now
    try:
        end = dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC)
    except ValueError:
        raise SettingsError(f"end must be a day like 2026-01-31, not {text!r}") from None
    if end > now:
        raise SettingsError(f"end must not lie in the future, as {text} does")
    return end


def _begin(options: SimulatorOptions, now: dt.datetime) -> Manifest:
    chosen = {name: getattr(options, name) for name in _DEFAULTS}
    settled = {name: _DEFAULTS[name] if value is None else value for name, value in chosen.items()}
    if options.telemetry_days is not None and options.telemetry_days > settled["days"]:
        raise SettingsError(f"telemetry_days must not exceed days, {settled['days']}")
    settled["telemetry_days"] = min(settled["telemetry_days"], settled["days"])
    _share(options.share or "1/1")
    end = _end(options.end, now)
    start = (end - dt.timedelta(days=settled["days"])).astimezone(dt.UTC)
    start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    plant = tuple(map(str, wishes(options.plant or ())))
    manifest = Manifest(
        scenario=msgspec.convert(
            settled | {"plant": plant, "share": options.share or "1/1", "end": options.end}, Scenario
        ),
        start=start,
        first_run_at=end,
        reached=start,
        parameters=stated(load_parameters(options.config)),
    )
    manifest.truths = [_told(truth) for truth in world_of(manifest).planted.truths]
    return manifest


def _told(truth: Truth) -> Told:
    return Told(name=truth.name, sizes=truth.sizes, ids=truth.ids, dates=truth.dates)


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
    if manifest.stream_version != STREAM_VERSION:
        raise SettingsError(f"{file} was written by another version of the simulator: use a new home")
    _check_same_parameters(manifest, options.config, file)
    for field in fields(options):
        given, recorded = getattr(options, field.name), getattr(manifest.scenario, field.name, None)
        if field.name == "plant" and given is not None:
            given = tuple(map(str, wishes(given)))
        if None not in (given, recorded) and given != recorded:
            raise SettingsError(
                f"{field.name} {given}: {file} was started with {recorded}; leave it out, or use a new home"
            )
    return manifest


def _check_same_parameters(manifest: Manifest, config: Path | None, file: Path) -> None:
    if config is None:
        return
    given, recorded = load_parameters(config), parameters(manifest)
    for name in Parameters.__struct_fields__:
        now, before = getattr(given, name), getattr(recorded, name)
        if now != before:
            raise SettingsError(
                f"{config}: {name} {now}: {file} was started with {before}; leave it out, or use a new home"
            )
