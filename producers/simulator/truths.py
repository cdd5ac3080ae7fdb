"""Truths that can be planted in a world, so that a method downstream can be right or wrong.

Each class is one truth of the catalogue `TRUTHS`: whom it befalls is drawn from the seed, its sizes say how
strong it is, and the hooks it overrides say what it changes. Nothing planted changes nothing.
"""

import dataclasses
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from producers.contracts import SettingsError
from producers.contracts.events import SessionCompleted, Term

if TYPE_CHECKING:
    from producers.simulator.outcomes import Treated
    from producers.simulator.patients import Patient
    from producers.simulator.world import Clinic, Protocol, World


@dataclass(frozen=True)
class Size:
    """How strong a truth is: the default, the bounds, and what the number means."""

    default: float
    low: float
    high: float
    meaning: str


class Truth:
    """Nothing planted: every hook leaves things as they are."""

    name: ClassVar[str] = ""
    sizes_known: ClassVar[dict[str, Size]] = {}

    def __init__(self, world: "World", clinic: "Clinic", sizes: dict[str, float]) -> None:
        self.world = world
        self.clinic_id = clinic.clinic_id
        self.clinic = clinic
        self.sizes = sizes
        self.choose(rng_of(world.seed, self.name))

    # what is said of it

    def choose(self, rng: random.Random) -> None:
        """Draw whom in the clinic it befalls."""

    @property
    def ids(self) -> dict[str, str]:
        """Whom it befalls."""
        return {"clinic_id": self.clinic_id}

    @property
    def dates(self) -> dict[str, str]:
        """When, as far as it is planned; else it holds from the world's start on."""
        return {"from": self.world.start.date().isoformat()}

    def exposes(self, clinic_id: str, session: SessionCompleted) -> bool:
        """Whether a completed session is one that it befell."""
        return clinic_id == self.clinic_id

    # what it changes

    def settled(self, clinic: "Clinic") -> "Clinic":
        """A clinic with its habits as the truth has them."""
        return clinic

    def protocols(self) -> "tuple[Protocol, ...]":
        """Protocols used beside the usual ones."""
        return ()

    def admit(self, patient: "Patient", rng: random.Random) -> None:
        """A new patient, who may be somebody else than usual."""

    def deeper_mm(self, operator_id: str, patient: "Patient") -> float:
        """Set by the operator beyond the protocol's depth."""
        return 0.0

    def depth_error_mm(self, firmware: str) -> float:
        """Needled beyond the depth that is set."""
        return 0.0

    def stroke_loss(self, device_id: str) -> float:
        """Share of the set stroke rate lost under load, beyond the usual."""
        return 0.0

    def cartridge(self, clinic: "Clinic", number: int) -> int:
        """Number of the cartridge used in the clinic's booking of that number."""
        return number

    def risk(self, term: Term, treated: "Treated") -> float:
        """Factor on the probability of a sign after a session."""
        return 1.0


class LotBreakouts(Truth):
    """A cartridge lot after which breakouts are more frequent; about five are expected in a lot of 200."""

    name = "lot-breakouts"
    sizes_known: ClassVar = {
        "ratio": Size(5, 1, 30, "relative risk of a breakout"),
        "lot": Size(2, 1, 9999, "which of the clinic's lots, in the order of use"),
    }

    def choose(self, rng: random.Random) -> None:
        self.lot = self.clinic.lot(int(self.sizes["lot"]))

    @property
    def ids(self) -> dict[str, str]:
        return {"clinic_id": self.clinic_id, "cartridge_lot": self.lot}

    def exposes(self, clinic_id: str, session: SessionCompleted) -> bool:
        return session.cartridge_lot == self.lot

    def risk(self, term: Term, treated: "Treated") -> float:
        return self.sizes["ratio"] if term == "breakout" and treated.cartridge_lot == self.lot else 1.0


class FirmwareDepth(Truth):
    """A firmware that needles deeper than set, with more pigment changes in types IV-V after its roll-out."""

    name = "firmware-depth"
    sizes_known: ClassVar = {
        "depth_mm": Size(0.3, 0, 1, "depth error, mm"),
        "ratio": Size(2, 1, 30, "relative risk of hyperpigmentation in skin types IV-V"),
        "release": Size(1, 1, 7, "which release, counted from the world's start"),
    }

    def choose(self, rng: random.Random) -> None:
        self.firmware = firmware_of(int(self.sizes["release"]))

    @property
    def ids(self) -> dict[str, str]:
        return {"firmware": self.firmware}

    @property
    def dates(self) -> dict[str, str]:
        days = [self.world.released_on(clinic, int(self.sizes["release"])) for clinic in self.world.clinics]
        return {"from": min(days).isoformat(), "everywhere_from": max(days).isoformat()}

    def exposes(self, clinic_id: str, session: SessionCompleted) -> bool:
        clinic = self.world.clinic(clinic_id)
        day = session.started_at.astimezone(clinic.zone).date()
        return self.world.firmware_on(clinic, day) == self.firmware

    def depth_error_mm(self, firmware: str) -> float:
        return self.sizes["depth_mm"] if firmware == self.firmware else 0.0

    def risk(self, term: Term, treated: "Treated") -> float:
        befallen = treated.firmware == self.firmware and treated.patient.skin_type in (4, 5)
        return self.sizes["ratio"] if term == "hyperpigmentation" and befallen else 1.0


class OperatorDepth(Truth):
    """One operator who needles skin type V too deep."""

    name = "operator-depth"
    sizes_known: ClassVar = {
        "depth_mm": Size(0.75, 0, 2, "deeper than the protocol, mm"),
        "ratio": Size(3, 1, 30, "relative risk of hyperpigmentation on skin type V, beyond what depth makes"),
    }

    def choose(self, rng: random.Random) -> None:
        self.operator_id = rng.choice(self.clinic.operators).operator_id

    @property
    def ids(self) -> dict[str, str]:
        return {"clinic_id": self.clinic_id, "operator_id": self.operator_id}

    def exposes(self, clinic_id: str, session: SessionCompleted) -> bool:
        return session.operator_id == self.operator_id and session.skin_type == 5

    def deeper_mm(self, operator_id: str, patient: "Patient") -> float:
        return self.sizes["depth_mm"] if operator_id == self.operator_id and patient.skin_type == 5 else 0.0

    def risk(self, term: Term, treated: "Treated") -> float:
        befallen = treated.operator.operator_id == self.operator_id and treated.patient.skin_type == 5
        return self.sizes["ratio"] if term == "hyperpigmentation" and befallen else 1.0


class ClinicCaseMix(Truth):
    """A clinic with much darker skins and no excess: an outlier by the crude rate only."""

    name = "clinic-case-mix"
    sizes_known: ClassVar = {"tilt": Size(1.2, 0, 3, "added to the logarithm of each step to darker skin")}

    def settled(self, clinic: "Clinic") -> "Clinic":
        return dataclasses.replace(clinic, skin_tilt=clinic.skin_tilt + self.sizes["tilt"])


class ClinicUnderReporting(Truth):
    """A clinic that states only a share of its adverse events."""

    name = "clinic-under-reporting"
    sizes_known: ClassVar = {"share": Size(0.4, 0, 1, "share of its events that it states")}

    def settled(self, clinic: "Clinic") -> "Clinic":
        return dataclasses.replace(clinic, stated_share=self.sizes["share"])


class ClinicOverReporting(Truth):
    """A clinic that states more adverse events than happen: grade 1, where there was nothing of note."""

    name = "clinic-over-reporting"
    sizes_known: ClassVar = {"ratio": Size(3, 1, 20, "stated for each event that happens")}

    def settled(self, clinic: "Clinic") -> "Clinic":
        usual = self.world.parameters.breakout + self.world.parameters.bruising
        return dataclasses.replace(clinic, overstated=min(1.0, (self.sizes["ratio"] - 1) * usual))


class ProtocolConfounded(Truth):
    """A deeper protocol for acne scars that looks better and is not: who gets it would improve more anyway.

    From 50 years on scars are deeper and have more to gain; four in five of these patients get the deeper
    protocol, one in five of the others. Types V-VI gain less and nearly always get the shallower one. What
    confounds, age band and skin type, is on record.
    """

    name = "protocol-confounded"
    sizes_known: ClassVar = {
        "gain": Size(0.5, 0, 2, "GAIS grades gained more by patients of 50 and older"),
        "loss": Size(0.25, 0, 2, "GAIS grades gained less by skin types V-VI"),
        "effect": Size(0, -2, 2, "GAIS grades that the deeper protocol truly adds"),
    }

    def choose(self, rng: random.Random) -> None:
        self.deeper = self.world.deeper_scar_protocol()

    @property
    def ids(self) -> dict[str, str]:
        return {"protocol_id": self.deeper.published.protocol_id, "against_protocol_id": "scar-renewal"}

    def exposes(self, clinic_id: str, session: SessionCompleted) -> bool:
        return session.protocol_id == self.deeper.published.protocol_id

    def protocols(self) -> "tuple[Protocol, ...]":
        return (self.deeper,)

    def admit(self, patient: "Patient", rng: random.Random) -> None:
        if patient.indication != "acne-scars":
            return
        older, darker = patient.age_band in ("50-59", "60+"), patient.skin_type >= 5
        deeper = rng.random() < (0.1 if darker else 0.8 if older else 0.2)
        patient.gain += self.sizes["gain"] * older - self.sizes["loss"] * darker
        if deeper:
            patient.protocol = self.deeper
            patient.gain += self.sizes["effect"]


class CalibrationOverdue(Truth):
    """A clinic whose devices are calibrated so late that they are in calibration less than 80 % of days."""

    name = "calibration-overdue"
    sizes_known: ClassVar = {"days": Size(420, 230, 2000, "between calibrations, due every 183")}

    def settled(self, clinic: "Clinic") -> "Clinic":
        days = self.sizes["days"]
        return dataclasses.replace(clinic, calibration_days=(days, days), first_calibration_share=(1.0, 1.0))


class CartridgeReused(Truth):
    """A single-use cartridge that is used again in the sessions that follow."""

    name = "cartridge-reused"
    sizes_known: ClassVar = {
        "sessions": Size(3, 2, 50, "bookings in a row that use it"),
        "number": Size(40, 1, 1e6, "the clinic's booking whose cartridge it is"),
    }

    @property
    def ids(self) -> dict[str, str]:
        serial = self.clinic.cartridge_serial(int(self.sizes["number"]))
        return {"clinic_id": self.clinic_id, "cartridge_serial": serial}

    def exposes(self, clinic_id: str, session: SessionCompleted) -> bool:
        return session.cartridge_serial == self.ids["cartridge_serial"]

    def cartridge(self, clinic: "Clinic", number: int) -> int:
        first = int(self.sizes["number"])
        again = clinic.clinic_id == self.clinic_id and first <= number < first + int(self.sizes["sessions"])
        return first if again else number


class WornMotor(Truth):
    """A pen whose worn motor loses more of its stroke rate under load."""

    name = "worn-motor"
    sizes_known: ClassVar = {"loss": Size(0.15, 0, 0.9, "share of the set stroke rate lost beside the usual")}

    def choose(self, rng: random.Random) -> None:
        self.device_id = rng.choice(self.clinic.devices).device_id

    @property
    def ids(self) -> dict[str, str]:
        return {"clinic_id": self.clinic_id, "device_id": self.device_id}

    def exposes(self, clinic_id: str, session: SessionCompleted) -> bool:
        return session.device_id == self.device_id

    def stroke_loss(self, device_id: str) -> float:
        return self.sizes["loss"] if device_id == self.device_id else 0.0


TRUTHS: dict[str, type[Truth]] = {
    kind.name: kind
    for kind in (
        LotBreakouts, FirmwareDepth, OperatorDepth, ClinicCaseMix, ClinicUnderReporting, ClinicOverReporting,
        ProtocolConfounded, CalibrationOverdue, CartridgeReused, WornMotor,
    )
}  # fmt: skip
NOTHING = "none"


class Planted:
    """All truths of a world as one."""

    def __init__(self, truths: Iterable[Truth] = ()) -> None:
        self.truths = tuple(truths)

    def settled(self, clinic: "Clinic") -> "Clinic":
        """See `Truth.settled`; each truth changes its own clinic only."""
        for truth in self.truths:
            if truth.clinic_id == clinic.clinic_id:
                clinic = truth.settled(clinic)
        return clinic

    def protocols(self) -> "tuple[Protocol, ...]":
        """See `Truth.protocols`."""
        return tuple(protocol for truth in self.truths for protocol in truth.protocols())

    def admit(self, patient: "Patient") -> None:
        """See `Truth.admit`; randomness of the patient's own."""
        for truth in self.truths:
            truth.admit(patient, random.Random(f"{truth.name}/{patient.key}"))

    def deeper_mm(self, operator_id: str, patient: "Patient") -> float:
        """See `Truth.deeper_mm`."""
        return sum(truth.deeper_mm(operator_id, patient) for truth in self.truths)

    def depth_error_mm(self, firmware: str) -> float:
        """See `Truth.depth_error_mm`."""
        return sum(truth.depth_error_mm(firmware) for truth in self.truths)

    def stroke_loss(self, device_id: str) -> float:
        """See `Truth.stroke_loss`."""
        return sum(truth.stroke_loss(device_id) for truth in self.truths)

    def cartridge(self, clinic: "Clinic", number: int) -> int:
        """See `Truth.cartridge`."""
        for truth in self.truths:
            number = truth.cartridge(clinic, number)
        return number

    def risk(self, term: Term, treated: "Treated") -> float:
        """See `Truth.risk`; truths multiply."""
        factor = 1.0
        for truth in self.truths:
            factor *= truth.risk(term, treated)
        return factor


# ── asking for them ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Wish:
    """A truth asked for: `lot-breakouts:ratio=8,clinic=harbour-light`."""

    name: str
    sizes: dict[str, float]
    clinic_id: str | None = None

    def __str__(self) -> str:
        """The wish in full, as a manifest keeps it."""
        options = [f"{name}={size:g}" for name, size in sorted(self.sizes.items())]
        if self.clinic_id:
            options.append(f"clinic={self.clinic_id}")
        return ":".join([self.name, ",".join(options)])


def wishes(texts: Iterable[str]) -> list[Wish]:
    """What `--plant` asks for, sizes filled in; `none` asks for nothing. Raises SettingsError."""
    given = list(texts)
    if NOTHING in given:
        if len(given) > 1:
            raise SettingsError("plant none: nothing else can be planted beside it")
        return []
    found = [_wish(text) for text in given]
    names = [(wish.name, wish.clinic_id) for wish in found]
    for name, _ in names:
        if names.count((name, None)) > 1 or len(set(names)) < len(names):
            raise SettingsError(f"plant {name}: twice; name a clinic for each, like {name}:clinic=lindenhof")
    return found


def _wish(text: str) -> Wish:
    name, _, options = text.partition(":")
    if name not in TRUTHS:
        raise SettingsError(f"plant {name}: not one of {', '.join([*TRUTHS, NOTHING])}")
    known = TRUTHS[name].sizes_known
    sizes = {size: known[size].default for size in known}
    clinic_id = None
    for option in filter(None, options.split(",")):
        key, _, value = option.partition("=")
        if key == "clinic":
            clinic_id = value
        elif key in known:
            sizes[key] = _size(name, key, value)
        else:
            raise SettingsError(f"plant {name}: no option {key!r}, only {', '.join([*known, 'clinic'])}")
    return Wish(name, sizes, clinic_id)


def _size(name: str, key: str, value: str) -> float:
    size = TRUTHS[name].sizes_known[key]
    number = float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else float("nan")
    if not size.low <= number <= size.high:
        raise SettingsError(f"plant {name}: {key} must be from {size.low:g} to {size.high:g}, not {value!r}")
    return number


def plant(world: "World", asked: Iterable[Wish]) -> Planted:
    """The truths asked for, each in a clinic of its own as long as there are enough. Raises SettingsError."""
    free = list(world.clinics)
    truths = []
    for wish in asked:
        clinic = _clinic_of(world, wish, free)
        truths.append(TRUTHS[wish.name](world, clinic, wish.sizes))
    return Planted(truths)


def _clinic_of(world: "World", wish: Wish, free: "list[Clinic]") -> "Clinic":
    if wish.clinic_id is not None:
        named = [clinic for clinic in world.clinics if clinic.clinic_id == wish.clinic_id]
        if not named:
            raise SettingsError(f"plant {wish.name}: no clinic {wish.clinic_id!r} in this network")
        clinic = named[0]
    else:
        clinic = rng_of(world.seed, wish.name).choice(free or list(world.clinics))
    if clinic in free:
        free.remove(clinic)
    return clinic


def rng_of(seed: int, name: str) -> random.Random:
    """Randomness of its own for each truth."""
    return random.Random(f"{seed}/truth/{name}")


def firmware_of(release: int) -> str:
    """Version of the release of that number, counted from the world's start."""
    return f"3.{2 + min(release, 7)}.5"
