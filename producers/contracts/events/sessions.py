"""Topic `clinic.sessions`: one session from booking to its end, in order within the session's key."""

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta

from producers.contracts.errors import ContractViolation
from producers.contracts.events.envelope import Data
from producers.contracts.events.fields import (
    AgeBand,
    Area,
    CartridgeLot,
    CartridgeSerial,
    DepthMm,
    DeviceId,
    Id,
    Indication,
    Instant,
    OperatorId,
    Passes,
    PatientKey,
    Phase,
    PlannedInstant,
    ProtocolId,
    SessionId,
    SkinType,
    StrokeRate,
    Version,
)

Contraindication = Literal[
    "active-acne",
    "cystic-acne",
    "cold-sore",
    "eczema",
    "psoriasis",
    "other-skin-disease",
    "pregnancy",
    "breastfeeding",
    "keloid-tendency",
    "anticoagulation",
    "isotretinoin",
    "immunosuppression",
    "recent-sun-exposure",
]
"""Not to be treated, or deferred: the first eight [S], the others [A]."""


class SessionBooked(Data, frozen=True):
    """A visit was booked. One booked for another time instead supersedes it."""

    session_id: SessionId
    patient_key: PatientKey
    scheduled_at: Annotated[PlannedInstant, Meta(description="start of the visit; at most two years ahead")]
    duration_min: Annotated[
        int, Meta(ge=5, le=240, description="minutes set aside; a session takes 30-60 [S], 240 is ample [A]")
    ]
    phase: Phase
    indication: Indication
    channel: Annotated[Literal["online", "phone", "in-person", "app"], Meta(description="how it was booked")]
    prepaid: Annotated[bool, Meta(description="paid before the visit; then no-shows are rarer [A]")]
    operator_id: OperatorId | None = None
    protocol_id: ProtocolId | None = None


class SessionCancelled(Data, frozen=True):
    """A booked visit was called off."""

    session_id: SessionId
    patient_key: PatientKey
    cancelled_by: Annotated[Literal["patient", "clinic"], Meta(description="who called it off")]
    reason: Annotated[
        Literal[
            "patient-request",
            "illness",
            "contraindication-found",
            "adverse-event",
            "completed-elsewhere",
            "operator-unavailable",
            "device-unavailable",
            "clinic-closed",
            "not-stated",
        ],
        Meta(description="why"),
    ]


class SessionMissed(Data, frozen=True):
    """The patient did not come: a no-show."""

    session_id: SessionId
    patient_key: PatientKey
    scheduled_at: Annotated[Instant, Meta(description="when the visit was to begin")]


class SessionScreened(Data, frozen=True):
    """The consultation before treatment: each contraindication found, and the decision.

    `treat` only where nothing was found, `treat-overriding` only where something was.
    """

    session_id: SessionId
    patient_key: PatientKey
    operator_id: OperatorId
    skin_type: SkinType
    contraindications: Annotated[
        list[Contraindication],
        Meta(max_length=13, description="found, each once", extra_json_schema={"uniqueItems": True}),
    ]
    decision: Annotated[
        Literal["treat", "treat-overriding", "defer", "decline"], Meta(description="what follows from it")
    ]

    def check(self, now: dt.datetime) -> None:
        if len(set(self.contraindications)) < len(self.contraindications):
            raise ContractViolation("list.repeated", "$.data.contraindications", "names one of them twice")
        if self.decision == "treat" and self.contraindications:
            raise ContractViolation(
                "screening.decision", "$.data.decision", "something was found: treat-overriding"
            )
        if self.decision == "treat-overriding" and not self.contraindications:
            raise ContractViolation("screening.decision", "$.data.decision", "there is nothing to override")


class SessionStarted(Data, frozen=True):
    """Treatment began, at the event's time."""

    session_id: SessionId
    patient_key: PatientKey
    operator_id: OperatorId
    device_id: DeviceId
    protocol_id: ProtocolId
    protocol_version: Version
    area: Area
    cartridge_lot: CartridgeLot | None = None
    cartridge_serial: CartridgeSerial | None = None


class NumbingApplied(Data, frozen=True):
    """A topical anaesthetic was put on, at the event's time."""

    session_id: SessionId
    area: Area
    agent: Annotated[
        Literal["lidocaine", "lidocaine-prilocaine", "lidocaine-tetracaine", "benzocaine", "tetracaine"],
        Meta(description="active substance [A]"),
    ]
    strength_percent: Annotated[
        float, Meta(gt=0.0, le=40.0, description="sum of active substances, percent by weight [A]")
    ]
    contact_min: Annotated[
        int, Meta(ge=1, le=120, description="minutes left on; about 20 are usual [S], 120 is ample [A]")
    ]
    lot: Annotated[Id, Meta(description="lot of the product")] | None = None


class PassCompleted(Data, frozen=True):
    """One area was gone over with one setting; a session has one or several of these."""

    session_id: SessionId
    pass_number: Annotated[int, Meta(ge=1, le=200, description="number within the session, from 1")]
    area: Area
    depth_mm: Annotated[DepthMm, Meta(description="needle depth set, mm; 0-2.5 by area [L, weak]")]
    stroke_rate_per_min: Annotated[StrokeRate, Meta(description="strokes per minute set")]
    passes: Passes
    duration_s: Annotated[
        int,
        Meta(ge=1, le=7_200, description="seconds of needling; 10-25 min a session [A], 2 h is ample [A]"),
    ]
    serum_lot: Annotated[Id, Meta(description="lot of the serum used; absent where none was")] | None = None


class SessionCompleted(Data, frozen=True):
    """A treatment took place and ended; `completed_at` is not before `started_at`."""

    session_id: SessionId
    patient_key: PatientKey
    operator_id: OperatorId
    device_id: DeviceId
    protocol_id: ProtocolId
    protocol_version: Version
    cartridge_lot: CartridgeLot
    cartridge_serial: CartridgeSerial
    indication: Indication
    area: Area
    skin_type: SkinType
    age_band: AgeBand
    phase: Phase
    session_number: Annotated[
        int, Meta(ge=1, le=200, description="number of the session in the patient's course, from 1")
    ]
    started_at: Annotated[Instant, Meta(description="needling began")]
    completed_at: Annotated[Instant, Meta(description="session ended")]
    depth_mm: Annotated[DepthMm, Meta(description="needle depth set, mm")]
    stroke_rate_per_min: Annotated[StrokeRate, Meta(description="strokes per minute set")]
    passes: Passes
    contraindication_overridden: Annotated[
        bool, Meta(description="treated in spite of a contraindication found at screening")
    ]

    def check(self, now: dt.datetime) -> None:
        if self.completed_at < self.started_at:
            raise ContractViolation("session.reversed", "$.data.completed_at", "before started_at")


class SessionAborted(Data, frozen=True):
    """A treatment ended before it was done, at the event's time."""

    session_id: SessionId
    patient_key: PatientKey
    operator_id: OperatorId
    device_id: DeviceId
    started_at: Annotated[Instant, Meta(description="needling began")]
    passes: Annotated[int, Meta(ge=0, le=50, description="passes done before it was aborted")]
    reason: Annotated[
        Literal[
            "pain",
            "excessive-bleeding",
            "syncope",
            "allergic-reaction",
            "other-adverse-event",
            "contraindication-found",
            "device-fault",
            "cartridge-fault",
            "patient-request",
            "clinic-reason",
        ],
        Meta(description="why"),
    ]
