"""Every event a clinic can state, as one frozen class per version, in one module per topic.

An event is a CloudEvents 1.0 document. Its `source` is `/clinics/<clinic id>`, optionally followed by a path
of the clinic's own; its `id` is unique within that source; its `time` is when the thing happened (RFC 3339
with an offset). `supersedes` names an earlier event of the same source and type that this one replaces;
`event.voided` withdraws one.

There is no field for a name, a birth date or free text about a person, and unknown fields are refused.
Units stand in the names. Limits carry their origin: see `fields`.
"""

from producers.contracts.events.catalogue import (
    EVENTS,
    NEWEST,
    OUTCOMES,
    REGISTRY,
    SESSIONS,
    TELEMETRY,
    TOPICS,
    EventClass,
    Topic,
    clinic_of,
    lift,
    partition_key,
)
from producers.contracts.events.envelope import Data, DataClass, Event, EventVoided
from producers.contracts.events.fields import AgeBand, Area, Indication, Phase, Relatedness, Term
from producers.contracts.events.outcomes import (
    AdverseEventReported,
    AdverseEventReportedV2,
    AdverseEventResolved,
    AdverseEventUpdated,
    AftercareBreached,
    AssessmentRecorded,
    AssessmentRecordedV2,
    ExpectedReactionObserved,
    FollowUpCompleted,
)
from producers.contracts.events.registry import (
    ClinicRegistered,
    DeviceRegistered,
    OperatorRegistered,
    ProtocolPublished,
    ProtocolPublishedV2,
    ProtocolStep,
)
from producers.contracts.events.sessions import (
    Contraindication,
    NumbingApplied,
    PassCompleted,
    SessionAborted,
    SessionBooked,
    SessionCancelled,
    SessionCompleted,
    SessionMissed,
    SessionScreened,
    SessionStarted,
)
from producers.contracts.events.telemetry import (
    CartridgeDiscarded,
    CartridgeOpened,
    DeviceCalibrated,
    DeviceFaulted,
    DeviceFirmwareUpdated,
    DeviceServiced,
    TelemetryFrame,
    TelemetryFrameV2,
)

__all__ = [
    "EVENTS",
    "NEWEST",
    "OUTCOMES",
    "REGISTRY",
    "SESSIONS",
    "TELEMETRY",
    "TOPICS",
    "AdverseEventReported",
    "AdverseEventReportedV2",
    "AdverseEventResolved",
    "AdverseEventUpdated",
    "AftercareBreached",
    "AgeBand",
    "Area",
    "AssessmentRecorded",
    "AssessmentRecordedV2",
    "CartridgeDiscarded",
    "CartridgeOpened",
    "ClinicRegistered",
    "Contraindication",
    "Data",
    "DataClass",
    "DeviceCalibrated",
    "DeviceFaulted",
    "DeviceFirmwareUpdated",
    "DeviceRegistered",
    "DeviceServiced",
    "Event",
    "EventClass",
    "EventVoided",
    "ExpectedReactionObserved",
    "FollowUpCompleted",
    "Indication",
    "NumbingApplied",
    "OperatorRegistered",
    "PassCompleted",
    "Phase",
    "ProtocolPublished",
    "ProtocolPublishedV2",
    "ProtocolStep",
    "Relatedness",
    "SessionAborted",
    "SessionBooked",
    "SessionCancelled",
    "SessionCompleted",
    "SessionMissed",
    "SessionScreened",
    "SessionStarted",
    "TelemetryFrame",
    "TelemetryFrameV2",
    "Term",
    "Topic",
    "clinic_of",
    "lift",
    "partition_key",
]
