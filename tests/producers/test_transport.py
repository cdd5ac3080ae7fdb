"""Events on a bad way: sent twice, overtaken, late, by a wrong clock; each told, none changed otherwise."""

import datetime as dt
import itertools
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.clock import utc_now
from flows.landing import Lander, Totals
from flows.settings import Settings
from producers.contracts import Event, SettingsError, clinic_of, decode, encode
from producers.publisher import Publisher, create_topics
from producers.simulator import Manifest, NdjsonFile, SimulatorOptions, load_manifest, run
from producers.simulator.faults import FAULTS
from producers.simulator.items import Faulty, Item, instant
from producers.simulator.stream import Window, delivered, stream, until, windows
from producers.simulator.transport import LATE, SKEW_SECONDS, Faults
from producers.simulator.world import build_world
from tests.conftest import Broker
from warehouse import store

START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = int((START + dt.timedelta(days=60)).timestamp())
ALL = Faults(duplicates=0.05, reordered=0.05, late=0.05, skewed=0.4)


def made(faults: Faults) -> list[Item]:
    """What sixty days of three clinics come to, everything that is late included."""
    world = build_world(4, 3, START)
    stated = itertools.takewhile(lambda window: window.begins < END, windows(world, telemetry_from=END))
    arriving = delivered((_cut(window) for window in _and_quiet(stated)), faults, 4)
    return [item for window in arriving for item in window.items]


def _cut(window: Window) -> Window:
    """A window without what lies behind the end."""
    return Window(window.begins, window.before, [m for m in window.items if m[0] < END], [])


def _and_quiet(stated: Iterable[Window]) -> Iterator[Window]:
    """The windows, and half a year of silence in which what is late arrives."""
    for window in stated:
        yield window
        end = window.before
    yield Window(end, end + 200 * 86_400, [], [])


def events(items: list[Item]) -> list[tuple[int, Event, tuple[str, ...], bool]]:
    """(delivered at, event, faults, sent before)."""
    found = []
    for second, _, _, _, content in items:
        if isinstance(content, Faulty):
            found.append((second, content.event, content.faults, content.again))
        elif isinstance(content, Event):
            found.append((second, content, (), False))
    return found


@pytest.fixture(scope="module")
def perfect() -> list[Item]:
    return list(until(stream(build_world(4, 3, START), telemetry_from=END), END))


@pytest.fixture(scope="module")
def faulty() -> list[Item]:
    return made(ALL)


@pytest.mark.unit
def test_no_event_is_lost_or_made_up(perfect: list[Item], faulty: list[Item]):
    """Every event arrives once, and those told as duplicates once more, with the same bytes."""
    first = {(e.source, e.id): encode(e) for _, e, _, again in events(faulty) if not again}
    assert set(first) == {(m[4].source, m[4].id) for m in perfect}
    repeated = [e for _, e, _, again in events(faulty) if again]
    assert len({(e.source, e.id) for e in repeated}) == len(repeated)
    assert all(first[e.source, e.id] == encode(e) for e in repeated)


@pytest.mark.unit
def test_faults_are_as_frequent_as_asked_for(faulty: list[Item]):
    """Shares are near those asked for, and all kinds of lateness occur."""
    counts = Counter(fault for _, _, faults, _ in events(faulty) for fault in faults)
    total = sum(not again for *_, again in events(faulty))
    assert counts["duplicate"] / total == pytest.approx(0.05, rel=0.15)
    assert counts["reordered"] / total == pytest.approx(0.05, rel=0.15)
    kinds = [counts[kind] for kind, _ in LATE]
    assert sum(kinds) / total == pytest.approx(0.05, rel=0.15)
    assert min(kinds) > max(kinds) / 2


@pytest.mark.unit
def test_what_is_marked_is_what_happened(perfect: list[Item], faulty: list[Item]):
    """Late events arrive late by their kind, skewed clocks are off by the clinic's own time, others not."""
    true_time = {(m[4].source, m[4].id): m[0] for m in perfect}
    unit = dict(LATE)
    skews = defaultdict(set)
    for second, event, faults, again in events(faulty):
        true = true_time[event.source, event.id]
        late = [fault for fault in faults if fault in unit]
        if late:
            assert unit[late[0]] <= second - true <= 6 * unit[late[0]]
        elif "reordered" in faults:
            assert 1 <= second - true <= 31
        elif not again:
            assert second == true
        skews[clinic_of(event.source)].add(int((event.time - instant(true)).total_seconds()))
        if not again:
            assert ("skewed" in faults) == (event.time != instant(true))
    assert all(len(found) == 1 for found in skews.values())
    assert {0} < {next(iter(found)) for found in skews.values()}
    assert all(abs(next(iter(found))) <= SKEW_SECONDS for found in skews.values())


@pytest.mark.unit
def test_what_arrives_is_accepted_when_it_arrives(faulty: list[Item]):
    """A skewed, late or repeated event is still one that the contracts take."""
    for second, event, _, _ in events(faulty):
        decode(encode(event), now=instant(second))


@pytest.mark.unit
def test_no_faults_change_nothing(perfect: list[Item]):
    """Without faults the stream is the perfect one."""
    assert made(Faults()) == perfect


# ── to a file, and by shares ────────────────────────────────────────────────────────────────────────────


def written(folder: Path, **options: Any) -> tuple[list[bytes], Manifest]:
    """Lines of a finished run into a file, and its manifest."""
    usual = {"clinics": 3, "days": 40, "seed": 3, "bad": 0, "telemetry_days": 1, "end": "2026-01-31"}
    chosen = usual | options
    with NdjsonFile(folder / "events.ndjson") as file:
        manifest = run(
            SimulatorOptions(**chosen),
            file,
            home=folder,
            clock=utc_now,
            stop=threading.Event(),
            live=False,
        )
    return (folder / "events.ndjson").read_bytes().splitlines(), manifest


@pytest.mark.unit
def test_a_file_holds_the_run(tmp_path: Path):
    """As many lines as the manifest says by type, in order of time, the same for the same seed."""
    lines, manifest = written(tmp_path / "one")
    assert Counter(json.loads(line)["type"] for line in lines) == manifest.by_type
    times = [json.loads(line)["time"] for line in lines]
    assert times == sorted(times)
    assert written(tmp_path / "two")[0] == lines
    assert written(tmp_path / "other", seed=4)[0] != lines


@pytest.mark.unit
def test_shares_come_to_the_whole(tmp_path: Path):
    """Two processes by shares of the clinics make the same bytes as one, each clinic's in the same order."""
    options = {"bad": 26, "unknown_versions": 8, "plant": ("lot-breakouts",), "duplicates": 0.01}
    whole = written(tmp_path / "whole", **options)[0]
    parts = [written(tmp_path / f"{n}", share=f"{n}/2", **options)[0] for n in (1, 2)]
    assert all(len(part) > 1000 for part in parts)
    assert sorted(parts[0] + parts[1]) == sorted(whole)
    for part in parts:
        mine = set(part)
        assert [line for line in whole if line in mine] == part


@pytest.mark.unit
def test_a_file_cut_short_goes_on_at_a_whole_line(tmp_path: Path):
    """A half line, as a power cut leaves it, is removed before more is written."""
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"one\ntwo\nthr")
    with NdjsonFile(path) as file:
        file.publish_raw("", None, b"four")
    assert path.read_bytes() == b"one\ntwo\nfour\n"
    path.write_bytes(b"x" * 200_000)
    with NdjsonFile(path):
        assert path.read_bytes() == b""


@pytest.mark.unit
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": "3/2"}, "share must be like 2/3, not '3/2'"),
        ({"share": "0/2"}, "share must be"),
        ({"end": "tomorrow"}, "end must be a day"),
        ({"end": "2999-01-01"}, "end must not lie in the future"),
        ({"duplicates": 1.5}, "duplicates must be from 0 to 1, not 1.5"),
        ({"late": float("nan")}, "late must be from 0 to 1"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, Any], message: str, tmp_path: Path):
    """Refused in one line that says what would do."""
    with pytest.raises(SettingsError, match=message):
        written(tmp_path, **options)


# ── landed ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.integration
def test_landing_agrees_with_the_manifest(tmp_path: Path):
    """A run with every fault through a real broker: landed, duplicate, refused by rule are as stated."""
    broker = Broker(tmp_path)
    broker.start()
    try:
        create_topics(broker.bootstrap)
        options = SimulatorOptions(
            clinics=3, days=60, seed=6, bad=3 * len(FAULTS), telemetry_days=1, unknown_versions=12,
            duplicates=0.05, reordered=0.05, late=0.05, skewed=0.5,
        )  # fmt: skip
        stop = threading.Event()
        with Publisher(broker.bootstrap) as publisher:
            run(options, publisher, home=tmp_path, clock=utc_now, stop=stop, live=False)
        manifest = load_manifest(tmp_path)
        assert manifest is not None
        totals, by_rule = _land(tmp_path, broker.bootstrap, manifest.acknowledged)
    finally:
        broker.stop()
    rules = {fault.kind: fault.rule for fault in FAULTS}
    expected: Counter[str] = Counter()
    for kind, count in manifest.bad_by_kind.items():
        expected[rules[kind]] += count
    assert len(manifest.bad_by_kind) == len(FAULTS) >= 15
    assert manifest.bad_by_kind["unknown-version"] == 3 + 12
    assert {"duplicate", "reordered", "skewed", *(kind for kind, _ in LATE)} == set(manifest.by_fault)
    assert by_rule == expected
    assert (totals.landed, totals.duplicate) == (manifest.events, manifest.duplicates)
    assert totals.quarantined == manifest.bad


def _land(home: Path, bootstrap: str, sent: int) -> tuple[Totals, Counter[str]]:
    """Everything that was sent, landed; and what was refused, by rule."""
    settings = Settings.load(home=home, kafka_bootstrap_servers=bootstrap, batch_max_seconds=0.1)
    connection = store.connect(settings.location)
    store.migrate(connection, settings.location)
    lander, stop = Lander(settings, connection, utc_now), threading.Event()

    def landed(totals: Totals) -> None:
        if totals.landed + totals.duplicate + totals.quarantined >= sent:
            stop.set()

    totals = lander.run(stop, seconds=120, after_batch=landed)
    lander.close()
    refused = store.rows(connection, "SELECT rule FROM landing.quarantine")
    connection.close()
    return totals, Counter(row["rule"] for row in refused)
