"""Topic `clinic.outcomes`: what came of a session, in order per patient."""

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta

from producers.contracts.errors import ContractViolation
from producers.contracts.events.envelope import Data
from producers.contracts.events.fields import (
    AdverseEventId,
    Area,
    Grade,
    Id,
    Instant,
    PatientKey,
    Relatedness,
    ScaleName,
    SessionId,
    Term,
)
from producers.contracts.scales import SCALES, Direction

_After = Annotated[SessionId, Meta(description="session it followed")]
_Onset = Annotated[Instant, Meta(description="first seen")]
_BecameAware = Annotated[
    Instant, Meta(description="the clinic became aware; regulators' clocks start here (21 CFR 803) [L]")
]
_Serious = Annotated[
    bool, Meta(description="serious in the regulator's sense (21 CFR 803.3; EU MDR Art. 2 (65)) [L]")
]
SeriousnessCriterion = Annotated[
    Literal["death", "life-threatening", "hospitalisation", "permanent-impairment", "intervention-required"],
    Meta(description="why it is serious (21 CFR 803.3; EU MDR Art. 2 (65)) [L]; only where it is"),
]
ImdrfCode = Annotated[
    str,
    Meta(pattern=r"^[A-G][0-9]{2,6}(?!\n)$", description="IMDRF adverse event code with its annex's letter"),
]
MeddraCode = Annotated[str, Meta(pattern=r"^[0-9]{8}(?!\n)$", description="MedDRA code, eight digits")]


class AdverseEventReported(Data, frozen=True):
    """A sign after a session. Expected reactions are reported too; the warehouse's rule tells them apart."""

    adverse_event_id: AdverseEventId
    session_id: _After
    patient_key: PatientKey
    term: Term
    grade: Grade
    serious: _Serious
    relatedness: Relatedness
    onset_at: _Onset
    became_aware_at: _BecameAware

    def check(self, now: dt.datetime) -> None:
        if self.became_aware_at < self.onset_at:
            raise ContractViolation("aware.before-onset", "$.data.became_aware_at", "before onset_at")


class AdverseEventReportedV2(AdverseEventReported, frozen=True):
    """A sign after a session, with what a report to an authority also asks for."""

    area: Area | None = None
    seriousness_criterion: SeriousnessCriterion | None = None
    remedial_action_needed: (
        Annotated[bool, Meta(description="to keep others from harm: 5 work days (21 CFR 803.53) [L]")] | None
    ) = None
    imdrf_code: ImdrfCode | None = None
    meddra_code: MeddraCode | None = None

    def check(self, now: dt.datetime) -> None:
        AdverseEventReported.check(self, now)
        if self.seriousness_criterion is not None and not self.serious:
            raise ContractViolation(
                "seriousness.contradiction", "$.data.seriousness_criterion", "given though not serious"
            )


class AdverseEventUpdated(AdverseEventReportedV2, frozen=True):
    """The state of an adverse event changed, or more is known: all of it as it is from the event's time on.

    The report itself stays true for its time; to correct a report that was wrong, supersede it instead.
    """


class AdverseEventResolved(Data, frozen=True):
    """The sign is gone."""

    adverse_event_id: AdverseEventId
    patient_key: PatientKey
    resolved_at: Annotated[Instant, Meta(description="sign gone")]


class ExpectedReactionObserved(Data, frozen=True):
    """A transient reaction that belongs to the treatment, of grade 1, seen inside its recovery window.

    Redness, swelling and the like go in 24-48 h, at most a week [S]. What lasts longer or is worse is an
    adverse event; the warehouse's rule decides on what is stated here too.
    """

    reaction_id: Annotated[Id, Meta(description="reaction")]
    session_id: _After
    patient_key: PatientKey
    sign: Annotated[
        Literal["erythema", "oedema", "soreness", "throbbing", "tightness", "peeling", "bleeding"],
        Meta(description="what was seen [S]; bleeding means pinpoint bleeding"),
    ]
    onset_at: _Onset
    resolved_at: Annotated[Instant, Meta(description="sign gone; absent while it lasts")] | None = None

    def check(self, now: dt.datetime) -> None:
        if self.resolved_at is not None and self.resolved_at < self.onset_at:
            raise ContractViolation("reaction.reversed", "$.data.resolved_at", "before onset_at")


class AssessmentRecorded(Data, frozen=True):
    """A score on a named scale. Ranges: GAIS 1-5, Goodman-Baron 1-4, satisfaction 0-100, VAS 0-10."""

    assessment_id: Annotated[Id, Meta(description="assessment")]
    session_id: Annotated[SessionId, Meta(description="latest session before it")]
    patient_key: PatientKey
    scale: ScaleName
    score: Annotated[float, Meta(ge=0.0, le=100.0, description="score, in the scale's own unit and range")]
    rater: Annotated[Literal["clinician", "patient"], Meta(description="who judged")]

    def check(self, now: dt.datetime) -> None:
        scale = SCALES[self.scale]
        if not scale.low <= self.score <= scale.high:
            detail = f"{self.scale} runs from {scale.low} to {scale.high}"
            raise ContractViolation("score.range", "$.data.score", detail)


class AssessmentRecordedV2(AssessmentRecorded, frozen=True):
    """A score on a named scale, with the direction the sender means: some number GAIS the other way round."""

    direction: Annotated[Direction, Meta(description="which end of the scale is better")] | None = None

    def check(self, now: dt.datetime) -> None:
        AssessmentRecorded.check(self, now)
        direction = SCALES[self.scale].direction
        if self.direction not in (None, direction):
            raise ContractViolation("score.direction", "$.data.direction", f"on {self.scale}, {direction}")


class FollowUpCompleted(Data, frozen=True):
    """The clinic reached the patient after a session; finding nothing is an event too."""

    follow_up_id: Annotated[Id, Meta(description="follow-up")]
    session_id: Annotated[SessionId, Meta(description="session followed up")]
    patient_key: PatientKey
    adverse_event_found: Annotated[bool, Meta(description="whether any sign was found")]
    channel: Annotated[Literal["visit", "phone", "message", "app"], Meta(description="how")]


class AftercareBreached(Data, frozen=True):
    """The patient did what aftercare forbids, at the event's time: sun for days to a week, sweat for 48 h."""

    session_id: _After
    patient_key: PatientKey
    breach: Annotated[
        Literal["sun-exposure", "exercise", "sauna", "pool", "make-up", "harsh-product", "home-roller"],
        Meta(description="what was done [S]"),
    ]
    reported_by: Annotated[Literal["patient", "clinic"], Meta(description="who told")]
