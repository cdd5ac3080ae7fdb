"""The catalogue: every event type and version, where it travels, what keys it, where it lands."""

from dataclasses import dataclass
from typing import Any, Literal

from msgspec import structs

from producers.contracts.events import outcomes, registry, sessions, telemetry
from producers.contracts.events.envelope import D, DataClass, Event, EventVoided


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
    """One version of one event: where it travels, what keys it, which raw table it lands in."""

    type: str
    data: DataClass
    topics: tuple[Topic, ...]
    key_fields: tuple[str, ...]
    """The fields of its data that make the Kafka key; none where there is only one per clinic."""

    @property
    def name(self) -> str:
        """`session.completed` of `session.completed.v1`."""
        return self.type.rsplit(".", 1)[0]

    @property
    def version(self) -> int:
        """1 of `session.completed.v1`."""
        return int(self.type.rsplit(".v", 1)[1])

    @property
    def table(self) -> str:
        """`session.completed.v1` lands in `session_completed`, whatever its version."""
        return self.name.replace(".", "_").replace("-", "_")

    def key_of(self, clinic_id: str, subject: str) -> str:
        """The Kafka key of a clinic's event about a subject; on a compacted topic it names the table."""
        within = f"{self.table}/" if REGISTRY in self.topics else ""
        return f"{clinic_id}/{within}{subject}"

    @property
    def key_form(self) -> str:
        """The Kafka key in words, like `<clinic>/<session_id>`."""
        return self.key_of("<clinic>", "/".join(f"<{field}>" for field in self.key_fields) or _SOLE)


_SOLE = "clinic"


def _versions(name: str, topics: tuple[Topic, ...], key: str, *datas: DataClass) -> list[EventClass]:
    return [
        EventClass(f"{name}.v{version}", data, topics, tuple(key.split()))
        for version, data in enumerate(datas, 1)
    ]


def _registry(name: str, key: str, *datas: DataClass) -> list[EventClass]:
    return _versions(name, (REGISTRY,), key, *datas)


def _session(name: str, data: DataClass) -> list[EventClass]:
    return _versions(name, (SESSIONS,), "session_id", data)


def _device(name: str, *datas: DataClass) -> list[EventClass]:
    return _versions(name, (TELEMETRY,), "device_id", *datas)


def _outcome(name: str, *datas: DataClass) -> list[EventClass]:
    return _versions(name, (OUTCOMES,), "patient_key", *datas)


EVENTS: dict[str, EventClass] = {
    event_class.type: event_class
    for versions in (
        _registry("clinic.registered", "", registry.ClinicRegistered),
        _registry("operator.registered", "operator_id", registry.OperatorRegistered),
        _registry("device.registered", "device_id", registry.DeviceRegistered),
        _registry(
            "protocol.published",
            "protocol_id version",
            registry.ProtocolPublished,
            registry.ProtocolPublishedV2,
        ),
        _session("session.booked", sessions.SessionBooked),
        _session("session.cancelled", sessions.SessionCancelled),
        _session("session.missed", sessions.SessionMissed),
        _session("session.screened", sessions.SessionScreened),
        _session("session.started", sessions.SessionStarted),
        _session("numbing.applied", sessions.NumbingApplied),
        _session("pass.completed", sessions.PassCompleted),
        _session("session.completed", sessions.SessionCompleted),
        _session("session.aborted", sessions.SessionAborted),
        _device("telemetry.frame", telemetry.TelemetryFrame, telemetry.TelemetryFrameV2),
        _device("device.faulted", telemetry.DeviceFaulted),
        _device("device.calibrated", telemetry.DeviceCalibrated),
        _device("device.serviced", telemetry.DeviceServiced),
        _device("device.firmware-updated", telemetry.DeviceFirmwareUpdated),
        _device("cartridge.opened", telemetry.CartridgeOpened),
        _device("cartridge.discarded", telemetry.CartridgeDiscarded),
        _outcome("adverse-event.reported", outcomes.AdverseEventReported, outcomes.AdverseEventReportedV2),
        _outcome("adverse-event.updated", outcomes.AdverseEventUpdated),
        _outcome("adverse-event.resolved", outcomes.AdverseEventResolved),
        _outcome("expected-reaction.observed", outcomes.ExpectedReactionObserved),
        _outcome("assessment.recorded", outcomes.AssessmentRecorded, outcomes.AssessmentRecordedV2),
        _outcome("follow-up.completed", outcomes.FollowUpCompleted),
        _outcome("aftercare.breached", outcomes.AftercareBreached),
        _versions("event.voided", (SESSIONS, TELEMETRY, OUTCOMES), "voided_id", EventVoided),
    )
    for event_class in versions
}
"""Every version ever released, oldest first. A type that needs more than optional additions is a new type."""

NEWEST: dict[str, EventClass] = {event_class.name: event_class for event_class in EVENTS.values()}
"""The newest version of each event, by the event's name."""


_OLD = {type_: NEWEST[old.name] for type_, old in EVENTS.items() if NEWEST[old.name] is not old}


def lift(event: Event[D]) -> Event[Any]:
    """The same event in the newest version of its type; what its own version could not say is absent."""
    newest = _OLD.get(event.type)
    if newest is None:
        return event
    lifted: Event[Any] = structs.replace(
        event, type=newest.type, data=newest.data(**structs.asdict(event.data))
    )
    return lifted


def clinic_of(source: str) -> str:
    """The clinic that a valid source names: the second segment of `/clinics/<id>[/…]`."""
    return source.split("/", 3)[2]


def partition_key(event: Event[Any]) -> str:
    """The Kafka key: order holds within it, and compaction on the registry. Begins with the clinic."""
    event_class = EVENTS[event.type]
    subject = "/".join(str(getattr(event.data, field)) for field in event_class.key_fields) or _SOLE
    return event_class.key_of(clinic_of(event.source), subject)
