"""Strict decoding and canonical encoding of events.

Strict means: RFC 8259 JSON in UTF-8, no duplicate keys, no NaN, no number out of range, no coercion, no
unknown field, times with an offset and inside the clock's bounds, key and topic as the contract says.
Whatever fails raises `ContractViolation` with a rule, a JSON path and no value of the event.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from producers.contracts.binary import Headers, structured
from producers.contracts.errors import ContractViolation
from producers.contracts.events import EVENTS, Data, Event, EventVoided, clinic_of, lift, partition_key
from producers.contracts.limits import EARLIEST, MAX_CLOCK_AHEAD, MAX_EVENT_BYTES, refuse_instant_outside
from producers.contracts.routes import route

__all__ = ["CODEC_VERSION", "EARLIEST", "MAX_CLOCK_AHEAD", "MAX_EVENT_BYTES", "decode", "encode", "type_of"]

CODEC_VERSION = "2"
"""Version of the rules of this package; stored with every quarantined event."""


class _Head(msgspec.Struct):
    type: str


_head = msgspec.json.Decoder(_Head)
_decoders = {name: msgspec.json.Decoder(Event[e.data]) for name, e in EVENTS.items()}  # type: ignore[name-defined]
_encoder = msgspec.json.Encoder()


def _named(info: Any) -> Iterator[str]:
    """The names of all fields of a type, and of the types within it."""
    for field in getattr(info, "fields", ()):
        yield field.name
        yield from _named(field.type)
    for inner in (*getattr(info, "types", ()), getattr(info, "item_type", None), getattr(info, "type", None)):
        if inner is not None:
            yield from _named(inner)


def _instants_of(data: type[Data]) -> tuple[tuple[str, bool], ...]:
    """The moments among a type's fields, each with whether it is a plan."""
    fields = msgspec.inspect.type_info(data).fields  # type: ignore[attr-defined]
    return tuple((f.name, "planned" in repr(f.type)) for f in fields if f.name.endswith("_at"))


_field_names = {name for e in EVENTS.values() for name in _named(msgspec.inspect.type_info(Event[e.data]))}  # type: ignore[name-defined]
_instants = {e.data: _instants_of(e.data) for e in EVENTS.values()}


def encode(event: Event[Any]) -> bytes:
    """The event's one canonical form: contract's field order, no white space, defaults left out."""
    return _encoder.encode(event)


def type_of(canonical: bytes) -> str:
    """The type, version included, that a canonical event names."""
    return _head.decode(canonical).type


def decode(
    value: bytes | None,
    *,
    topic: str | None = None,
    key: bytes | None = None,
    headers: Headers | None = None,
    now: dt.datetime,
) -> tuple[Event[Any], bytes]:
    """Decode one event: lifted to its type's newest version, and its canonical bytes in the version sent.

    The canonical bytes are the event's identity: they stay the same when a newer version of its type is
    released, so an event that comes again is known again. As versions only add, they hold every fact that
    the lifted event holds.

    `now` is the moment to hold the event's clock against: the broker's receive time when landing.
    With `topic` given, the event must belong there and `key` must be its partition key.
    With `headers` given, an event in CloudEvents' binary mode is understood as well.
    Raises ContractViolation.
    """
    if value is None:
        raise ContractViolation("value.missing", "$", "the event has no value")
    _refuse_large(value)
    document = structured(value, headers)
    _refuse_large(document)
    event = _typed(document)
    canonical = encode(event)
    if canonical != document:  # not written by us: look for what the typed decoder lets pass
        _refuse_duplicate_keys(document)
    _check_clock(event, now)
    _check_self_reference(event)
    event.data.check(now)
    if topic is not None:
        _check_route(event, topic, key)
    return lift(event), canonical


def _refuse_large(value: bytes) -> None:
    if len(value) > MAX_EVENT_BYTES:
        raise ContractViolation("size.exceeded", "$", f"larger than {MAX_EVENT_BYTES} bytes")


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
    refuse_instant_outside(event.time, "$.time", now, planned=False)
    for name, planned in _instants[type(event.data)]:
        instant = getattr(event.data, name)
        if instant is not None:
            refuse_instant_outside(instant, f"$.data.{name}", now, planned=planned)


def _check_self_reference(event: Event[Any]) -> None:
    if event.supersedes == event.id:
        raise ContractViolation("supersedes.self", "$.supersedes", "an event cannot replace itself")
    if isinstance(event.data, EventVoided) and event.data.voided_id == event.id:
        raise ContractViolation("voids.self", "$.data.voided_id", "an event cannot void itself")


def _check_route(event: Event[Any], topic: str, key: bytes | None) -> None:
    shared, owner = route(topic)
    if shared not in {t.name for t in EVENTS[event.type].topics}:
        raise ContractViolation("topic.wrong", "$.type", f"this type does not belong on {topic}")
    if owner is not None and clinic_of(event.source) != owner:
        raise ContractViolation("clinic.mismatch", "$.source", "the topic belongs to another clinic")
    if key is None or key != partition_key(event).encode():
        raise ContractViolation("key.mismatch", "$", "the Kafka key is not the event's partition key")
