"""Strict decoding and canonical encoding of events.

Strict means: RFC 8259 JSON in UTF-8, no duplicate keys, no NaN, no number out of range, no coercion, no
unknown field, times with an offset and inside the clock's bounds, key and topic as the contract says.
Whatever fails raises `ContractViolation` with a rule, a JSON path and no value of the event.
"""

import datetime as dt
import json
import re
from typing import Any

import msgspec

from producers.contracts.errors import ContractViolation
from producers.contracts.events import (
    EVENTS,
    AdverseEventReported,
    AssessmentRecorded,
    Event,
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
    _check_fields(event.data)
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
    text, _, path = message.partition(" - at `")
    path = path.rstrip("`") or "$"
    for pattern, rule, detail in _RULES:
        if match := pattern.match(text):
            return ContractViolation(rule, path, detail.format(*match.groups()))
    return ContractViolation("field.invalid", path, "does not satisfy the contract")


def _refuse_duplicate_keys(value: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ContractViolation("json.duplicate-key", "$", "an object has the same key twice")
        return found

    json.loads(value, object_pairs_hook=unique)


def _check_clock(event: Event[Any], now: dt.datetime) -> None:
    if event.time > now + MAX_CLOCK_AHEAD:
        raise ContractViolation("clock.future", "$.time", "later than it was received, by more than 1 h")
    if event.time < EARLIEST:
        raise ContractViolation("clock.past", "$.time", "before the year 2000")


def _check_fields(data: Any) -> None:
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
    elif isinstance(data, AdverseEventReported) and data.became_aware_at < data.onset_at:
        raise ContractViolation("aware.before-onset", "$.data.became_aware_at", "before onset_at")


def _check_route(event: Event[Any], topic: str, key: bytes | None) -> None:
    if topic not in {t.name for t in EVENTS[event.type].topics}:
        raise ContractViolation("topic.wrong", "$.type", f"this type does not belong on {topic}")
    if key is None or key != partition_key(event).encode():
        raise ContractViolation("key.mismatch", "$", "the Kafka key is not the event's partition key")
