"""Patients, and when they come back."""

import datetime as dt
import math
import random
from dataclasses import dataclass
from typing import Literal

from producers.contracts.events import AgeBand, Area, Indication
from producers.simulator.parameters import Parameters
from producers.simulator.world import Clinic, Protocol, World, tilted

AGE_BANDS: tuple[AgeBand, ...] = ("18-29", "30-39", "40-49", "50-59", "60+")


@dataclass(slots=True)
class Patient:
    """Somebody in treatment; kept only while an appointment is booked."""

    key: str
    skin_type: int
    age_band: AgeBand
    protocol: Protocol
    indication: Indication
    area: Area
    prepaid: bool
    sun_protected: bool
    gain: float
    """Added to the effect of every course, GAIS grades."""
    depth_mm: float = 0.0
    """To set: the protocol's, shallower on thin skin and on types V-VI [A]."""
    sessions: int = 0

    @property
    def phase(self) -> Literal["series", "maintenance"]:
        """What the session after `sessions` earlier ones counts as."""
        return "series" if self.sessions < self.protocol.published.sessions_planned else "maintenance"


def new_patient(world: World, clinic: Clinic, number: int, rng: random.Random) -> Patient:
    """The clinic's patient of that number."""
    parameters, protocols = world.parameters, world.protocols
    protocol = rng.choices(protocols, [p.share for p in protocols])[0]
    tilt = clinic.skin_tilt + protocol.skin_tilt
    indication, area = rng.choice(protocol.indications)
    patient = Patient(
        key=clinic.patient_key(number),
        skin_type=1 + rng.choices(range(6), tilted(parameters.skin_type_shares, tilt))[0],
        age_band=rng.choices(AGE_BANDS, parameters.age_band_shares)[0],
        protocol=protocol,
        indication=indication,
        area=area,
        prepaid=rng.random() < parameters.prepaid,
        sun_protected=rng.random() < parameters.sun_protected,
        gain=rng.gauss(0, parameters.gain_sd_patient),
    )
    world.planted.admit(patient)
    patient.depth_mm = _depth_mm(patient, parameters)
    return patient


def _depth_mm(patient: Patient, parameters: Parameters) -> float:
    depth = patient.protocol.published.depth_mm
    if patient.area in ("neck", "decolletage"):
        depth -= parameters.thin_skin_less_mm
    if patient.skin_type >= 5:
        depth -= parameters.dark_skin_less_mm
    return max(0.25, depth)


def misses(patient: Patient, rng: random.Random, parameters: Parameters) -> bool:
    """Whether a booked patient stays away."""
    share = parameters.no_show_prepaid if patient.prepaid else parameters.no_show_otherwise
    return rng.random() < share


def next_visit(patient: Patient, day: dt.date, rng: random.Random, parameters: Parameters) -> dt.date | None:
    """When a patient just treated wants to come next; None when never. `sessions` counts today's."""
    if patient.phase == "series":
        drop_outs = parameters.drop_out_after_session
        if rng.random() < drop_outs[min(patient.sessions, len(drop_outs)) - 1]:
            return None
        low, high = parameters.series_gap_days
        return day + dt.timedelta(days=round(rng.triangular(low, high)))
    if rng.random() >= parameters.returns_for_maintenance:
        return None
    gap = rng.lognormvariate(
        math.log(parameters.maintenance_gap_median_days), parameters.maintenance_gap_sd_log
    )
    return day + dt.timedelta(days=max(parameters.maintenance_gap_least_days, round(gap)))


def effect(sessions: int, parameters: Parameters) -> float:
    """Mean gain in GAIS grades after that many sessions: half as much from the fourth on."""
    return parameters.gain_per_session * (min(sessions, 3) + 0.5 * max(0, sessions - 3))
