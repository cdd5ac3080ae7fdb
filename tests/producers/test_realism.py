"""A year of twelve simulated clinics lies inside what the sources say; each interval names its origin.

[S] the articles the project began with, [L] literature or a regulator's record, [A] our assumption: what is
only assumed is held to its own value, as a check of the simulator and not of the world. Where a source
counted k of n, the interval is Clopper and Pearson's of 95 %.
"""

import datetime as dt
import itertools
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest
from scipy.stats import beta

from producers.contracts import Event
from producers.contracts.events import (
    AdverseEventReported,
    AdverseEventResolved,
    AssessmentRecorded,
    CartridgeOpened,
    DeviceCalibrated,
    DeviceFirmwareUpdated,
    SessionBooked,
    SessionCompleted,
    SessionMissed,
    SessionScreened,
    TelemetryFrame,
)
from producers.simulator.world import build_world
from tests.producers.test_simulator import DAY, SEED, START, Year, a_year, items, share

pytestmark = pytest.mark.unit


def counted(events: int, total: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of a proportion."""
    low = beta.ppf(0.025, events, total - events + 1) if events else 0.0
    high = beta.ppf(0.975, events + 1, total - events) if events < total else 1.0
    return float(low), float(high)


@pytest.fixture(scope="module")
def year() -> Year:
    return a_year()


# ── what a measure is ───────────────────────────────────────────────────────────────────────────────────


def no_shows(year: Year, *, prepaid: bool) -> float:
    paid = {e.data.session_id for e in year.facts[SessionBooked] if e.data.prepaid == prepaid}
    missed = sum(e.data.session_id in paid for e in year.facts[SessionMissed])
    came = sum(e.data.session_id in paid for e in year.facts[SessionScreened])
    return missed / (missed + came)


def old_courses(year: Year, days: int) -> list[list[SessionCompleted]]:
    """Courses that began so long before the end that they could be completed, in order."""
    return [
        sorted(course, key=lambda session: session.started_at)
        for course in year.courses.values()
        if min(session.started_at for session in course) < year.end - days * DAY
    ]


def gaps_of_series(year: Year) -> list[float]:
    return [
        (two.started_at - one.started_at) / DAY
        for course in old_courses(year, 0)
        for one, two in itertools.pairwise(course)
        if two.phase == "series"
    ]


def maintenance_gaps(year: Year) -> list[float | None]:
    """Days from the third session to the next, of patients seen for 7 months after it; None when not back."""
    return [
        (course[3].started_at - course[2].started_at) / DAY if len(course) > 3 else None
        for course in old_courses(year, 0)
        if len(course) >= 3 and course[2].started_at < year.end - 214 * DAY
    ]


def skin_types(year: Year, types: set[int], tilts: float) -> float:
    """Share of patients of these types in clinics whose own tilt is that."""
    clinics = {c.source for c in build_world(SEED, 12, START).clinics if c.skin_tilt == tilts}
    skins = {e.data.patient_key: e.data.skin_type for e in year.sessions if e.source in clinics}
    return share(skin in types for skin in skins.values())


def reported(year: Year, *terms: str) -> set[str]:
    """Sessions with a report of these terms that was not simply seen at the visit."""
    return {
        e.data.session_id
        for e in year.valid(AdverseEventReported)
        if e.data.term in terms and e.data.became_aware_at > e.data.onset_at
    }


def patients_with(year: Year, *terms: str) -> float:
    """Share of patients with a report in their series."""
    cases = reported(year, *terms)
    return share(any(s.session_id in cases for s in course[:3]) for course in old_courses(year, 200))


def pigment(year: Year, skin: set[int], sessions: int) -> float:
    """Share of patients of these types with a pigment change in that many sessions' worth of risk."""
    cases = reported(year, "hyperpigmentation")
    exposed = [e.data for e in year.sessions if e.data.skin_type in skin]
    each = share(session.session_id in cases for session in exposed)
    return 1 - (1 - each) ** sessions


def transient_days(year: Year, low: float, high: float) -> list[float]:
    """How long reactions lasted that were seen at the visit, of sessions at these depths."""
    depth = {e.data.session_id: e.data.depth_mm for e in year.sessions}
    onset = {
        e.data.adverse_event_id: e.data.onset_at
        for e in year.valid(AdverseEventReported)
        if e.data.became_aware_at == e.data.onset_at and low <= depth.get(e.data.session_id, 0) <= high
    }
    ends = year.facts[AdverseEventResolved]
    return [
        (e.data.resolved_at - onset[e.data.adverse_event_id]) / DAY
        for e in ends
        if e.data.adverse_event_id in onset
    ]


def assessed(year: Year, scale: str, session: int) -> list[float]:
    number = {e.data.session_id: e.data.session_number for e in year.sessions}
    return [
        e.data.score
        for e in year.valid(AssessmentRecorded)
        if e.data.scale == scale and number.get(e.data.session_id) == session
    ]


def lots(year: Year) -> list[int]:
    """Cartridges opened of each lot but a clinic's last."""
    opened = Counter(e.data.cartridge_lot for e in year.facts[CartridgeOpened])
    last = {max(lot for lot in opened if lot.startswith(clinic)) for clinic in {x[:3] for x in opened}}
    return [count for lot, count in opened.items() if lot not in last and not lot.endswith("-0001")]


def calibration_errors(year: Year) -> list[float]:
    return [e.data.depth_error_mm for e in year.facts[DeviceCalibrated]]


def rollout_weeks(year: Year) -> float:
    """From the first to the last clinic of a firmware version, in weeks."""
    times: dict[str, list[dt.datetime]] = defaultdict(list)
    for event in year.facts[DeviceFirmwareUpdated]:
        times[event.data.firmware].append(event.time)
    first = min(times)
    return (max(times[first]) - min(times[first])) / (7 * DAY)


def minutes(year: Year) -> list[float]:
    """From arrival, two minutes before screening, to the end of the session."""
    arrived = {e.data.session_id: e.time for e in year.facts[SessionScreened]}
    return [
        (e.data.completed_at - arrived[e.data.session_id]) / dt.timedelta(minutes=1) + 2
        for e in year.sessions
        if e.data.session_id in arrived
    ]


Measure = Callable[[Year], float]
EXPECTED: dict[str, tuple[Measure, tuple[float, float], str]] = {
    "no-show, prepaid": (lambda y: no_shows(y, prepaid=True), (0.07, 0.09), "8 % [A]"),
    "no-show, otherwise": (
        lambda y: no_shows(y, prepaid=False),
        (0.135, 0.25),
        "dermatology 15-25 % [L], ours 15 % [A] within its error",
    ),
    "series completed": (
        lambda y: share(len(course) >= 3 for course in old_courses(y, 200)),
        (0.66, 0.74),
        "routine 70 % [A], below the trials' 30/36 and 41/41 [L]",
    ),
    "series completed, below trials": (
        lambda y: share(len(course) >= 3 for course in old_courses(y, 200)),
        (0.0, counted(30, 36)[1]),
        "30/36 [L]",
    ),
    "shortest gap of a series, days": (lambda y: min(gaps_of_series(y)), (27.5, 29), "at least 4 weeks [S]"),
    "nine in ten gaps, days": (
        lambda y: statistics.quantiles(gaps_of_series(y), n=10)[8],
        (35, 46),
        "4-6 weeks [S], and the days that rebooking takes [A]",
    ),
    "back for maintenance in 7 months": (
        lambda y: share(gap is not None and gap <= 213 for gap in maintenance_gaps(y)),
        (0.38, 0.50),
        "45 % [A]",
    ),
    "median return, days": (
        lambda y: statistics.median(gap for gap in maintenance_gaps(y) if gap is not None),
        (91, 183),
        "every 3-6 months [S], most after 4 [A]",
    ),
    "skin types I-II": (lambda y: skin_types(y, {1, 2}, 0.0), (0.31, 0.39), "35 % in the US [L]"),
    "skin type III": (lambda y: skin_types(y, {3}, 0.0), (0.44, 0.52), "48 % in the US [L]"),
    "skin types IV-VI": (lambda y: skin_types(y, {4, 5, 6}, 0.0), (0.13, 0.21), "17 % in the US [L]"),
    "patients with bruising": (lambda y: patients_with(y, "bruising"), (0.008, 0.028), "up to 2.8 % [L]"),
    "patients with breakouts": (lambda y: patients_with(y, "breakout"), (0.03, 0.133), "up to 13.3 % [L]"),
    "pigment change, types IV-V, five sessions": (
        lambda y: pigment(y, {4, 5}, 5),
        counted(5, 36),
        "5/36 patients over five sessions [L, Dogra 2014]",
    ),
    "pigment change, types III-V, one session": (
        lambda y: pigment(y, {3, 4, 5}, 1),
        counted(0, 39),
        "0/39 in one session [L]",
    ),
    "redness beyond 7 days, per session": (
        lambda y: len(reported(y, "erythema", "oedema")) / len(y.sessions),
        (0.006, 0.012),
        "1 % happen [A], 75-95 % are told [A]",
    ),
    "infections, per session": (
        lambda y: len(reported(y, "infection")) / len(y.sessions),
        (0.0003, 0.002),
        "0.1 % [A], rare [S]",
    ),
    "redness at 0.25-1.0 mm, median days": (
        lambda y: statistics.median(transient_days(y, 0.25, 1.0)),
        (1.4, 1.6),
        "1.5 d [A on L]",
    ),
    "redness at 1.5-2.5 mm, median days": (
        lambda y: statistics.median(transient_days(y, 1.5, 2.5)),
        (2.35, 2.65),
        "2.5 d [A on L]",
    ),
    "redness gone within 7 days": (
        lambda y: share(days < 7 for days in transient_days(y, 0, 3)),
        (0.985, 1.0),
        "99 % [A on L]",
    ),
    "responders after three sessions": (
        lambda y: share(score <= 3 for score in assessed(y, "gais", 3)),
        (0.73, 0.92),
        "73-92 % [L]",
    ),
    "satisfied after three sessions": (
        lambda y: share(score >= 60 for score in assessed(y, "satisfaction", 3)),
        (0.75, 0.95),
        "83 % satisfied [L], satisfied being 60 and more of 100 [A]",
    ),
    "grades gained by three sessions": (
        lambda y: 4 - statistics.mean(assessed(y, "gais", 3)),
        (0.95, 1.15),
        "0.35 a session [A]",
    ),
    "sessions shortest, minutes": (lambda y: min(minutes(y)), (28, 40), "30-60 min in all [S]"),
    "sessions longest, minutes": (lambda y: max(minutes(y)), (45, 60), "30-60 min in all [S]"),
    "cartridges of a lot": (lambda y: statistics.mean(lots(y)), (100, 300), "lots of 100-300 [A]"),
    "depth error when calibrated, sd": (
        lambda y: statistics.stdev(calibration_errors(y)),
        (0.04, 0.09),
        "SD 0.05 mm, and 0.01 mm a month of drift [A]",
    ),
    "firmware roll-out, weeks": (rollout_weeks, (6.5, 8.5), "over 8 weeks [A]"),
    "firmware versions": (
        lambda y: len({e.data.firmware for e in y.facts[DeviceFirmwareUpdated]}),
        (3, 4),
        "3-4 versions a year [A]",
    ),
}


@pytest.mark.parametrize("what", EXPECTED)
def test_a_year_is_as_the_sources_say(what: str, year: Year):
    """Rates, gaps, mixes and durations lie inside the interval of their origin."""
    measure, (low, high), origin = EXPECTED[what]
    found = measure(year)
    assert math.isfinite(found)
    assert low <= found <= high, f"{what}: {found:.4g} is not in {low:.4g} to {high:.4g} ({origin})"


def test_telemetry_is_as_the_sources_say():
    """Needling takes 10-25 minutes at a frame a second of ten samples [A]; strokes fall by 5-8 % under load
    with an SD of 2 % [L]; two to three sessions bring the battery to 20 % [A]."""
    set_rate: dict[str, float] = {}
    frames: dict[str, list[TelemetryFrame]] = defaultdict(list)
    for made in items(days=45, telemetry_days=3, bad=0):
        event = made[4]
        assert isinstance(event, Event)
        if isinstance(event.data, SessionCompleted):
            set_rate[event.data.session_id] = event.data.stroke_rate_per_min
        elif isinstance(event.data, TelemetryFrame) and event.data.session_id:
            frames[event.data.session_id].append(event.data)
    whole = {session: found for session, found in frames.items() if session in set_rate}
    assert len(whole) > 20
    assert all(590 <= len(found) <= 1500 for found in whole.values())
    assert {len(frame.depth_mm) for found in whole.values() for frame in found} == {10}
    losses = []
    for session, found in whole.items():
        rates = [rate / set_rate[session] for frame in found for rate in frame.stroke_rate_per_min]
        losses.append(1 - statistics.fmean(rates))
        assert statistics.stdev(rates) == pytest.approx(0.02, rel=0.1)
    assert min(losses) > 0.045
    assert max(losses) < 0.085
    used = statistics.mean(found[0].battery_percent - found[-1].battery_percent for found in whole.values())
    assert 2 <= 80 / used <= 3.5
