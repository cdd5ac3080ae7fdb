"""What a clinic states during one visit: screening, numbing, the cartridge, each area gone over, the end.

Its randomness is its own, so that what is stated here changes nothing of who comes and what follows.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from producers.contracts import Event
from producers.contracts.events import (
    OUTCOMES,
    SESSIONS,
    TELEMETRY,
    CartridgeDiscarded,
    CartridgeOpened,
    Contraindication,
    Data,
    DeviceFaulted,
    ExpectedReactionObserved,
    NumbingApplied,
    PassCompleted,
    SessionAborted,
    SessionCompleted,
    SessionScreened,
    SessionStarted,
)
from producers.simulator.items import Item, instant, item
from producers.simulator.parameters import Parameters
from producers.simulator.world import Clinic

_MINUTE = 60
_TYPES: dict[type[Data], tuple[str, str]] = {
    SessionScreened: (SESSIONS.name, "session.screened.v1"),
    SessionStarted: (SESSIONS.name, "session.started.v1"),
    SessionAborted: (SESSIONS.name, "session.aborted.v1"),
    NumbingApplied: (SESSIONS.name, "numbing.applied.v1"),
    PassCompleted: (SESSIONS.name, "pass.completed.v1"),
    CartridgeOpened: (TELEMETRY.name, "cartridge.opened.v1"),
    DeviceFaulted: (TELEMETRY.name, "device.faulted.v1"),
    CartridgeDiscarded: (TELEMETRY.name, "cartridge.discarded.v1"),
    ExpectedReactionObserved: (OUTCOMES.name, "expected-reaction.observed.v1"),
}
_FOUND: tuple[tuple[Contraindication, ...], tuple[float, ...]] = (
    ("active-acne", "cold-sore", "eczema", "other-skin-disease", "psoriasis", "pregnancy", "breastfeeding"),
    (0.35, 0.20, 0.15, 0.12, 0.08, 0.04, 0.06),  # [A]
)


@dataclass(frozen=True)
class Visit:
    """A visit as it was planned: when the patient arrived and needling ended, seconds since 1970."""

    clinic: Clinic
    arrived: int
    ended: int
    session: SessionCompleted
    """What will be said of it at its end, unless it is deferred or aborted."""


AGAIN = "-again"
"""Ends the session id of a session that was entered twice."""


def is_first_entry(completed: Event[Any]) -> bool:
    """Whether the event neither corrects a session nor enters it a second time."""
    return completed.supersedes is None and not completed.data.session_id.endswith(AGAIN)


def is_deferred(rng: random.Random, parameters: Parameters) -> bool:
    """Whether screening finds something for which the patient is sent home."""
    return rng.random() < parameters.deferred


def is_aborted(rng: random.Random, parameters: Parameters) -> bool:
    """Whether the treatment ends before it is done."""
    return rng.random() < parameters.aborted


def deferred(visit: Visit, rng: random.Random) -> Iterator[Item]:
    """The screening alone."""
    yield _screened(visit, [rng.choices(*_FOUND)[0]], "defer")


def treated(visit: Visit, rng: random.Random, parameters: Parameters, *, aborted: bool) -> Iterator[Item]:
    """Everything stated from arrival to the end, but not that the session was completed."""
    session = visit.session
    overridden = session.contraindication_overridden
    yield _screened(
        visit,
        [rng.choices(*_FOUND)[0]] if overridden else [],
        "treat-overriding" if overridden else "treat",
    )
    yield from _prepared(visit, rng, parameters)
    if aborted:
        yield _aborted(visit, rng)
    else:
        yield from _needled(visit, rng, parameters)
    discarded = CartridgeDiscarded(
        device_id=session.device_id,
        cartridge_lot=session.cartridge_lot,
        cartridge_serial=session.cartridge_serial,
        reason="used",
        session_id=session.session_id,
    )
    yield _item(visit, visit.ended + 30, "discarded", discarded)


def _item(visit: Visit, second: int, what: str, data: Data) -> Item:
    topic, type_ = _TYPES[type(data)]
    event_id = f"{visit.session.session_id}-{what}"
    return item(visit.clinic.source, visit.clinic.number, second, event_id, topic, type_, data)


def _screened(visit: Visit, found: list[Contraindication], decision: str) -> Item:
    session = visit.session
    data = SessionScreened(
        session_id=session.session_id,
        patient_key=session.patient_key,
        operator_id=session.operator_id,
        skin_type=session.skin_type,
        contraindications=found,
        decision=decision,  # type: ignore[arg-type]
    )
    return _item(visit, visit.arrived + 2 * _MINUTE, "screened", data)


def _prepared(visit: Visit, rng: random.Random, parameters: Parameters) -> Iterator[Item]:
    """Numbing, the sterile cartridge, and the beginning of the treatment."""
    session = visit.session
    started = int(session.started_at.timestamp())
    applied = visit.arrived + 4 * _MINUTE
    numbing = NumbingApplied(
        session_id=session.session_id,
        area=session.area,
        agent=rng.choice(("lidocaine", "lidocaine-prilocaine", "lidocaine-tetracaine")),
        strength_percent=rng.choice((4.0, 5.0, 7.0)),
        contact_min=max(1, (started - applied) // _MINUTE),
    )
    yield _item(visit, applied, "numbed", numbing)
    yield from _refused_cartridge(visit, parameters)
    opened = CartridgeOpened(
        device_id=session.device_id,
        cartridge_lot=session.cartridge_lot,
        cartridge_serial=session.cartridge_serial,
        needle_count=rng.choices((6, 12, 14), parameters.needle_count_shares)[0],
        session_id=session.session_id,
    )
    yield _item(visit, started - 30, "opened", opened)
    begun = SessionStarted(
        session_id=session.session_id,
        patient_key=session.patient_key,
        operator_id=session.operator_id,
        device_id=session.device_id,
        protocol_id=session.protocol_id,
        protocol_version=session.protocol_version,
        area=session.area,
        cartridge_lot=session.cartridge_lot,
        cartridge_serial=session.cartridge_serial,
    )
    yield _item(visit, started, "started", begun)


def _refused_cartridge(visit: Visit, parameters: Parameters) -> Iterator[Item]:
    """Now and then a used cartridge is put on first, and the pen refuses it; randomness of its own."""
    session = visit.session
    rng = random.Random(f"reuse/{visit.clinic.patient_secret.hex()}/{session.session_id}")
    if rng.random() < parameters.cartridge_reuse_attempted:
        refused = DeviceFaulted(
            device_id=session.device_id,
            fault="cartridge-reuse-refused",
            halted=False,
            session_id=session.session_id,
        )
        yield _item(visit, int(session.started_at.timestamp()) - 60, "reuse-refused", refused)


def _needled(visit: Visit, rng: random.Random, parameters: Parameters) -> Iterator[Item]:
    """The area gone over in one or two goes, and what was seen of the skin afterwards."""
    session = visit.session
    started = int(session.started_at.timestamp())
    goes = 2 if session.passes >= 4 else 1
    lot = f"HA{visit.clinic.number:02d}-{started // (90 * 86_400):04d}"  # a new lot of serum every quarter
    for number in range(1, goes + 1):
        share = session.passes // goes + (session.passes % goes if number == 1 else 0)
        data = PassCompleted(
            session_id=session.session_id,
            pass_number=number,
            area=session.area,
            depth_mm=session.depth_mm,
            stroke_rate_per_min=session.stroke_rate_per_min,
            passes=share,
            duration_s=(visit.ended - started) // goes,
            serum_lot=lot,
        )
        yield _item(visit, started + (visit.ended - started) * number // goes, f"pass-{number}", data)
    if rng.random() < parameters.transient_observed:
        data_seen = ExpectedReactionObserved(
            reaction_id=f"x-{session.session_id.removeprefix('s-')}",
            session_id=session.session_id,
            patient_key=session.patient_key,
            sign=rng.choices(("erythema", "oedema", "bleeding", "soreness"), (0.6, 0.15, 0.15, 0.1))[0],
            onset_at=instant(visit.ended),
        )
        yield _item(visit, int(session.completed_at.timestamp()), "reaction", data_seen)


def _aborted(visit: Visit, rng: random.Random) -> Item:
    session = visit.session
    data = SessionAborted(
        session_id=session.session_id,
        patient_key=session.patient_key,
        operator_id=session.operator_id,
        device_id=session.device_id,
        started_at=session.started_at,
        passes=rng.randint(0, session.passes - 1),
        reason=rng.choices(("pain", "syncope", "device-fault", "patient-request"), (0.4, 0.2, 0.2, 0.2))[0],
    )
    return _item(visit, visit.ended, "aborted", data)
