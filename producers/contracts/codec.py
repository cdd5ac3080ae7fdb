"""Strict decoding and canonical encoding of events.

Strict means: RFC 8259 JSON in UTF-8, no duplicate keys, no NaN, no number out of range, no coercion, no
unknown field, times with an offset and inside the clock's bounds, key and topic as the contract says.
Whatever fails raises `ContractViolation` with a rule, a JSON path and no value of the event.
"""

import datetime as dt
import functools
import json
import re
import zoneinfo
from typing import Any

import msgspec

from producers.contracts.errors import ContractViolation
from producers.contracts.events import (
    EVENTS,
    AdverseEventReported,
    AssessmentRecorded,
    ClinicRegistered,
    Data,
    DeviceRegistered,
    Event,
    EventVoided,
    SessionCompleted,
    TelemetryFrame,
    partition_key,
)

CODEC_VERSION = "1"
"""Version of the rules in this file; stored with every quarantined event."""

MAX_EVENT_BYTES = 64 * 1024
"""Largest event accepted; a 100-sample frame is about 3 KiB [A]."""
EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Nothing in this field happened before automated pens existed [A]."""
MAX_CLOCK_AHEAD = dt.timedelta(hours=1)
"""How far a clinic's clock may run ahead of the broker's before its event is refused [A]."""
EARLIEST_DATE = dt.date(1900, 1, 1)
"""No clinic of today opened earlier [A]."""
MAX_DATE_AHEAD = dt.timedelta(days=366)
"""How far ahead a clinic may announce its opening, or a device its first day [A]."""

SCALE_RANGES: dict[str, tuple[float, float]] = {
    "gais": (1, 5),
    "goodman-baron": (1, 4),
    "satisfaction": (0, 100),
    "vas": (0, 10),
}


class _Head(msgspec.Struct):
    type: str


_head = msgspec.json.Decoder(_Head)
_decoders = {name: msgspec.json.Decoder(Event[e.data]) for name, e in EVENTS.items()}  # type: ignore[name-defined]
_encoder = msgspec.json.Encoder()
_structs: list[type[msgspec.Struct]] = [Event, *(e.data for e in EVENTS.values())]
_field_names = {name for struct in _structs for name in struct.__struct_fields__}
_instants: dict[type[Data], tuple[str, ...]] = {
    e.data: tuple(f.name for f in msgspec.structs.fields(e.data) if f.name.endswith("_at"))
    for e in EVENTS.values()
}


def encode(event: Event[Any]) -> bytes:
    """The event's one canonical form: contract's field order, no white space, defaults left out."""
    return _encoder.encode(event)


def decode(
    value: bytes | None, *, topic: str | None = None, key: bytes | None = None, now: dt.datetime
) -> tuple[Event[Any], bytes]:
    """Decode one event and give it with its canonical bytes.

    `now` is the moment to hold the event's clock against: the broker's receive time when landing.
    With `topic` given, the event must belong there and `key` must be its partition key.
    Raises ContractViolation.
    """
    if value is None:
        raise ContractViolation("value.missing", "$", "the event has no value")
    if len(value) > MAX_EVENT_BYTES:
        raise ContractViolation("size.exceeded", "$", f"larger than {MAX_EVENT_BYTES} bytes")
    event = _typed(value)
    canonical = encode(event)
    if canonical != value:  # not written by us: look for what the typed decoder lets pass
        _refuse_duplicate_keys(value)
    _check_clock(event, now)
    _check_self_reference(event)
    _check_fields(event.data, now)
    if topic is not None:
        _check_route(event, topic, key)
    return event, canonical


def _typed(value: bytes) -> Event[Any]:
    try:
        name = _head.decode(value).type
        decoder = _decoders.get(name)
        if decoder is None:
            raise ContractViolation("type.unknown", "$.type", "no such event type or version")
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        raise _violation(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractViolation("json.invalid", "$", re.sub(r"'.*?'", "…", str(error))) from None
    except RecursionError:
        raise ContractViolation("json.invalid", "$", "nested too deeply") from None


_RULES = (
    (re.compile(r"^Object contains unknown field"), "field.unknown", "unknown field"),
    (
        re.compile(r"^Object missing required field `(\w+)`"),
        "field.missing",
        "required field `{}` is missing",
    ),
    (re.compile(r"^Invalid enum value"), "field.invalid", "not one of the allowed values"),
    (re.compile(r"^Expected `str` matching regex '(.*)'"), "field.invalid", "must match {}"),
    (re.compile(r"^(Expected .*)"), "field.invalid", "{}"),
    (re.compile(r"^Number out of range"), "field.invalid", "number out of range"),
    (re.compile(r"^(Invalid RFC3339.*)"), "field.invalid", "{}"),
)


def _violation(message: str) -> ContractViolation:
    """Translate the typed decoder's message, keeping the path and dropping every value."""
    text, _, tail = message.rpartition(" - at `")
    path = tail.removesuffix("`") if text else "$"
    text = text or message
    if not _is_contract_path(path):
        path = "$"
    for pattern, rule, detail in _RULES:
        if match := pattern.match(text):
            return ContractViolation(rule, path, detail.format(*match.groups()))
    return ContractViolation("field.invalid", path, "does not satisfy the contract")


def _is_contract_path(path: str) -> bool:
    """Whether the path holds nothing but our own field names: an unknown key may be somebody's name."""
    steps = re.fullmatch(r"\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)", path)
    return steps is not None and set(re.findall(r"\.(\w+)", steps[1])) <= _field_names


def _refuse_duplicate_keys(value: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ContractViolation("json.duplicate-key", "$", "an object has the same key twice")
        return found

    try:
        json.loads(value, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise ContractViolation("json.invalid", "$", "not strict JSON") from None


def _check_clock(event: Event[Any], now: dt.datetime) -> None:
    """Nothing stated as having happened lies outside the clock's bounds, in the envelope or the data."""
    latest = now + MAX_CLOCK_AHEAD
    _check_instant(event.time, "$.time", latest)
    for name in _instants[type(event.data)]:
        _check_instant(getattr(event.data, name), f"$.data.{name}", latest)


def _check_instant(instant: dt.datetime, path: str, latest: dt.datetime) -> None:
    if instant > latest:
        raise ContractViolation("clock.future", path, "later than it was received, by more than 1 h")
    if instant < EARLIEST:
        raise ContractViolation("clock.past", path, "before the year 2000")


def _check_self_reference(event: Event[Any]) -> None:
    if event.supersedes == event.id:
        raise ContractViolation("supersedes.self", "$.supersedes", "an event cannot replace itself")
    if isinstance(event.data, EventVoided) and event.data.voided_id == event.id:
        raise ContractViolation("voids.self", "$.data.voided_id", "an event cannot void itself")


def _check_fields(data: Data, now: dt.datetime) -> None:
    """Rules across the fields of one event; those across events never block landing."""
    if isinstance(data, TelemetryFrame):
        if not len(data.depth_mm) == len(data.stroke_rate_per_min) == len(data.motor_current_ma):
            raise ContractViolation("frame.ragged", "$.data", "channels differ in their number of samples")
    elif isinstance(data, SessionCompleted):
        if data.completed_at < data.started_at:
            raise ContractViolation("session.reversed", "$.data.completed_at", "before started_at")
    elif isinstance(data, AssessmentRecorded):
        low, high = SCALE_RANGES[data.scale]
        if not low <= data.score <= high:
            raise ContractViolation("score.range", "$.data.score", f"{data.scale} runs from {low} to {high}")
    elif isinstance(data, AdverseEventReported):
        if data.became_aware_at < data.onset_at:
            raise ContractViolation("aware.before-onset", "$.data.became_aware_at", "before onset_at")
    elif isinstance(data, ClinicRegistered):
        _check_date(data.opened_on, "$.data.opened_on", now)
        if data.time_zone not in _time_zones():
            raise ContractViolation("time-zone.unknown", "$.data.time_zone", "not an IANA time zone")
    elif isinstance(data, DeviceRegistered):
        _check_date(data.in_service_on, "$.data.in_service_on", now)


def _check_date(date: dt.date, path: str, now: dt.datetime) -> None:
    if not EARLIEST_DATE <= date <= now.date() + MAX_DATE_AHEAD:
        raise ContractViolation("date.range", path, "before 1900, or more than a year ahead")


@functools.cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _check_route(event: Event[Any], topic: str, key: bytes | None) -> None:
    if topic not in {t.name for t in EVENTS[event.type].topics}:
        raise ContractViolation("topic.wrong", "$.type", f"this type does not belong on {topic}")
    if key is None or key != partition_key(event).encode():
        raise ContractViolation("key.mismatch", "$", "the Kafka key is not the event's partition key")
