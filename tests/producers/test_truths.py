"""What is planted happens to whom the manifest says, as strongly as it says, and to nobody else."""

import datetime as dt
import itertools
import statistics
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from producers.contracts import Event, SettingsError, clinic_of
from producers.contracts.events import (
    AdverseEventReported,
    AssessmentRecorded,
    DeviceCalibrated,
    SessionCompleted,
    TelemetryFrame,
)
from producers.simulator.items import Item
from producers.simulator.stream import stream, until
from producers.simulator.truths import TRUTHS, Truth, wishes
from producers.simulator.visits import is_first_entry
from producers.simulator.world import World, build_world

pytestmark = pytest.mark.unit

START = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
DAYS = 300
STRONG = (
    "lot-breakouts:ratio=20",
    "firmware-depth:ratio=10",
    "operator-depth:ratio=20",
    "clinic-case-mix",
    "clinic-under-reporting",
    "clinic-over-reporting",
    "protocol-confounded",
    "calibration-overdue",
    "cartridge-reused:sessions=5",
    "worn-motor",
)
"""Strong enough to be seen in a year of twelve clinics without a test."""


def made_of(world: World, *, telemetry_days: int = 0) -> Iterator[Item]:
    end = int((START + DAYS * DAY).timestamp())
    return until(stream(world, telemetry_from=end - telemetry_days * 86_400), end)


class Told:
    """What a world states, in a form to count."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.facts: dict[type, list[Event[Any]]] = defaultdict(list)
        void = set()
        for *_, event in made_of(world):
            assert isinstance(event, Event)
            self.facts[type(event.data)].append(event)
            void.add((event.source, event.supersedes or getattr(event.data, "voided_id", None)))
        self.sessions = [e for e in self.facts[SessionCompleted] if is_first_entry(e)]
        self.reports = [e for e in self.facts[AdverseEventReported] if (e.source, e.id) not in void]

    def truth(self, name: str) -> Any:
        return next(t for t in self.world.planted.truths if t.name == name)

    def incidence(self, term: str, exposed: list[Event[Any]]) -> float:
        """Sessions with a report of the term, per session."""
        ids = {e.data.session_id for e in exposed}
        cases = {e.data.session_id for e in self.reports if e.data.term == term}
        return len(ids & cases) / len(ids)

    def split(self, truth: Truth) -> tuple[list[Event[Any]], list[Event[Any]]]:
        """Sessions that the truth befell, and the others."""
        befallen = [e for e in self.sessions if truth.exposes(clinic_of(e.source), e.data)]
        ids = {e.id for e in befallen}
        return befallen, [e for e in self.sessions if e.id not in ids]


@pytest.fixture(scope="module")
def told() -> Told:
    return Told(build_world(3, 12, START, asked=wishes(STRONG)))


def test_every_truth_is_planted_in_a_clinic_of_its_own(told: Told):
    """All ten fit into a network of twelve clinics."""
    truths = told.world.planted.truths
    assert [t.name for t in truths] == list(TRUTHS)
    assert len({t.clinic_id for t in truths}) == len(truths)


def test_a_lot_with_more_breakouts(told: Told):
    """The lot's sessions break out about as many times more often as planted; it is one lot's sessions."""
    befallen, others = told.split(told.truth("lot-breakouts"))
    assert 100 < len(befallen) <= 200
    assert told.incidence("breakout", befallen) > 10 * told.incidence("breakout", others)


def test_a_firmware_that_needles_deeper(told: Told):
    """Pigment changes rise in types IV-V once a clinic has the firmware, and only while it has it."""
    truth = told.truth("firmware-depth")
    befallen, others = told.split(truth)
    first = dt.date.fromisoformat(truth.dates["from"])
    assert min(e.time.date() for e in befallen) >= first - DAY
    for skin, lowest, highest in (({4, 5}, 3.0, 15.0), ({1, 2, 3, 6}, 0.0, 2.5)):
        rates = [
            told.incidence("hyperpigmentation", [e for e in group if e.data.skin_type in skin])
            for group in (befallen, others)
        ]
        assert lowest < rates[0] / rates[1] < highest


def test_an_operator_too_deep_on_type_v(told: Told):
    """The operator sets more depth on skin type V, and on no other, than colleagues do."""
    truth = told.truth("operator-depth")
    befallen, others = told.split(truth)
    assert len(befallen) > 10
    usual = {p.published.protocol_id: p.published.depth_mm for p in told.world.protocols}
    assert all(e.data.depth_mm >= usual[e.data.protocol_id] for e in befallen)
    assert all(e.data.depth_mm <= usual[e.data.protocol_id] for e in others)
    dark = [e for e in others if e.data.skin_type == 5]
    assert told.incidence("hyperpigmentation", befallen) > 3 * told.incidence("hyperpigmentation", dark)


def test_a_clinic_with_a_bad_case_mix_only(told: Told):
    """Its skins are darker, its crude rate is higher, its rate within types IV-VI is not far off."""
    befallen, others = told.split(told.truth("clinic-case-mix"))
    darker = [statistics.mean(e.data.skin_type for e in group) for group in (befallen, others)]
    assert darker[0] > darker[1] + 1
    assert told.incidence("hyperpigmentation", befallen) > 2 * told.incidence("hyperpigmentation", others)


def test_clinics_that_state_too_little_and_too_much(told: Told):
    """Reports per session stand well below and well above those of the others."""
    ratios = {}
    for name in ("clinic-under-reporting", "clinic-over-reporting"):
        befallen, others = told.split(told.truth(name))
        rates = [
            sum(told.incidence(term, group) for term in ("breakout", "bruising"))
            for group in (befallen, others)
        ]
        ratios[name] = rates[0] / rates[1]
    assert ratios["clinic-under-reporting"] < 0.7
    assert 2 < ratios["clinic-over-reporting"] < 4


def test_a_protocol_that_only_looks_better(told: Told):
    """Crude gains differ by protocol; within age and skin they do not."""
    truth = told.truth("protocol-confounded")
    befallen, others = told.split(truth)
    deeper = {e.data.session_id: e.data for e in befallen}
    usual = {e.data.session_id: e.data for e in others if e.data.indication == "acne-scars"}
    gains: dict[tuple[bool, bool], list[float]] = defaultdict(list)
    for event in told.facts[AssessmentRecorded]:
        session = deeper.get(event.data.session_id) or usual.get(event.data.session_id)
        if event.data.scale == "gais" and session is not None and session.skin_type < 5:
            older = session.age_band in ("50-59", "60+")
            gains[event.data.session_id in deeper, older].append(4 - event.data.score)
    crude = {d: statistics.mean(gains[d, True] + gains[d, False]) for d in (True, False)}
    assert crude[True] - crude[False] > 0.12
    for older in (True, False):
        assert abs(statistics.mean(gains[True, older]) - statistics.mean(gains[False, older])) < 0.2


def test_a_clinic_that_lets_calibration_slip(told: Told):
    """Its devices are in calibration, 183 days from each, less than 80 % of the time."""
    truth = told.truth("calibration-overdue")
    dates = defaultdict(list)
    for event in told.facts[DeviceCalibrated]:
        if clinic_of(event.source) == truth.clinic_id:
            dates[event.data.device_id].append(event.time)
    assert len(dates) == len(told.world.clinic(truth.clinic_id).devices)
    for times in dates.values():
        covered = sum(
            min((two - one) / DAY, 183) for one, two in itertools.pairwise([*times, START + DAYS * DAY])
        )
        assert covered / DAYS < 0.8


def test_a_cartridge_used_again(told: Told):
    """One serial has several sessions, and no other has more than one."""
    truth = told.truth("cartridge-reused")
    uses = defaultdict(set)
    for event in told.sessions:
        uses[event.data.cartridge_serial].add(event.data.session_id)
    several = {serial for serial, sessions in uses.items() if len(sessions) > 1}
    assert several == {truth.ids["cartridge_serial"]}


def test_a_worn_motor_and_a_deep_firmware_are_measured():
    """Telemetry tells the pen whose motor is worn, and the pens whose firmware needles too deep."""
    world = build_world(3, 2, START, asked=wishes(["worn-motor", "firmware-depth:release=2"]))
    session = {}
    rates, depths = defaultdict(list), defaultdict(list)
    for *_, event in made_of(world, telemetry_days=4):
        if isinstance(event.data, SessionCompleted):
            session[event.data.session_id] = event.data
        if isinstance(event.data, TelemetryFrame) and event.data.session_id:
            rates[event.data.device_id].append(
                (event.data.session_id, statistics.mean(event.data.stroke_rate_per_min))
            )
            depths[event.data.device_id].append((event.data.session_id, statistics.mean(event.data.depth_mm)))
    worn, deep = world.planted.truths
    assert deep.ids == {"firmware": world.firmware_on(world.clinics[0], (START + (DAYS - 5) * DAY).date())}
    for device_id, found in rates.items():
        kept = statistics.mean(rate / session[s].stroke_rate_per_min for s, rate in found if s in session)
        expected = 0.785 if device_id == worn.ids["device_id"] else 0.935
        assert kept == pytest.approx(expected, abs=0.03)
    errors = [depth - session[s].depth_mm for found in depths.values() for s, depth in found if s in session]
    assert statistics.mean(errors) == pytest.approx(0.35, abs=0.1)  # the firmware's 0.3, and drift


def test_nothing_planted_leaves_the_world_as_it_was(told: Told):
    """A clinic that no truth befell states the same as in a world of nothing planted."""
    plain = build_world(3, 12, START, asked=wishes(["none"]))
    reports = build_world(3, 12, START, asked=wishes(["clinic-over-reporting"]))
    over = reports.planted.truths[0].clinic_id
    for one, two in zip(plain.clinics, reports.clinics, strict=True):
        assert (one == two) == (one.clinic_id != over)
    assert plain.planted.truths == ()
    few = [list(itertools.islice(made_of(world), 3000)) for world in (build_world(3, 12, START), plain)]
    assert few[0] == few[1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["full-moon"], "plant full-moon: not one of lot-breakouts, "),
        (["lot-breakouts:colour=3"], "plant lot-breakouts: no option 'colour', only ratio, lot, clinic"),
        (["lot-breakouts:ratio=99"], "plant lot-breakouts: ratio must be from 1 to 30, not '99'"),
        (["lot-breakouts:ratio=nan"], "ratio must be from 1 to 30, not 'nan'"),
        (["lot-breakouts:ratio"], "ratio must be"),
        (["lot-breakouts:clinic=nowhere"], "no clinic 'nowhere' in this network"),
        (["worn-motor", "worn-motor"], "plant worn-motor: twice"),
        (["none", "worn-motor"], "plant none: nothing else"),
    ],
)
def test_a_wish_that_cannot_be_is_named(asked: list[str], message: str):
    """A truth, an option or a size that is not known is refused in one line."""
    with pytest.raises(SettingsError, match=message):
        build_world(1, 2, START, asked=wishes(asked))


def test_a_truth_in_a_clinic_of_ones_choice():
    """The clinic may be named, and then the truth may come more than once."""
    asked = wishes(["worn-motor:clinic=hoshi-hada", "worn-motor:clinic=harbour-light,loss=0.3"])
    world = build_world(1, 3, START, asked=asked)
    assert [(t.clinic_id, t.sizes["loss"]) for t in world.planted.truths] == [
        ("hoshi-hada", 0.15),
        ("harbour-light", 0.3),
    ]
