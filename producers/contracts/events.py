"""Every event a clinic can state, as one frozen class each.

An event is a CloudEvents 1.0 JSON document (structured mode). Its `source` is `/clinics/<clinic id>`,
optionally followed by a path of the clinic's own; its `id` is unique within that source; its `time` is
when the thing happened (RFC 3339 with an offset). `supersedes` names an earlier event of the same source
and type that this one replaces.

There is no field for a name, a birth date or free text about a person, and unknown fields are refused.
Units stand in the names. Limits carry their origin: [A] marks an assumption of ours.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import Meta, Struct

# Patterns end in `(?!\n)$`: Python's `$` alone also matches before a last line feed, ECMA-262's does not.

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}(?!\n)$")]
"""An identifier of the clinic's own; no spaces, so that nobody types a name into it."""

EventId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(?!\n)$")]

PatientKey = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$")]
"""Keyed hash of the clinic's patient number, made at the clinic: 128 bits, lower-case hexadecimal."""

Instant = Annotated[dt.datetime, Meta(tz=True)]
"""A moment with its UTC offset; a naive time is refused."""

Source = Annotated[str, Meta(pattern=r"^/clinics/[a-z0-9][a-z0-9-]{0,31}(/[A-Za-z0-9._-]{1,32})*(?!\n)$")]

_UNPRINTABLE = r"[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]"
DisplayName = Annotated[
    str, Meta(max_length=80, pattern=rf"^(?![\s\S]*{_UNPRINTABLE})\S(?:[\s\S]*\S)?(?!\n)$")
]
"""A clinic's name for people: no control or text-direction characters, no space at either end."""

Version = Annotated[int, Meta(ge=1, le=10_000)]
SkinType = Annotated[int, Meta(ge=1, le=6)]
"""Fitzpatrick skin type I–VI as 1–6."""
DepthMm = Annotated[float, Meta(ge=0.0, le=3.0)]
"""Needle depth in millimetres; pens on the market set 0–2.5 mm, 3.0 leaves room for error [A]."""
StrokeRate = Annotated[float, Meta(ge=0.0, le=25_000.0)]
"""Strokes per minute; marketed up to 18 000, with head-room [A]."""
Milliamps = Annotated[float, Meta(ge=0.0, le=5_000.0)]
Samples = Meta(min_length=1, max_length=100)

Indication = Literal[
    "acne-scars", "surgical-scars", "stretch-marks", "wrinkles", "hyperpigmentation", "pores", "texture",
    "photodamage",
]  # fmt: skip
Area = Literal["face", "neck", "decolletage", "stomach", "thighs"]
AgeBand = Literal["18-29", "30-39", "40-49", "50-59", "60+"]
Term = Literal[
    "erythema", "oedema", "soreness", "throbbing", "tightness", "peeling", "bruising", "bleeding",
    "hyperpigmentation", "hypopigmentation", "breakout", "infection", "sun-sensitivity", "scarring",
]  # fmt: skip
Relatedness = Literal["unrelated", "unlikely", "possible", "probable", "definite"]
Scale = Literal["gais", "goodman-baron", "satisfaction", "vas"]


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an event states about its subject."""


D = TypeVar("D", bound=Data)
DataClass = type[Data]


class Event(Struct, Generic[D], frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The CloudEvents envelope that every event shares."""

    specversion: Literal["1.0"]
    id: EventId
    source: Source
    type: str
    time: Instant
    data: D
    datacontenttype: Literal["application/json"] | None = None
    supersedes: EventId | None = None


# ── clinic.registry ─────────────────────────────────────────────────────────────────────────────────────


class ClinicRegistered(Data, frozen=True):
    """A clinic joined the network or changed its details."""

    display_name: DisplayName
    time_zone: Annotated[str, Meta(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}(?!\n)$")]
    locale: Annotated[str, Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?(?!\n)$")]
    opened_on: dt.date


class OperatorRegistered(Data, frozen=True):
    """A person who treats, under a pseudonym of the clinic's own."""

    operator_id: Id
    role: Literal["physician", "nurse", "aesthetician"]


class DeviceRegistered(Data, frozen=True):
    """A micro-needling pen came into service. `udi_di` and `serial` are its UDI parts."""

    device_id: Id
    model: Id
    udi_di: Annotated[str, Meta(pattern=r"^[0-9]{14}(?!\n)$")]
    serial: Id
    firmware: Id
    in_service_on: dt.date


class ProtocolPublished(Data, frozen=True):
    """A version of a treatment protocol."""

    protocol_id: Id
    version: Version
    indication: Indication
    depth_mm: DepthMm
    stroke_rate_per_min: StrokeRate
    sessions_planned: Annotated[int, Meta(ge=1, le=12)]
    interval_days: Annotated[int, Meta(ge=7, le=365)]


# ── clinic.sessions ─────────────────────────────────────────────────────────────────────────────────────


class SessionCompleted(Data, frozen=True):
    """A treatment took place and ended; `completed_at` is not before `started_at`."""

    session_id: Id
    patient_key: PatientKey
    operator_id: Id
    device_id: Id
    protocol_id: Id
    protocol_version: Version
    cartridge_lot: Id
    cartridge_serial: Id
    indication: Indication
    area: Area
    skin_type: SkinType
    age_band: AgeBand
    phase: Literal["series", "maintenance"]
    session_number: Annotated[int, Meta(ge=1, le=200)]
    started_at: Instant
    completed_at: Instant
    depth_mm: DepthMm
    stroke_rate_per_min: StrokeRate
    passes: Annotated[int, Meta(ge=1, le=50)]
    contraindication_overridden: bool


# ── clinic.device-telemetry ─────────────────────────────────────────────────────────────────────────────


class TelemetryFrame(Data, frozen=True):
    """A frame of samples taken `sample_interval_ms` apart; all channels have as many samples.

    `session_id` is absent in an idle heartbeat. `sequence` counts frames of a device, from 0.
    """

    device_id: Id
    sequence: Annotated[int, Meta(ge=0, le=2**53)]
    sample_interval_ms: Annotated[int, Meta(ge=1, le=60_000)]
    depth_mm: Annotated[list[DepthMm], Samples]
    stroke_rate_per_min: Annotated[list[StrokeRate], Samples]
    motor_current_ma: Annotated[list[Milliamps], Samples]
    battery_percent: Annotated[float, Meta(ge=0.0, le=100.0)]
    session_id: Id | None = None


class DeviceCalibrated(Data, frozen=True):
    """A calibration was done at the event's time; `depth_error_mm` is what was found before adjusting."""

    device_id: Id
    depth_error_mm: Annotated[float, Meta(ge=-2.0, le=2.0)]


# ── clinic.outcomes ─────────────────────────────────────────────────────────────────────────────────────


class AdverseEventReported(Data, frozen=True):
    """A sign after a session. Expected reactions are reported too; the warehouse's rule tells them apart."""

    adverse_event_id: Id
    session_id: Id
    patient_key: PatientKey
    term: Term
    grade: Annotated[int, Meta(ge=1, le=5)]
    serious: bool
    relatedness: Relatedness
    onset_at: Instant
    became_aware_at: Instant


class AdverseEventResolved(Data, frozen=True):
    """The sign is gone."""

    adverse_event_id: Id
    patient_key: PatientKey
    resolved_at: Instant


class AssessmentRecorded(Data, frozen=True):
    """A score on a named scale. Ranges: GAIS 1–5, Goodman–Baron 1–4, satisfaction 0–100, VAS 0–10."""

    assessment_id: Id
    session_id: Id
    patient_key: PatientKey
    scale: Scale
    score: Annotated[float, Meta(ge=0.0, le=100.0)]
    rater: Literal["clinician", "patient"]


class FollowUpCompleted(Data, frozen=True):
    """The clinic reached the patient after a session; finding nothing is an event too."""

    follow_up_id: Id
    session_id: Id
    patient_key: PatientKey
    adverse_event_found: bool
    channel: Literal["visit", "phone", "message", "app"]


class EventVoided(Data, frozen=True):
    """An earlier event of the same source never happened (entered by mistake). Sent on that event's topic."""

    voided_id: EventId
    reason: Literal["entered-in-error", "duplicate-entry", "wrong-patient", "test"]


# ── catalogue ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Topic:
    """A Kafka topic: name, partitions on a small network, and how long the broker keeps events."""

    name: str
    partitions: int
    cleanup_policy: Literal["delete", "compact"] = "delete"
    retention_days: int = 30


REGISTRY = Topic("clinic.registry", partitions=1, cleanup_policy="compact")
SESSIONS = Topic("clinic.sessions", partitions=2)
TELEMETRY = Topic("clinic.device-telemetry", partitions=4, retention_days=7)
OUTCOMES = Topic("clinic.outcomes", partitions=2)
TOPICS: dict[str, Topic] = {topic.name: topic for topic in (REGISTRY, SESSIONS, TELEMETRY, OUTCOMES)}


@dataclass(frozen=True)
class EventClass:
    """One event type: where it travels, what keys it, which raw table it lands in."""

    type: str
    data: DataClass
    topics: tuple[Topic, ...]
    key: Callable[[Any], str]

    @property
    def table(self) -> str:
        """`session.completed.v1` lands in `session_completed`, whatever its version."""
        return self.type.rsplit(".", 1)[0].replace(".", "_").replace("-", "_")


def _event_class(type_: str, data: type[Data], topic: Topic, key: Callable[[Any], str]) -> EventClass:
    return EventClass(type_, data, (topic,), key)


EVENTS: dict[str, EventClass] = {
    e.type: e
    for e in (
        _event_class("clinic.registered.v1", ClinicRegistered, REGISTRY, lambda d: "clinic"),
        _event_class("operator.registered.v1", OperatorRegistered, REGISTRY, lambda d: d.operator_id),
        _event_class("device.registered.v1", DeviceRegistered, REGISTRY, lambda d: d.device_id),
        _event_class(
            "protocol.published.v1", ProtocolPublished, REGISTRY, lambda d: f"{d.protocol_id}/{d.version}"
        ),
        _event_class("session.completed.v1", SessionCompleted, SESSIONS, lambda d: d.session_id),
        _event_class("telemetry.frame.v1", TelemetryFrame, TELEMETRY, lambda d: d.device_id),
        _event_class("device.calibrated.v1", DeviceCalibrated, TELEMETRY, lambda d: d.device_id),
        _event_class("adverse-event.reported.v1", AdverseEventReported, OUTCOMES, lambda d: d.patient_key),
        _event_class("adverse-event.resolved.v1", AdverseEventResolved, OUTCOMES, lambda d: d.patient_key),
        _event_class("assessment.recorded.v1", AssessmentRecorded, OUTCOMES, lambda d: d.patient_key),
        _event_class("follow-up.completed.v1", FollowUpCompleted, OUTCOMES, lambda d: d.patient_key),
        EventClass("event.voided.v1", EventVoided, (SESSIONS, TELEMETRY, OUTCOMES), lambda d: d.voided_id),
    )
}


def clinic_of(source: str) -> str:
    """The clinic that a valid source names: the second segment of `/clinics/<id>[/…]`."""
    return source.split("/", 3)[2]


def partition_key(event: Event[Any]) -> str:
    """The Kafka key: order holds within it, and compaction on the registry. Begins with the clinic."""
    event_class = EVENTS[event.type]
    key = event_class.key(event.data)
    subject = f"{event_class.table}/{key}" if event_class.topics == (REGISTRY,) else key
    return f"{clinic_of(event.source)}/{subject}"
