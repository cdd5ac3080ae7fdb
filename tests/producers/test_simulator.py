"""The simulated network says what real clinics could say, the same each time, at the rates it assumes."""

import datetime as dt
import functools
import hashlib
import itertools
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from producers.contracts import (
    EVENTS,
    TOPICS,
    ContractViolation,
    Event,
    clinic_of,
    decode,
    encode,
    lift,
    partition_key,
)
from producers.contracts.events import (
    AdverseEventReported,
    AssessmentRecorded,
    DeviceCalibrated,
    DeviceFaulted,
    DeviceFirmwareUpdated,
    DeviceRegistered,
    DeviceServiced,
    FollowUpCompleted,
    SessionAborted,
    SessionBooked,
    SessionCancelled,
    SessionCompleted,
    SessionMissed,
    SessionScreened,
    TelemetryFrame,
)
from producers.simulator.faults import FAULTS
from producers.simulator.items import Item, Malformed, instant
from producers.simulator.manifest import STREAM_VERSION
from producers.simulator.stream import stream, until
from producers.simulator.world import build_world

pytestmark = pytest.mark.unit

START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def items(
    *, seed: int = 1, clinics: int = 3, days: int = 40, telemetry_days: int = 1, bad: int = 2 * len(FAULTS)
) -> Iterator[Item]:
    end = int((START + days * DAY).timestamp())
    world = build_world(seed, clinics, START)
    made = stream(world, telemetry_from=end - telemetry_days * 86_400, bad=bad, bad_until=end)
    return until(made, end)


def sent(made: Item) -> tuple[str, bytes, bytes | None]:
    """Topic, key and value as they go to the broker."""
    *_, topic, content = made
    if isinstance(content, Malformed):
        return topic, content.key, content.value
    return topic, partition_key(content).encode(), encode(content)


def fingerprint(made: Iterator[Item]) -> str:
    digest = hashlib.sha256()
    for one in made:
        digest.update(repr(sent(one)).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def small() -> list[Item]:
    return list(items())


# ── the stream ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_seed_gives_the_same_bytes(small: list[Item]):
    """Two streams of one seed are equal byte for byte; another seed gives another stream."""
    assert fingerprint(iter(small)) == fingerprint(items())
    assert fingerprint(iter(small)) != fingerprint(items(seed=2))


def test_another_process_gives_the_same_bytes(small: list[Item]):
    """Nothing in the stream depends on the process that makes it, such as its hash seed."""
    code = "from tests.producers.test_simulator import fingerprint, items; print(fingerprint(items()))"
    run = [sys.executable, "-c", code]
    for hash_seed in ("1", "2"):
        made = subprocess.run(
            run, env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        )
        assert made.stdout.strip() == fingerprint(iter(small))


def test_the_stream_of_this_version_is_what_it_was():
    """A home continues by making the same stream again: whoever changes it raises STREAM_VERSION."""
    assert (STREAM_VERSION, fingerprint(items(days=60, telemetry_days=0))) == (5, PINNED)


PINNED = "e6eb3f7f7d0c9eb1912a1ff9cf3cb1ecaf70f2a38871e6778304a5c2a1ffc19e"


def test_a_clinic_does_not_change_when_others_join(small: list[Item]):
    """The first clinic states the same in a network of one as in a network of three."""
    alone = [sent(made) for made in items(clinics=1, bad=0)]
    assert alone == [sent(made) for made in small if made[1] == 0]


def test_items_come_in_the_order_of_time(small: list[Item]):
    """Each item's place lies behind the one before, and an event's time is its place's."""
    assert all(one[:3] < two[:3] for one, two in itertools.pairwise(small))
    assert all(instant(m[0]) == m[4].time for m in small if isinstance(m[4], Event))


def test_every_event_is_accepted_when_it_happens(small: list[Item]):
    """The codec takes every event on its topic, under its key, at its own time, and finds it canonical."""
    for made in small:
        if isinstance(made[4], Event):
            topic, key, value = sent(made)
            event, canonical = decode(value, topic=topic, key=key, now=instant(made[0]))
            assert (event, canonical) == (lift(made[4]), value)


def test_ids_are_unique_within_a_source(small: list[Item]):
    """No clinic uses an event id twice, not even for a malformed event."""
    ids = [(made[4].source, made[4].id) for made in small if isinstance(made[4], Event)]
    assert len(set(ids)) == len(ids)
    assert not {id_ for _, id_ in ids} & {made[2] for made in small if isinstance(made[4], Malformed)}


NOT_SIMULATED = {
    "protocol.published.v1", "telemetry.frame.v2", "adverse-event.reported.v2", "assessment.recorded.v2",
}  # fmt: skip


def test_every_type_of_event_occurs(small: list[Item], year: "Year"):
    """What simulated clinics state is part of the stream: corrections, and what happens once in months."""
    events = [made[4] for made in small if isinstance(made[4], Event)]
    rare = {event.type for found in year.facts.values() for event in found}
    assert {event.type for event in events} | rare == set(EVENTS) - NOT_SIMULATED
    assert any(event.supersedes for event in events)
    assert {made[3] for made in small} == set(TOPICS)


def test_a_correction_names_an_earlier_event_of_its_source(small: list[Item]):
    """What is superseded or voided was stated before, by the same clinic, on the same topic."""
    stated: dict[tuple[str, str], str] = {}
    for *_, topic, event in small:
        if not isinstance(event, Event):
            continue
        earlier = event.supersedes or getattr(event.data, "voided_id", None)
        assert earlier is None or stated[event.source, earlier] == topic
        stated[event.source, event.id] = topic


def test_an_outcome_follows_a_stated_session_of_its_patient(small: list[Item]):
    """Adverse events, follow-ups and assessments name a session that was stated before, and its patient."""
    patients: dict[str, str] = {}
    for *_, event in small:
        data = getattr(event, "data", None)
        if isinstance(data, SessionCompleted):
            patients[data.session_id] = data.patient_key
        elif isinstance(data, AdverseEventReported | FollowUpCompleted | AssessmentRecorded):
            assert patients[data.session_id] == data.patient_key


def test_no_room_is_used_twice_at_a_time(small: list[Item]):
    """The sessions of one device, and those of one operator, do not overlap."""
    for subject in ("device_id", "operator_id"):
        sessions = defaultdict(list)
        for *_, event in small:
            data = getattr(event, "data", None)
            if isinstance(data, SessionCompleted) and not data.session_id.endswith("-again"):
                sessions[getattr(data, subject)].append((data.started_at, data.completed_at))
        for spans in sessions.values():
            ordered = sorted(set(spans))
            assert all(one[1] <= two[0] for one, two in itertools.pairwise(ordered))


# ── visits ──────────────────────────────────────────────────────────────────────────────────────────────


def of_session(found: list[Item]) -> dict[str, list[Event[Any]]]:
    """What is stated during each visit, in order; the second entry of a session entered twice left out."""
    visits: dict[str, list[Event[Any]]] = defaultdict(list)
    for *_, topic, event in found:
        session_id = getattr(event.data, "session_id", None)
        if session_id is None:
            continue
        during = topic == "clinic.sessions" or event.type.startswith("cartridge")
        booking = event.type.split(".")[1] in ("booked", "cancelled", "missed")
        if during and not booking and not event.supersedes and not session_id.endswith("-again"):
            visits[session_id].append(event)
    return visits


def test_a_visit_is_told_from_screening_to_its_end(small: list[Item]):
    """Screening, numbing, a new cartridge, the start, each go, the end: in this order, within the visit."""
    visits = of_session([made for made in small if isinstance(made[4], Event)])
    whole = [told for told in visits.values() if told[-1].type != "session.screened.v1"]
    assert len(whole) > 100
    for told in whole:
        steps = [event.type.split(".v")[0] for event in told if event.type != "pass.completed.v1"]
        if "session.aborted" in steps:
            continue
        assert steps[:4] == ["session.screened", "numbing.applied", "cartridge.opened", "session.started"]
        assert sorted(steps[4:]) == ["cartridge.discarded", "session.completed"]
        completed = next(e for e in told if e.type == "session.completed.v1").data
        goes = [e.data for e in told if e.type == "pass.completed.v1"]
        assert sum(go.passes for go in goes) == completed.passes
        assert {go.depth_mm for go in goes} == {completed.depth_mm}
        screened = told[0].data
        assert (screened.decision == "treat-overriding") == completed.contraindication_overridden


def test_every_visit_was_booked_and_comes_to_one_end(year: "Year"):
    """Booked before, at its time; then screened, missed or cancelled, and no two of these."""
    booked = {e.data.session_id: e for e in year.facts[SessionBooked]}
    assert len(booked) == len(year.facts[SessionBooked])
    ends: Counter[str] = Counter()
    for kind in (SessionScreened, SessionMissed, SessionCancelled):
        for event in year.facts[kind]:
            booking = booked[event.data.session_id]
            assert booking.data.patient_key == event.data.patient_key
            assert booking.time < event.time
            assert (event.time < booking.data.scheduled_at) == (kind is SessionCancelled)
            ends[event.data.session_id] += 1
    assert set(ends.values()) == {1}
    waiting = [e for e in booked.values() if e.data.session_id not in ends]
    assert all(e.data.scheduled_at > year.end - DAY for e in waiting if e.data.scheduled_at < year.end)
    missed, cancelled = len(year.facts[SessionMissed]), len(year.facts[SessionCancelled])
    come = len(year.facts[SessionScreened])
    assert missed / (missed + come) == pytest.approx((0.08 + 0.15) / 2, abs=0.01)
    assert cancelled / len(booked) == pytest.approx(0.04, abs=0.01)


def test_a_room_is_booked_once_an_hour(year: "Year"):
    """No clinic has more visits booked for one hour than it has devices; what is called off is free again."""
    rooms = Counter(e.source for e in year.facts[DeviceRegistered])
    off = {e.data.session_id for e in year.facts[SessionCancelled]}
    held = Counter(
        (e.source, e.data.scheduled_at)
        for e in year.facts[SessionBooked]
        if e.data.session_id not in off and e.data.scheduled_at < year.end
    )
    assert all(count <= rooms[source] for (source, _), count in held.items())


def test_a_cartridge_is_opened_once(small: list[Item]):
    """Single use: no serial is opened twice, and what is opened is thrown away."""
    serials: dict[str, list[str]] = defaultdict(list)
    for *_, event in small:
        if isinstance(event, Event) and event.type.startswith("cartridge"):
            serials[event.type].append(event.data.cartridge_serial)
    opened = serials["cartridge.opened.v1"]
    assert len(set(opened)) == len(opened) > 100
    assert set(serials["cartridge.discarded.v1"]) <= set(opened)


def test_who_is_sent_home_or_breaks_off_is_not_completed(year: "Year"):
    """About 1 in 100 is deferred and 2 in 1000 break off; neither is a session completed."""
    completed = {event.data.session_id for event in year.facts[SessionCompleted]}
    deferred = {e.data.session_id for e in year.facts[SessionScreened] if e.data.decision == "defer"}
    aborted = {e.data.session_id for e in year.facts[SessionAborted]}
    assert not completed & (deferred | aborted)
    visits = len(year.facts[SessionScreened])
    assert len(deferred) / visits == pytest.approx(0.01, rel=0.3)
    assert len(aborted) / visits == pytest.approx(0.002, rel=0.6)


def test_devices_are_looked_after(year: "Year"):
    """Within a year every device is serviced once and gets each firmware once, in the order of release."""
    devices = {e.data.device_id for e in year.facts[DeviceRegistered]}
    served = Counter(e.data.device_id for e in year.facts[DeviceServiced])
    assert set(served) == devices
    assert set(served.values()) <= {1, 2}
    versions = defaultdict(list)
    for event in year.facts[DeviceFirmwareUpdated]:
        versions[event.data.device_id].append(event.data.firmware)
    assert set(versions) == devices
    assert all(found == sorted(set(found)) for found in versions.values())
    own = [e for e in year.facts[DeviceFaulted] if e.data.fault != "cartridge-reuse-refused"]
    assert 0.002 < len(own) / (len(devices) * 330) < 0.006


# ── telemetry ───────────────────────────────────────────────────────────────────────────────────────────


def test_needling_sends_a_frame_a_second(small: list[Item]):
    """A session's frames are one second apart, lie within it, and number 10 to 25 minutes of them."""
    sessions = {
        e.data.session_id: e.data for *_, e in small if isinstance(getattr(e, "data", None), SessionCompleted)
    }
    frames = defaultdict(list)
    for *_, event in small:
        if isinstance(getattr(event, "data", None), TelemetryFrame) and event.data.session_id in sessions:
            frames[event.data.session_id].append(event)
    assert len(frames) > 5
    for session_id, sequence in frames.items():
        session = sessions[session_id]
        times = [event.time for event in sequence]
        assert all(two - one == dt.timedelta(seconds=1) for one, two in itertools.pairwise(times))
        assert session.started_at <= times[0]
        assert times[-1] < session.completed_at
        assert all(len(event.data.depth_mm) == 10 for event in sequence)
        assert all(event.data.device_id == session.device_id for event in sequence)
    assert statistics.mean(map(len, frames.values())) == pytest.approx(17.5 * 60, rel=0.15)


def test_frames_of_a_device_are_numbered_without_a_gap(small: list[Item]):
    """The sequence of a device grows by one from frame to frame, through needling and idling."""
    sequences = defaultdict(list)
    for *_, event in small:
        if isinstance(getattr(event, "data", None), TelemetryFrame):
            sequences[event.data.device_id].append(event.data.sequence)
    assert sequences
    for numbers in sequences.values():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_idle_devices_send_heartbeats(small: list[Item]):
    """A frame outside a session has the motor at rest, and comes at most every five minutes."""
    beats = defaultdict(list)
    for *_, event in small:
        if isinstance(getattr(event, "data", None), TelemetryFrame) and event.data.session_id is None:
            assert event.data.stroke_rate_per_min == [0.0]
            beats[event.data.device_id].append(event.time)
    assert len(beats) == sum(len(c.devices) for c in build_world(1, 3, START).clinics)
    for times in beats.values():
        assert all(two - one >= dt.timedelta(minutes=5) for one, two in itertools.pairwise(times))


def test_passing_over_frames_leaves_the_rest_as_it_was(small: list[Item]):
    """Behind the second from which frames are made, the stream is the one that made all of them."""
    end = int((START + 40 * DAY).timestamp())
    middle = end - 50_000
    world = build_world(1, 3, START)
    late = stream(world, telemetry_from=end - 86_400, bad=2 * len(FAULTS), bad_until=end, frames_after=middle)
    expected = [sent(made) for made in small if made[0] >= middle]
    assert [sent(made) for made in until(late, end) if made[0] >= middle] == expected
    assert sum(made[3] == "clinic.device-telemetry" for made in small if made[0] < middle) > 100


# ── malformed events ────────────────────────────────────────────────────────────────────────────────────


def test_planted_events_are_refused_for_their_reason(small: list[Item]):
    """Every malformed event is refused under the rule it was made to break, then and years later."""
    rules = {fault.kind: fault.rule for fault in FAULTS}
    planted = [made for made in small if isinstance(made[4], Malformed)]
    assert Counter(made[4].kind for made in planted) == Counter(dict.fromkeys(rules, 2))
    for made in planted:
        topic, key, value = sent(made)
        for now in (instant(made[0]), instant(made[0]) + 3650 * DAY):
            with pytest.raises(ContractViolation) as caught:
                decode(value, topic=topic, key=key, now=now)
            assert caught.value.rule == rules[made[4].kind]


@pytest.mark.parametrize("count", [0, 1, 25, 100])
def test_as_many_are_planted_as_asked_for(count: int):
    """The number of malformed events is exact, and they spread over the whole time."""
    planted = [made for made in items(clinics=1, bad=count) if isinstance(made[4], Malformed)]
    assert len(planted) == count
    if count >= 25:
        days = {instant(made[0]).date() for made in planted}
        assert len(days) > 20
        assert {made[3] for made in planted} == set(TOPICS)


# ── the world ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("clinics", [4, 12, 30])
def test_some_clinic_is_always_open(clinics: int):
    """At every half hour of a year, daylight saving included, at least one clinic is at work."""
    network = build_world(1, clinics, START).clinics
    for half_hours in range(365 * 48):
        moment = START + dt.timedelta(minutes=30 * half_hours)
        local = ((clinic, moment.astimezone(clinic.zone)) for clinic in network)
        assert any(
            clinic.is_open_on(there.date()) and clinic.opens_hour <= there.hour < clinic.closes_hour
            for clinic, there in local
        ), moment


def test_identifiers_do_not_clash_in_a_large_network():
    """Two hundred clinics have as many ids and names, and no two share a device or an operator."""
    network = build_world(1, 200, START).clinics
    assert len({c.clinic_id for c in network}) == len({c.registered.display_name for c in network}) == 200
    for subjects in (
        [d.device_id for c in network for d in c.devices],
        [o.operator_id for c in network for o in c.operators],
    ):
        assert len(set(subjects)) == len(subjects)


def test_patients_cannot_be_linked_across_clinics():
    """The same patient number has another key at another clinic, and under another seed."""
    one, two = build_world(1, 2, START).clinics
    other = build_world(2, 1, START).clinics[0]
    assert len({clinic.patient_key(7) for clinic in (one, two, other)}) == 3


# ── rates ───────────────────────────────────────────────────────────────────────────────────────────────


SEED = 11


class Year:
    """A year of twelve clinics without telemetry, as facts to count."""

    def __init__(self) -> None:
        self.facts: dict[type, list[Event[Any]]] = defaultdict(list)
        self.void: set[tuple[str, str]] = set()
        for *_, event in items(seed=SEED, clinics=12, days=365, telemetry_days=0, bad=0):
            assert isinstance(event, Event)
            self.facts[type(event.data)].append(event)
            voided = event.supersedes or getattr(event.data, "voided_id", None)
            if voided:
                self.void.add((event.source, voided))
        self.end = START + 365 * DAY
        self.sessions = self.valid(SessionCompleted)
        self.courses: dict[str, list[SessionCompleted]] = defaultdict(list)
        for event in self.sessions:
            self.courses[event.data.patient_key].append(event.data)

    def valid(self, kind: type) -> list[Event[Any]]:
        return [event for event in self.facts[kind] if (event.source, event.id) not in self.void]


@functools.cache
def a_year() -> Year:
    """The same year for every test; it takes seconds to make."""
    return Year()


@pytest.fixture(scope="module")
def year() -> Year:
    return a_year()


def share(values: Any) -> float:
    """Mean of truth values."""
    return statistics.fmean(bool(value) for value in values)


def test_volume(year: Year):
    """Twelve clinics treat about 23 thousand times in their first year, give or take their sizes."""
    assert 19_000 < len(year.sessions) < 27_000


def _incidence(year: Year, terms: set[str], skin_types: set[int] = frozenset(range(1, 7))) -> float:
    """Sessions with a reported sign of these terms that was not simply seen at the visit, per session."""
    exposed = {e.data.session_id for e in year.sessions if e.data.skin_type in skin_types}
    reports = year.valid(AdverseEventReported)
    cases = {
        e.data.session_id
        for e in reports
        if e.data.term in terms and e.data.became_aware_at > e.data.onset_at
    }
    return len(cases & exposed) / len(exposed)


@pytest.mark.parametrize(
    ("terms", "lowest", "highest"),
    [
        ({"infection"}, 0.0003, 0.002),
        ({"bruising"}, 0.004, 0.010),
        ({"breakout"}, 0.020, 0.035),
        ({"erythema", "oedema"}, 0.006, 0.012),
        ({"hyperpigmentation"}, 0.005, 0.015),
    ],
)
def test_adverse_events_per_session(year: Year, terms: set[str], lowest: float, highest: float):
    """Adverse events are reported somewhat less often than they happen."""
    assert lowest < _incidence(year, terms) < highest


def test_pigment_changes_rise_with_skin_type(year: Year):
    """Post-inflammatory hyperpigmentation is rare in types I-II and more than ten times that in V-VI."""
    light, medium, dark = (_incidence(year, {"hyperpigmentation"}, t) for t in ({1, 2}, {3}, {5, 6}))
    assert light < medium < dark
    assert dark > 10 * light


def test_expected_reactions(year: Year):
    """A quarter of sessions have redness or swelling written down, grade 1, nearly always gone in a week."""
    seen = [e.data for e in year.valid(AdverseEventReported) if e.data.became_aware_at == e.data.onset_at]
    assert all(data.grade == 1 and data.term in ("erythema", "oedema") for data in seen)
    assert 0.22 < len(seen) / len(year.sessions) < 0.28
    onset = {data.adverse_event_id: data.onset_at for data in seen}
    lasted = [
        (e.data.resolved_at - onset[e.data.adverse_event_id]) / DAY
        for values in [year.facts.values()]
        for facts in values
        for e in facts
        if e.type == "adverse-event.resolved.v1" and e.data.adverse_event_id in onset
    ]
    assert 1.3 < statistics.median(lasted) < 2.5
    assert share(days < 7 for days in lasted) > 0.985


def test_follow_up_differs_by_clinic(year: Year):
    """Three quarters of sessions are followed up after 7 to 14 days or the next working day, by clinic."""
    ended = {e.data.session_id: e.data.completed_at for e in year.sessions}
    waits = [(e.time - ended[e.data.session_id]) / DAY for e in year.valid(FollowUpCompleted)]
    assert min(waits) >= 7
    assert share(days < 15 for days in waits) > 0.85
    assert max(waits) < 18
    followed = Counter(clinic_of(e.source) for e in year.valid(FollowUpCompleted))
    treated = Counter(clinic_of(e.source) for e in year.sessions if e.time < year.end - 20 * DAY)
    shares = [followed[clinic] / treated[clinic] for clinic in treated]
    assert 0.65 < statistics.mean(shares) < 0.90
    assert max(shares) - min(shares) > 0.15


def test_what_a_follow_up_found_was_reported(year: Year):
    """A follow-up that found something has a report for its session that the clinic knew of by then."""
    known = defaultdict(list)
    for event in year.facts[AdverseEventReported]:
        known[event.data.session_id].append(event.data.became_aware_at)
    found = [e for e in year.valid(FollowUpCompleted) if e.data.adverse_event_found]
    assert len(found) > 200
    assert all(min(known[e.data.session_id]) <= e.time for e in found)


def test_assessments_come_before_the_next_session(year: Year):
    """An assessment follows its session by 14 to 90 days, and no session of the patient lies between."""
    course = {key: sorted(s.started_at for s in sessions) for key, sessions in year.courses.items()}
    sessions = {e.data.session_id: e.data for e in year.sessions}
    for event in year.facts[AssessmentRecorded]:
        session = sessions[event.data.session_id]
        assert 14 * DAY <= event.time - session.completed_at <= 91 * DAY
        assert not any(session.completed_at < at <= event.time for at in course[event.data.patient_key])


def test_calibrations(year: Year):
    """Every device is calibrated on joining and again; most clinics keep to six months, some do not."""
    dates = defaultdict(list)
    for event in year.facts[DeviceCalibrated]:
        dates[event.data.device_id].append(event.time)
    gaps = {d: max(two - one for one, two in itertools.pairwise(times)) / DAY for d, times in dates.items()}
    assert set(gaps) == {d.device_id for c in build_world(SEED, 12, START).clinics for d in c.devices}
    assert 0.1 < share(gap > 183 for gap in gaps.values()) < 0.4


def test_slips_are_rare(year: Year):
    """Fewer than one event in fifty is withdrawn or replaced."""
    total = sum(map(len, year.facts.values()))
    assert 0 < len(year.void) < total / 50
