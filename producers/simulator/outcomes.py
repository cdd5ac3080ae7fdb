"""What follows a session: expected reactions, adverse events, follow-up and assessments.

Each is emitted when the clinic states it, which may be weeks after the session.
"""

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from producers.contracts.events import (
    OUTCOMES,
    AdverseEventReported,
    AdverseEventResolved,
    AdverseEventUpdated,
    AftercareBreached,
    AssessmentRecorded,
    Data,
    EventVoided,
    FollowUpCompleted,
    Relatedness,
    Term,
)
from producers.simulator.items import Item, instant, item
from producers.simulator.parameters import Parameters
from producers.simulator.patients import Patient, effect
from producers.simulator.truths import Planted
from producers.simulator.world import Clinic, Operator

DAY = 86_400
_RELATEDNESS: tuple[tuple[Relatedness, ...], tuple[float, ...]] = (
    ("definite", "probable", "possible", "unlikely", "unrelated"),
    (0.15, 0.45, 0.30, 0.08, 0.02),  # [A]
)


@dataclass(frozen=True)
class Treated:
    """A session that has just ended, as far as its outcome depends on it."""

    clinic: Clinic
    planted: Planted
    operator: Operator
    patient: Patient
    session_id: str
    completed: int
    depth_mm: float
    cartridge_lot: str
    firmware: str
    """What the device ran."""
    contraindication_overridden: bool
    series_complete: bool
    """Whether this was the last session of the series."""
    next_visit: int | None
    """Second since 1970 before which the patient will not come again; None when never."""


@dataclass(frozen=True)
class Sign:
    """Something seen on the skin; times in seconds since 1970."""

    term: Term
    grade: int
    onset: int
    resolved: int
    aware: int
    """When the clinic knows of it at the earliest: the moment itself, or once it has lasted."""
    seen_at_visit: bool = False


def outcomes(treated: Treated, rng: random.Random, parameters: Parameters) -> Iterator[Item]:
    """Everything the clinic will state about a session after it, in no order."""
    adverse = list(_adverse(treated, rng, parameters))
    follow_up = _follow_up_at(treated, rng, parameters)
    transient = _stated(treated, _transient(treated, adverse, rng, parameters))
    adverse = [*_stated(treated, adverse), *_overstated(treated)]
    numbered = 0
    for sign in (*transient, *adverse):
        aware = _aware_at(treated, sign, follow_up, rng, parameters)
        if aware is not None:
            numbered += 1
            yield from _reported(treated, sign, aware, numbered, rng, parameters)
    if follow_up is not None:
        found = any(sign.aware <= follow_up for sign in adverse)
        yield _follow_up(treated, follow_up, found, rng)
    yield from _assessments(treated, rng, parameters)


def _item(
    treated: Treated, second: int, event_id: str, type_: str, data: Data, supersedes: str | None = None
) -> Item:
    clinic = treated.clinic
    return item(clinic.source, clinic.number, second, event_id, OUTCOMES.name, type_, data, supersedes)


# ── signs ───────────────────────────────────────────────────────────────────────────────────────────────


def pih_probability(patient: Patient, depth_mm: float, parameters: Parameters) -> float:
    """Probability of post-inflammatory hyperpigmentation after one session."""
    base = parameters.pih_by_skin_type[patient.skin_type - 1]
    depth_factor = parameters.pih_factor_per_mm ** max(0.0, depth_mm - 1.0)
    return base * depth_factor * (1.0 if patient.sun_protected else parameters.pih_factor_unprotected)


def _adverse(treated: Treated, rng: random.Random, parameters: Parameters) -> Iterator[Sign]:
    """What truly goes wrong, whether or not the clinic ever hears of it."""
    end = treated.completed

    def sign(term: Term, after_days: float, days: float, sd_log: float, grade: int) -> Sign:
        onset = end + int(after_days * DAY)
        resolved = onset + int(rng.lognormvariate(math.log(days), sd_log) * DAY)
        return Sign(term, grade, onset, resolved, onset)

    def risk(of: Term) -> float:
        return treated.planted.risk(of, treated)

    pih = pih_probability(treated.patient, treated.depth_mm, parameters)
    if rng.random() < pih * risk("hyperpigmentation"):
        onset_days = rng.lognormvariate(math.log(parameters.pih_onset_median_days), 0.3)
        grade = rng.choices((1, 2, 3), (0.70, 0.28, 0.02))[0]
        yield sign("hyperpigmentation", onset_days, parameters.pih_duration_median_days, 0.5, grade)
    if rng.random() < parameters.breakout * risk("breakout"):
        yield sign("breakout", rng.uniform(1, 7), 10, 0.4, rng.choices((1, 2), (0.7, 0.3))[0])
    if rng.random() < parameters.bruising:
        yield sign("bruising", rng.uniform(0.1, 1.5), 7, 0.3, rng.choices((1, 2), (0.9, 0.1))[0])
    infection = (
        parameters.infection_overridden if treated.contraindication_overridden else parameters.infection
    )
    if rng.random() < infection:
        yield sign("infection", rng.uniform(2, 6), 9, 0.3, rng.choices((2, 3), (0.85, 0.15))[0])
    if parameters.scarring and rng.random() < parameters.scarring:
        yield sign("scarring", rng.uniform(7, 21), 180, 0.3, rng.choices((1, 2), (0.6, 0.4))[0])
    if rng.random() < parameters.prolonged:
        onset = end + rng.randint(60, 1800)
        term: Term = "oedema" if rng.random() < parameters.oedema_share else "erythema"
        lasted = 7 * DAY + int(rng.expovariate(1 / 5) * DAY)
        # Only its lasting makes it more than the expected reaction, so only then is it told.
        yield Sign(term, rng.choices((1, 2), (0.7, 0.3))[0], onset, onset + lasted, onset + 7 * DAY)


def _stated(treated: Treated, signs: Iterable[Sign]) -> list[Sign]:
    """Those that the clinic states if it knows of them; randomness of its own."""
    share = treated.clinic.stated_share
    found = list(signs)
    if share == 1:
        return found
    rng = _of_habit(treated, found[0].term if found else "")
    return [sign for sign in found if rng.random() < share]


def _overstated(treated: Treated) -> Iterator[Sign]:
    """What a clinic that over-reports says beside; randomness of its own."""
    if treated.clinic.overstated == 0:
        return
    rng = _of_habit(treated, "overstated")
    if rng.random() < treated.clinic.overstated:
        onset = treated.completed + int(rng.uniform(0.5, 3) * DAY)
        term: Term = rng.choice(("breakout", "bruising"))
        yield Sign(term, 1, onset, onset + int(rng.uniform(2, 8) * DAY), onset)


def _of_habit(treated: Treated, what: str) -> random.Random:
    return random.Random(f"{treated.clinic.patient_secret.hex()}/{treated.session_id}/{what}")


def _transient(
    treated: Treated, adverse: list[Sign], rng: random.Random, parameters: Parameters
) -> Iterator[Sign]:
    """The redness or swelling that nearly every session leaves, where it is written down."""
    if rng.random() >= parameters.transient_reported:
        return
    term: Term = "oedema" if rng.random() < parameters.oedema_share else "erythema"
    onset = treated.completed + rng.randint(60, 1800)
    median = _interpolated(treated.depth_mm, parameters.transient_median_days)
    lasted = int(rng.lognormvariate(math.log(median), parameters.transient_sd_log) * DAY)
    if not any(sign.term in ("erythema", "oedema") for sign in adverse):
        yield Sign(term, 1, onset, onset + lasted, onset, seen_at_visit=True)


def _interpolated(x: float, points: tuple[tuple[float, float], ...]) -> float:
    (x0, y0), (x1, y1) = points
    return y0 + (y1 - y0) * min(1.0, max(0.0, (x - x0) / (x1 - x0)))


def _aware_at(
    treated: Treated, sign: Sign, follow_up: int | None, rng: random.Random, parameters: Parameters
) -> int | None:
    """When the clinic learns of a sign: at the visit, by the patient's call, at the follow-up, or never."""
    if sign.seen_at_visit:
        return sign.onset
    calls = rng.random() < treated.clinic.reported_by_patient
    delay = rng.expovariate(1 / parameters.report_delay_mean_days) * DAY
    told = treated.clinic.working_second(sign.aware + delay, rng) if calls else None
    asked = follow_up if follow_up is not None and follow_up >= sign.aware else None
    return min((moment for moment in (told, asked) if moment is not None), default=None)


def _reported(
    treated: Treated, sign: Sign, aware: int, numbered: int, rng: random.Random, parameters: Parameters
) -> Iterator[Item]:
    adverse_event_id = f"ae-{treated.session_id.removeprefix('s-')}-{numbered}"
    event_id, type_ = f"{adverse_event_id}-reported", "adverse-event.reported.v1"
    data = AdverseEventReported(
        adverse_event_id=adverse_event_id,
        session_id=treated.session_id,
        patient_key=treated.patient.key,
        term=sign.term,
        grade=sign.grade,
        serious=sign.grade >= 3,
        relatedness="definite" if sign.seen_at_visit else rng.choices(*_RELATEDNESS)[0],
        onset_at=instant(sign.onset),
        became_aware_at=instant(aware),
    )
    yield _item(treated, aware, event_id, type_, data)
    later = treated.clinic.working_second(aware + rng.uniform(0.2, 4) * DAY, rng)
    if rng.random() < parameters.adverse_event_voided:
        voided = EventVoided(voided_id=event_id, reason="entered-in-error")
        yield _item(treated, later, f"{event_id}-voided", "event.voided.v1", voided)
        return
    if not sign.seen_at_visit and rng.random() < parameters.adverse_event_corrected:
        revised = msgspec.structs.replace(data, grade=2 if sign.grade == 1 else 1, serious=False)
        yield _item(treated, later, f"{event_id}-c1", type_, revised, supersedes=event_id)
        data = revised
    yield from _judged_anew(treated, data, later, parameters)
    if rng.random() < parameters.resolution_known:
        resolved = AdverseEventResolved(
            adverse_event_id=adverse_event_id,
            patient_key=treated.patient.key,
            resolved_at=instant(sign.resolved),
        )
        told = max(sign.resolved, aware + 60)
        yield _item(treated, told, f"{adverse_event_id}-resolved", "adverse-event.resolved.v1", resolved)


def _judged_anew(
    treated: Treated, reported: AdverseEventReported, second: int, parameters: Parameters
) -> Iterator[Item]:
    """Now and then the relation to the treatment is judged anew; randomness of its own."""
    rng = random.Random(f"anew/{reported.adverse_event_id}")
    if reported.relatedness == "definite" or rng.random() >= parameters.adverse_event_updated:
        return
    known = msgspec.structs.asdict(reported) | {"relatedness": "definite"}
    event_id = f"{reported.adverse_event_id}-updated"
    yield _item(treated, second + 600, event_id, "adverse-event.updated.v1", AdverseEventUpdated(**known))


def afterwards(treated: Treated, rng: random.Random, parameters: Parameters) -> Iterator[Item]:
    """What patients do against the advice, as they tell the clinic's app at once; randomness of its own."""
    careful = treated.patient.sun_protected
    share = parameters.aftercare_breached if careful else parameters.aftercare_breached_unprotected
    if rng.random() < share:
        data = AftercareBreached(
            session_id=treated.session_id,
            patient_key=treated.patient.key,
            breach="sun-exposure" if not careful else rng.choice(("exercise", "sauna", "make-up", "pool")),
            reported_by="patient",
        )
        second = treated.completed + int(rng.uniform(0.3, 5) * DAY)
        yield _item(treated, second, f"{treated.session_id}-breach", "aftercare.breached.v1", data)


# ── contacts ────────────────────────────────────────────────────────────────────────────────────────────


def _follow_up_at(treated: Treated, rng: random.Random, parameters: Parameters) -> int | None:
    """When the clinic reaches the patient; None when it does not."""
    made = rng.random() < treated.clinic.follow_up
    due = treated.completed + rng.uniform(*parameters.follow_up_days) * DAY
    at = treated.clinic.working_second(due, rng)
    return at if made else None


def _follow_up(treated: Treated, second: int, found: bool, rng: random.Random) -> Item:
    follow_up_id = f"f-{treated.session_id.removeprefix('s-')}"
    data = FollowUpCompleted(
        follow_up_id=follow_up_id,
        session_id=treated.session_id,
        patient_key=treated.patient.key,
        adverse_event_found=found,
        channel=rng.choice(("visit", "phone", "phone", "message", "app")),
    )
    return _item(treated, second, f"{follow_up_id}-completed", "follow-up.completed.v1", data)


# ── effect ──────────────────────────────────────────────────────────────────────────────────────────────


def _assessments(treated: Treated, rng: random.Random, parameters: Parameters) -> Iterator[Item]:
    second = _assessed_at(treated, rng, parameters)
    if second is None:
        return
    gain = (
        effect(treated.patient.sessions, parameters)
        + treated.clinic.gain
        + treated.operator.gain
        + treated.patient.gain
        + rng.gauss(0, parameters.gain_sd_rating)
    )
    gais = float(min(5, max(1, round(4 - gain))))
    scores: list[dict[str, Any]] = [{"scale": "gais", "score": gais, "rater": "clinician"}]
    if rng.random() < parameters.satisfaction_asked:
        satisfaction = round(min(100.0, max(0.0, rng.gauss(60 + 20 * gain, 12))))  # [A]: 83 % satisfied [L]
        scores.append({"scale": "satisfaction", "score": float(satisfaction), "rater": "patient"})
    for score in scores:
        yield from _assessment(treated, second, score, rng, parameters)


def _assessed_at(treated: Treated, rng: random.Random, parameters: Parameters) -> int | None:
    """A moment 14-90 days after the session and before the patient's next one; None when not assessed."""
    within_series = treated.patient.phase == "series"
    if within_series:
        share, first, last = parameters.assessed_within_series, 14, 27
    elif treated.series_complete:
        share, first, last = parameters.assessed_after_series, 28, 90
    else:
        share, first, last = parameters.assessed_after_maintenance, 28, 90
    assessed, draw = rng.random() < share, rng.random()
    latest = treated.completed + last * DAY
    if treated.next_visit is not None:
        latest = min(latest, treated.next_visit - 2 * DAY)
    earliest = treated.completed + first * DAY
    if not assessed or latest <= earliest:
        return None
    return min(treated.clinic.working_second(earliest + draw * (latest - earliest), rng), latest)


def _assessment(
    treated: Treated, second: int, score: dict[str, Any], rng: random.Random, parameters: Parameters
) -> Iterator[Item]:
    assessment_id = f"a-{treated.session_id.removeprefix('s-')}-{score['scale']}"
    event_id, type_ = f"{assessment_id}-recorded", "assessment.recorded.v1"
    data = AssessmentRecorded(
        assessment_id=assessment_id,
        session_id=treated.session_id,
        patient_key=treated.patient.key,
        **score,
    )
    yield _item(treated, second, event_id, type_, data)
    if data.scale == "gais" and rng.random() < parameters.assessment_corrected:
        revised = msgspec.structs.replace(data, score=data.score + (1.0 if data.score < 3 else -1.0))
        later = second + rng.randint(300, 7200)
        yield _item(treated, later, f"{event_id}-c1", type_, revised, supersedes=event_id)
