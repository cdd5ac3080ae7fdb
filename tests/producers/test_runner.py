"""A run publishes history, then lives; stopped or killed, it goes on as if nothing had happened."""

import datetime as dt
import itertools
import json
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from producers.contracts import (
    BrokerUnavailable,
    ContractViolation,
    Event,
    SettingsError,
    decode,
    encode,
    partition_key,
)
from producers.contracts.codec import type_of
from producers.simulator import Manifest, SimulatorOptions, load_manifest, run, runner
from producers.simulator.manifest import STATE_FILE
from tests.producers.test_bulk import read

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 3, 10, 11, 20, 30, 500_000, tzinfo=dt.UTC)
SMALL = SimulatorOptions(clinics=2, days=20, seed=5, bad=12, telemetry_days=0)
Sent = tuple[str, bytes | None, bytes | None]


class Clock:
    """A clock that moves only when somebody waits."""

    def __init__(self, now: dt.datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now


class Stop(threading.Event):
    """Set when its clock reaches a moment; waiting on it moves the clock, and takes no time."""

    def __init__(self, clock: Clock, at: dt.datetime) -> None:
        super().__init__()
        self._clock = clock
        self._at = at

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._clock.now += max(dt.timedelta(seconds=timeout), dt.timedelta.resolution)
        if self._clock.now >= self._at:
            self.set()
        return self.is_set()


class Ledger:
    """Takes events as a publisher does and keeps them with the time; may stop or fail at a number."""

    def __init__(
        self,
        clock: Clock,
        *,
        stop_at: int | None = None,
        stop: threading.Event | None = None,
        fail_at: int = 0,
    ) -> None:
        self.sent: list[Sent] = []
        self.at: list[dt.datetime] = []
        self.flushed = 0
        self._clock = clock
        self._stop_at, self._stop, self._fail_at = stop_at, stop, fail_at

    @property
    def acknowledged(self) -> int:
        return len(self.sent)

    @property
    def backlog(self) -> int:
        return 0

    def publish(self, event: Event[Any], topic: str | None = None) -> None:
        assert topic is not None
        self.publish_raw(topic, partition_key(event).encode(), encode(event))

    def publish_raw(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        if len(self.sent) + 1 == self._fail_at:
            raise BrokerUnavailable("the broker went away")
        self.sent.append((topic, key, value))
        self.at.append(self._clock.now)
        if len(self.sent) == self._stop_at and self._stop is not None:
            self._stop.set()

    def flush(self, timeout: float = 30.0) -> None:
        self.flushed = len(self.sent)


def played(
    options: SimulatorOptions,
    home: Path | None = None,
    *,
    start: dt.datetime = NOW,
    hours: float = 0,
    **more: Any,
) -> tuple[Ledger, Manifest]:
    """A run that begins at `start` and is stopped after so many hours; 0: it ends where history does."""
    clock = Clock(start)
    ledger = Ledger(clock)
    stop = Stop(clock, start + dt.timedelta(hours=hours))
    manifest = run(options, ledger, home=home, clock=clock, stop=stop, live=hours > 0, **more)
    return ledger, manifest


def times(ledger: Ledger) -> list[tuple[dt.datetime, dt.datetime]]:
    """(event's time, when it was sent) of the valid events."""
    pairs = []
    for (_, _, value), at in zip(ledger.sent, ledger.at, strict=True):
        try:
            pairs.append((decode(value, now=dt.datetime(2026, 12, 1, tzinfo=dt.UTC))[0].time, at))
        except ContractViolation:
            continue
    return pairs


# ── history and life ────────────────────────────────────────────────────────────────────────────────────


def test_history_is_sent_at_once():
    """Everything up to now is sent without waiting, and nothing after it."""
    ledger, manifest = played(SMALL)
    assert set(ledger.at) == {NOW}
    assert manifest.start == dt.datetime(2026, 2, 18, tzinfo=dt.UTC)
    assert manifest.start <= manifest.reached <= NOW
    assert max(time for time, _ in times(ledger)) == manifest.reached


def test_live_events_are_sent_when_they_happen():
    """After history each event is sent at its own time: never before, and not after."""
    ledger, _ = played(SMALL, hours=12)
    live = [(time, at) for time, at in times(ledger) if time > NOW]
    assert len(live) > 500
    assert all(dt.timedelta() <= at - time < dt.timedelta(milliseconds=1) for time, at in live)


def test_speed_plays_the_last_stretch_of_history():
    """At speed 60 the last hour is played in a minute; then, caught up with the clock, at its pace."""
    options = SimulatorOptions(clinics=4, days=5, seed=5, bad=0, telemetry_days=1, speed=60)
    ledger, _ = played(options, hours=0.25)
    pairs = times(ledger)
    lead = dt.timedelta(minutes=60)
    assert all(at == NOW for time, at in pairs if time <= NOW - lead)
    catching_up = [(time, at) for time, at in pairs if NOW - lead < time <= NOW - lead / 60]
    assert len(catching_up) > 60
    for time, at in catching_up:
        assert abs((at - NOW) * 60 - (time - (NOW - lead))) < dt.timedelta(seconds=1)
    caught_up = [(time, at) for time, at in pairs if time > NOW + dt.timedelta(minutes=2)]
    assert len(caught_up) > 10
    assert all(at - time < dt.timedelta(milliseconds=1) for time, at in caught_up)
    assert all(time <= at for time, at in pairs)


def test_the_same_events_at_any_speed():
    """Speed changes when events are sent, not which."""
    slow, _ = played(SMALL, hours=3)
    fast, _ = played(
        SimulatorOptions(clinics=2, days=20, seed=5, bad=12, telemetry_days=0, speed=600), hours=3
    )
    assert slow.sent == fast.sent


def test_the_manifest_counts_what_was_sent():
    """Counts by type, topic and kind of fault are those of the events sent, and all are acknowledged."""
    ledger, manifest = played(SMALL, hours=2)
    by_type: Counter[str] = Counter()
    for topic, key, value in ledger.sent:
        try:
            _, canonical = decode(value, topic=topic, key=key, now=NOW + dt.timedelta(hours=3))
            by_type[type_of(canonical)] += 1
        except ContractViolation as violation:
            by_type[violation.rule] += 1
    assert manifest.by_topic == Counter(topic for topic, *_ in ledger.sent)
    assert manifest.by_type == {name: n for name, n in by_type.items() if re.search(r"\.v\d+$", name)}
    assert manifest.bad == 12
    assert manifest.events + manifest.bad == manifest.acknowledged == len(ledger.sent) == ledger.flushed


# ── going on ────────────────────────────────────────────────────────────────────────────────────────────


def test_stopped_runs_make_the_uninterrupted_one(tmp_path: Path):
    """Stopped in its history and three times in its life, a run sends the same bytes, each once."""
    whole, _ = played(SMALL, hours=30)
    clock = Clock()
    stop = Stop(clock, NOW + dt.timedelta(hours=1))
    first = Ledger(clock, stop_at=150, stop=stop)
    run(SMALL, first, home=tmp_path, clock=clock, stop=stop)
    parts = [first]
    for start, hours in ((0, 4), (4.2, 10), (20, 9.99)):
        ledger, continued = played(
            SimulatorOptions(), tmp_path, start=NOW + dt.timedelta(hours=start), hours=hours
        )
        parts.append(ledger)
    assert len(first.sent) == 150
    assert all(len(part.sent) > 20 for part in parts)
    joined = list(itertools.chain.from_iterable(part.sent for part in parts))
    assert joined == whole.sent[: len(joined)]
    assert len(whole.sent) - len(joined) < 50
    assert continued.acknowledged == len(joined)


def test_a_crash_repeats_only_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After a failure a run goes on behind its last checkpoint: nothing is missing, repeats are identical."""
    whole, manifest = played(SMALL)
    clock = Clock()
    parts = []
    for fail_at in (100, 1, 60):
        ledger = Ledger(clock, fail_at=fail_at)
        monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0 if fail_at == 60 else 3600.0)
        with pytest.raises(BrokerUnavailable):
            run(SMALL, ledger, home=tmp_path, clock=clock, stop=threading.Event())
        parts.append(ledger.sent)
    last, continued = played(SMALL, tmp_path)
    parts.append(last.sent)
    assert parts[0] == whole.sent[:99]
    assert parts[1] == []
    assert parts[2] == whole.sent[:59]
    assert last.sent == whole.sent[59:]
    assert continued == manifest


class BlockLedger(Ledger):
    """Takes blocks as well, as the real publisher does."""

    def partitions_of(self, topic: str) -> int:
        return 3

    def publish_block(self, topic: str, partition: int, block: Any, count: int) -> None:
        for key, value in read(block, count):
            self.publish_raw(topic, key, value)


def by_key(parts: list[Ledger]) -> dict[tuple[str, bytes | None], list[bytes | None]]:
    """The values of each key in their order; malformed ones apart, which may overtake."""
    found: dict[tuple[str, bytes | None], list[bytes | None]] = {}
    for topic, key, value in itertools.chain.from_iterable(part.sent for part in parts):
        if value is not None and b'"bad-' not in value[:60]:
            found.setdefault((topic, key), []).append(value)
    return found


def test_blocks_and_single_events_make_one_run(tmp_path: Path):
    """History in blocks, stopped in its middle, then life one by one: each key as if all went one by one."""
    options = SimulatorOptions(clinics=2, days=20, seed=5, bad=12, telemetry_days=2)
    single, expected = played(options, hours=3)
    clock = Clock()
    stop = Stop(clock, NOW + dt.timedelta(hours=3))
    first = BlockLedger(clock, stop_at=600, stop=stop)
    half = run(options, first, home=tmp_path, clock=clock, stop=stop)
    assert 600 <= half.acknowledged == len(first.sent) < len(single.sent) / 2
    clock = Clock()
    second = BlockLedger(clock)
    stop = Stop(clock, NOW + dt.timedelta(hours=3))
    whole = run(SimulatorOptions(), second, home=tmp_path, clock=clock, stop=stop)
    assert by_key([first, second]) == by_key([single])
    assert len(first.sent) + len(second.sent) == len(single.sent) == whole.acknowledged
    assert (whole.by_type, whole.by_topic, whole.bad_by_kind) == (
        expected.by_type,
        expected.by_topic,
        expected.bad_by_kind,
    )


def test_the_first_options_stay(tmp_path: Path):
    """Started again without options, a home goes on with those it was started with."""
    _, first = played(SMALL, tmp_path)
    _, again = played(SimulatorOptions(), tmp_path)
    assert again == first == load_manifest(tmp_path)


def test_the_manifest_states_parameters_and_truths(tmp_path: Path):
    """Both stand in the state file in full, and the sessions that a truth befell are counted exactly."""
    config = tmp_path / "p.toml"
    config.write_text("breakout = 0.2")
    wish = ("cartridge-reused:number=5",)
    options = SimulatorOptions(
        clinics=2,
        days=60,
        seed=5,
        bad=0,
        telemetry_days=0,
        plant=wish,
        config=config,
    )
    ledger, _ = played(options, tmp_path)
    state = json.loads((tmp_path / STATE_FILE).read_text())
    assert state["parameters"]["breakout"]["value"] == 0.2
    assert state["parameters"]["breakout"]["set_by"] == "config"
    assert state["scenario"]["plant"] == ["cartridge-reused:number=5,sessions=3"]
    (truth,) = state["truths"]
    serial = truth["ids"]["cartridge_serial"].encode()
    completed = [v for *_, v in ledger.sent if v is not None and b'"session.completed.v1"' in v]
    assert truth["sessions"] == sum(serial in value for value in completed) > 1
    assert truth["first_session_at"] < truth["last_session_at"]
    played(SimulatorOptions(config=config, plant=wish), tmp_path)
    config.write_text("breakout = 0.3")
    with pytest.raises(SettingsError, match=r"p\.toml: breakout 0\.3: .* was started with 0\.2"):
        played(SimulatorOptions(config=config), tmp_path)
    with pytest.raises(SettingsError, match=r"^plant .* was started with"):
        played(SimulatorOptions(plant=("none",)), tmp_path)


@pytest.mark.parametrize("name", ["clinics", "days", "seed", "bad", "telemetry_days"])
def test_other_options_are_refused(name: str, tmp_path: Path):
    """An option other than the home's is refused by name, and nothing is sent."""
    played(SMALL, tmp_path)
    with pytest.raises(SettingsError, match=f"^{name} 3: .*was started with"):
        played(SimulatorOptions(**{name: 3}), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clinics": 0}, "clinics must be from 1 to 1000, not 0"),
        ({"days": 0}, "days must be from 1 to 3653, not 0"),
        ({"seed": -1}, "seed must be"),
        ({"bad": 10_001}, "bad must be from 0 to 10000, not 10001"),
        ({"speed": 0.5}, "speed must be from 1 to 86400, not 0.5"),
        ({"speed": float("nan")}, "speed must be"),
        ({"days": 3, "telemetry_days": 4}, "telemetry_days must not exceed days, 3"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str):
    """A value that makes no sense is refused in one line that says what would."""
    with pytest.raises(SettingsError, match=message):
        played(SimulatorOptions(**options))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"scenario": 1}'])
def test_a_damaged_state_file_is_named(content: bytes, tmp_path: Path):
    """A state file that cannot be read stops the start, rather than beginning anew."""
    (tmp_path / STATE_FILE).write_bytes(content)
    with pytest.raises(SettingsError, match=STATE_FILE):
        played(SMALL, tmp_path)


def test_the_state_of_another_version_is_not_continued(tmp_path: Path):
    """A home whose stream was made by another version of the simulator is refused."""
    played(SMALL, tmp_path)
    state = json.loads((tmp_path / STATE_FILE).read_text())
    (tmp_path / STATE_FILE).write_text(json.dumps({**state, "stream_version": 0}))
    with pytest.raises(SettingsError, match="another version"):
        played(SMALL, tmp_path)


def test_a_home_that_never_ran_has_no_manifest(tmp_path: Path):
    """Before the first checkpoint there is nothing to say."""
    assert load_manifest(tmp_path) is None


def test_a_stop_while_passing_over_what_was_sent(tmp_path: Path):
    """A run that is stopped before it reaches new events sends nothing and keeps its place."""
    _, first = played(SMALL, tmp_path)
    stop = threading.Event()
    stop.set()
    clock = Clock(NOW + dt.timedelta(days=1))
    ledger = Ledger(clock)
    assert run(SMALL, ledger, home=tmp_path, clock=clock, stop=stop).place == first.place
    assert ledger.sent == []
