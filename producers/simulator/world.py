"""The simulated network: its clinics, their people, devices and habits, and the protocols they share.

Every trait is drawn from the seed and the clinic's number alone, so that a clinic stays the same when
others join. Names are our own making.
"""

import dataclasses
import datetime as dt
import functools
import hashlib
import math
import random
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from producers.contracts.events import (
    REGISTRY,
    Area,
    ClinicRegistered,
    Data,
    DeviceRegistered,
    Indication,
    OperatorRegistered,
    ProtocolPublishedV2,
    ProtocolStep,
)
from producers.simulator.items import Item, item
from producers.simulator.parameters import Pair, Parameters
from producers.simulator.truths import Planted, Wish, firmware_of, plant


@dataclass(frozen=True)
class Protocol:
    """A protocol and the concerns it is used for."""

    published: ProtocolPublishedV2
    indications: tuple[tuple[Indication, Area], ...]
    share: float
    """Of new patients [A]."""
    skin_tilt: float
    """How much darker skin is over-represented among its patients; see `tilted` [A]."""


_USES: dict[str, tuple[Indication, tuple[tuple[Indication, Area], ...], float]] = {
    "scar-renewal": (
        "acne-scars",
        (("acne-scars", "face"), ("acne-scars", "face"), ("surgical-scars", "neck")),
        0.1,
    ),
    "fine-line": (
        "wrinkles",
        (("wrinkles", "face"), ("texture", "face"), ("pores", "face"), ("photodamage", "decolletage")),
        -0.2,
    ),
    "tone-even": ("hyperpigmentation", (("hyperpigmentation", "face"),), 0.4),
    "stretch-repair": ("stretch-marks", (("stretch-marks", "stomach"), ("stretch-marks", "thighs")), 0.0),
}
"""The network's protocols: what each is for, what it is used for, and its tilt to darker skin [A]."""


def _published(
    protocol_id: str, indication: Indication, depth_mm: float, rate: float, parameters: Parameters
) -> ProtocolPublishedV2:
    return ProtocolPublishedV2(
        protocol_id=protocol_id,
        version=1,
        indication=indication,
        depth_mm=depth_mm,
        stroke_rate_per_min=rate,
        sessions_planned=parameters.series_sessions,
        interval_days=parameters.series_interval_days,
        steps=[
            ProtocolStep(kind="cleanse", duration_min=3),
            ProtocolStep(kind="numbing", duration_min=20),
            ProtocolStep(kind="needling", depth_mm=depth_mm, stroke_rate_per_min=rate, passes=4),
            ProtocolStep(kind="soothing", duration_min=5),
            ProtocolStep(kind="led-light", duration_min=5),
        ],
        depth_limit_mm=2.5,
        stroke_rate_limit_per_min=max(9000.0, rate),
        passes_limit=8,
    )


def _protocols(parameters: Parameters) -> tuple[Protocol, ...]:
    chosen = zip(
        _USES.items(),
        parameters.protocol_depth_mm,
        parameters.protocol_stroke_rate_per_min,
        parameters.protocol_shares,
        strict=True,
    )
    return tuple(
        Protocol(_published(name, indication, depth, rate, parameters), uses, share, tilt)
        for (name, (indication, uses, tilt)), depth, rate, share in chosen
    )


@dataclass(frozen=True)
class Operator:
    """A person who treats."""

    operator_id: str
    role: Literal["physician", "nurse", "aesthetician"]
    gain: float
    """Added to the effect, GAIS grades."""


@dataclass(frozen=True)
class Device:
    """A pen."""

    device_id: str
    registered: DeviceRegistered
    depth_error_mm: float
    """True depth minus set depth just after a calibration."""


@dataclass(frozen=True)
class Clinic:
    """A clinic with its habits."""

    number: int
    clinic_id: str
    registered: ClinicRegistered
    zone: zoneinfo.ZoneInfo
    opens_hour: int
    closes_hour: int
    weekdays: frozenset[int]
    new_patients_per_open_day: float
    skin_tilt: float
    follow_up: float
    reported_by_patient: float
    calibration_days: Pair
    gain: float
    patient_secret: bytes
    operators: tuple[Operator, ...]
    devices: tuple[Device, ...]
    cartridges_per_lot: int
    first_calibration_share: Pair = (0.2, 1.0)
    """Of the usual time until the second calibration: devices of a network that joined on one day differ."""
    stated_share: float = 1.0
    """Of what goes wrong and the clinic knows of, what it states."""
    overstated: float = 0.0
    """Probability per session of stating a grade 1 event where there was none."""

    @property
    def source(self) -> str:
        """CloudEvents source of its events."""
        return f"/clinics/{self.clinic_id}"

    def lot(self, index: int) -> str:
        """Name of its cartridge lot of that index, from 1."""
        return f"L{self.number:02d}-{index:04d}"

    def lot_of(self, number: int) -> str:
        """Lot of its cartridge of that number."""
        return self.lot(number // self.cartridges_per_lot + 1)

    def cartridge_serial(self, number: int) -> str:
        """Serial of its cartridge of that number."""
        return f"C{self.number:02d}-{number:07d}"

    def patient_key(self, number: int) -> str:
        """Keyed hash of a patient's number; keys of two clinics do not link."""
        return hashlib.blake2b(str(number).encode(), key=self.patient_secret, digest_size=16).hexdigest()

    def is_open_on(self, day: dt.date) -> bool:
        """Whether it works on that local day."""
        return day.weekday() in self.weekdays

    def next_open(self, day: dt.date) -> dt.date:
        """That local day, or the first working day after it."""
        while not self.is_open_on(day):
            day += dt.timedelta(days=1)
        return day

    def second(self, day: dt.date, hour: int = 0) -> int:
        """Second since 1970 of a local hour."""
        return int(dt.datetime(day.year, day.month, day.day, hour, tzinfo=self.zone).timestamp())

    def working_second(self, earliest: float, rng: random.Random) -> int:
        """A moment in opening hours, on the local day of `earliest` or the next working day after it.

        Never before `earliest`.
        """
        local = dt.datetime.fromtimestamp(earliest, self.zone).date()
        day = self.next_open(local)
        opens, closes = self.second(day, self.opens_hour), self.second(day, self.closes_hour)
        draw = rng.random()
        if earliest >= closes:
            day = self.next_open(local + dt.timedelta(days=1))
            opens, closes = self.second(day, self.opens_hour), self.second(day, self.closes_hour)
        first = max(opens, math.ceil(earliest))
        return first + int(draw * (closes - first))


@dataclass(frozen=True)
class World:
    """A whole network."""

    seed: int
    start: dt.datetime
    parameters: Parameters
    clinics: tuple[Clinic, ...]
    protocols: tuple[Protocol, ...]
    planted: Planted = field(default_factory=Planted)

    def clinic(self, clinic_id: str) -> Clinic:
        """The clinic of that id. Raises KeyError."""
        return self._by_id[clinic_id]

    @functools.cached_property
    def _by_id(self) -> dict[str, Clinic]:
        return {clinic.clinic_id: clinic for clinic in self.clinics}

    def released_on(self, clinic: Clinic, release: int) -> dt.date:
        """Local day from which a clinic installs the firmware release of that number, from 1."""
        weeks = clinic.number % self.parameters.firmware_rollout_weeks
        days = release * self.parameters.firmware_release_days + 7 * weeks
        return self.start.date() + dt.timedelta(days=days)

    def firmware_on(self, clinic: Clinic, day: dt.date) -> str:
        """The newest firmware that has reached a clinic; empty before the first release."""
        days = (day - self.released_on(clinic, 0)).days
        released = max(0, days // self.parameters.firmware_release_days)
        return firmware_of(released) if released else ""

    def deeper_scar_protocol(self) -> Protocol:
        """The second protocol for acne scars, half a millimetre deeper; used only where it is planted."""
        usual = self.protocols[0]
        depth = min(2.5, usual.published.depth_mm + 0.5)
        rate = usual.published.stroke_rate_per_min
        published = _published("scar-deep", "acne-scars", depth, rate, self.parameters)
        return Protocol(published, (("acne-scars", "face"),), 0.0, 0.0)


@dataclass(frozen=True)
class _Template:
    clinic_id: str
    display_name: str
    time_zone: str
    locale: str
    opens_hour: int
    closes_hour: int
    weekdays: str  # 0 Monday … 6 Sunday
    skin_tilt: float


_DAILY, _MONDAY_TO_SATURDAY = "0123456", "012345"
# The first four work every day, and their hours cover the clock: some clinic is always open.
_TEMPLATES = (
    _Template("harbour-light", "Harbour Light Skin Clinic", "Europe/London", "en-GB", 10, 20, _DAILY, -0.1),
    _Template(
        "pacific-crest", "Pacific Crest Aesthetics", "America/Los_Angeles", "en-US", 10, 20, _DAILY, 0.0
    ),
    _Template("hoshi-hada", "Hoshi Hada Clinic", "Asia/Tokyo", "ja-JP", 10, 20, _DAILY, 0.0),
    _Template("palm-gate", "Palm Gate Dermal Studio", "Asia/Dubai", "en-AE", 10, 20, _DAILY, 0.4),
    _Template(
        "lindenhof", "Hautstudio Lindenhof", "Europe/Berlin", "de-DE", 9, 18, _MONDAY_TO_SATURDAY, -0.2
    ),
    _Template("rue-claire", "Atelier Rue Claire", "Europe/Paris", "fr-FR", 9, 19, "12345", -0.1),
    _Template("north-lake", "North Lake Skin Studio", "America/Chicago", "en-US", 9, 18, "01234", 0.0),
    _Template(
        "ipe-amarelo", "Clínica Ipê Amarelo", "America/Sao_Paulo", "pt-BR", 9, 19, _MONDAY_TO_SATURDAY, 0.4
    ),
    _Template(
        "southern-fern", "Southern Fern Skin", "Pacific/Auckland", "en-NZ", 9, 18, _MONDAY_TO_SATURDAY, -0.1
    ),
    _Template(
        "saffron-court", "Saffron Court Clinic", "Asia/Kolkata", "en-IN", 10, 19, _MONDAY_TO_SATURDAY, 0.6
    ),
    _Template(
        "table-bay", "Table Bay Dermal Care", "Africa/Johannesburg", "en-ZA", 9, 18, _MONDAY_TO_SATURDAY, 0.5
    ),
    _Template("maple-row", "Maple Row Medspa", "America/Toronto", "en-CA", 9, 19, _MONDAY_TO_SATURDAY, 0.0),
)

_MODELS = (("pen-a1", "0200100000101"), ("pen-b2", "0200100000202"))
"""Models and the first 13 digits of their device identifiers, in the range kept for use in house."""


def build_world(
    seed: int,
    clinics: int,
    start: dt.datetime,
    parameters: Parameters | None = None,
    asked: Iterable[Wish] = (),
) -> World:
    """The network of that seed, with the truths asked for planted.

    `start` only dates what happened before the simulation. Raises SettingsError for a truth that does not
    fit.
    """
    chosen = parameters or Parameters()
    usual = World(
        seed,
        start,
        chosen,
        tuple(_clinic(seed, n, start, chosen) for n in range(clinics)),
        _protocols(chosen),
    )
    planted = plant(usual, asked)
    return dataclasses.replace(
        usual,
        clinics=tuple(planted.settled(clinic) for clinic in usual.clinics),
        protocols=usual.protocols + planted.protocols(),
        planted=planted,
    )


def rng_for(seed: int, *parts: object) -> random.Random:
    """Randomness of its own for each part of the world, the same in every process."""
    return random.Random("/".join(map(str, (seed, *parts))))


def tilted(shares: tuple[float, ...], tilt: float) -> list[float]:
    """Weights of skin types I-VI with the darker ones made more frequent by e^tilt a step from III."""
    return [share * math.exp(tilt * (index - 2)) for index, share in enumerate(shares)]


def _clinic(seed: int, number: int, start: dt.datetime, parameters: Parameters) -> Clinic:
    rng = rng_for(seed, "clinic", number)
    template = _TEMPLATES[number % len(_TEMPLATES)]
    generation = number // len(_TEMPLATES) + 1
    clinic_id = template.clinic_id if generation == 1 else f"{template.clinic_id}-{generation}"
    name = template.display_name if generation == 1 else f"{template.display_name} {generation}"
    opened_on = start.date() - dt.timedelta(days=rng.randint(400, 4000))
    rooms = rng.randint(2, 3)
    return Clinic(
        number=number,
        clinic_id=clinic_id,
        registered=ClinicRegistered(
            display_name=name,
            time_zone=template.time_zone,
            locale=template.locale,
            opened_on=opened_on,
        ),
        zone=zoneinfo.ZoneInfo(template.time_zone),
        opens_hour=template.opens_hour,
        closes_hour=template.closes_hour,
        weekdays=frozenset(map(int, template.weekdays)),
        new_patients_per_open_day=parameters.new_patients_per_open_day
        * math.exp(rng.gauss(0, parameters.clinic_size_sd_log)),
        skin_tilt=template.skin_tilt,
        follow_up=rng.uniform(*parameters.follow_up),
        reported_by_patient=rng.uniform(*parameters.reported_by_patient),
        calibration_days=parameters.calibration_days_late
        if _is_late(seed, number, parameters)
        else parameters.calibration_days,
        gain=rng.gauss(0, parameters.gain_sd_clinic),
        patient_secret=hashlib.blake2b(f"{seed}/patients/{number}".encode(), digest_size=32).digest(),
        operators=tuple(
            Operator(
                operator_id=f"{clinic_id}-op{index + 1}",
                role=rng.choice(("physician", "nurse", "aesthetician", "aesthetician")),
                gain=rng.gauss(0, parameters.gain_sd_operator),
            )
            for index in range(rooms + rng.randint(0, 2))
        ),
        devices=tuple(_device(rng, clinic_id, index, opened_on, start, parameters) for index in range(rooms)),
        cartridges_per_lot=parameters.cartridges_per_lot,
    )


def _is_late(seed: int, number: int, parameters: Parameters) -> bool:
    """Whether the clinic lets calibrations slip: exactly the share of any run of clinics, by turns."""
    turn = number + rng_for(seed, "late").random() / parameters.late_clinics
    return int((turn + 1) * parameters.late_clinics) > int(turn * parameters.late_clinics)


def _device(
    rng: random.Random,
    clinic_id: str,
    index: int,
    opened_on: dt.date,
    start: dt.datetime,
    parameters: Parameters,
) -> Device:
    model, digits = rng.choice(_MODELS)
    device_id = f"{clinic_id}-d{index + 1}"
    age_days = rng.randint(0, min(900, (start.date() - opened_on).days))
    return Device(
        device_id=device_id,
        registered=DeviceRegistered(
            device_id=device_id,
            model=model,
            udi_di=digits + _gtin_check_digit(digits),
            serial=f"SN{rng.randrange(10**8):08d}",
            firmware=rng.choice(("3.1.0", "3.2.1")),
            in_service_on=start.date() - dt.timedelta(days=age_days),
        ),
        depth_error_mm=rng.gauss(0, parameters.depth_error_sd_mm),
    )


def _gtin_check_digit(digits: str) -> str:
    """Last digit of a GTIN-14: the weighted sum (3, 1, 3, …) comes to a multiple of ten [GS1]."""
    total = sum(int(digit) * (3 if index % 2 == 0 else 1) for index, digit in enumerate(digits))
    return str(-total % 10)


def registry(world: World) -> Iterator[Item]:
    """Everything the network states about itself at its start; protocols come from the first clinic."""
    second = int(world.start.timestamp())
    for clinic in world.clinics:
        stated: list[tuple[str, str, Data]] = [("clinic", "clinic.registered.v1", clinic.registered)]
        stated += [(d.device_id, "device.registered.v1", d.registered) for d in clinic.devices]
        stated += [
            (
                o.operator_id,
                "operator.registered.v1",
                OperatorRegistered(operator_id=o.operator_id, role=o.role),
            )
            for o in clinic.operators
        ]
        if clinic.number == 0:
            stated += [
                (p.published.protocol_id, "protocol.published.v2", p.published) for p in world.protocols
            ]
        for subject, type_, data in stated:
            yield item(clinic.source, clinic.number, second, f"r-{subject}-1", REGISTRY.name, type_, data)
