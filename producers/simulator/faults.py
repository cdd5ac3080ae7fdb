"""Planted bad events: one of each way in which an event can be wrong, in turn, spread over time and topics.

Each is refused by the codec under the rule named here, whenever it is received.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from producers.contracts.events import OUTCOMES, REGISTRY, SESSIONS, TELEMETRY
from producers.simulator.items import Item, Malformed, instant
from producers.simulator.world import Clinic, World, rng_for

NUMBER = 1_000_000
"""Place of malformed events among the events of the same second: after every clinic's."""

Bytes = Callable[[dict[str, Any]], bytes]
_PATIENT = "0" * 32


@dataclass(frozen=True)
class Fault:
    """A way to be wrong: how to spoil a good event, and the rule that refuses it."""

    kind: str
    rule: str
    base: str
    spoil: Callable[[dict[str, Any]], bytes | None]
    topic: str | None = None
    """Where it is sent instead of where the event belongs."""
    key: str | None = None
    """Sent instead of the event's key."""


def _json(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _with(**changes: Any) -> Bytes:
    return lambda event: _json({**event, **changes})


def _with_data(**changes: Any) -> Bytes:
    return lambda event: _json({**event, "data": {**event["data"], **changes}})


def _replaced(old: bytes, new: bytes) -> Bytes:
    return lambda event: _json(event).replace(old, new, 1)


def _without(name: str) -> Bytes:
    return lambda event: _json(
        {**event, "data": {key: value for key, value in event["data"].items() if key != name}}
    )


def _naive(event: dict[str, Any]) -> bytes:
    return _json({**event, "time": event["time"].removesuffix("Z")})


def _itself(event: dict[str, Any]) -> bytes:
    return _json({**event, "supersedes": event["id"]})


FAULTS = (
    Fault("truncated", "json.invalid", "session", lambda event: _json(event)[:-20]),
    Fault("nan", "json.invalid", "calibration", _with_data(depth_error_mm=float("nan"))),
    Fault(
        "duplicate-key",
        "json.duplicate-key",
        "follow-up",
        _replaced(b'"data":{', b'"data":{"channel":"app",'),
    ),
    Fault("unknown-field", "field.unknown", "follow-up", _with_data(remark="called twice")),
    Fault("unknown-version", "type.unknown", "session", _with(type="session.completed.v99")),
    Fault("unknown-value", "field.invalid", "operator", _with_data(role="astronaut")),
    Fault("future-clock", "clock.future", "calibration", _with(time="2099-01-01T00:00:00Z")),
    Fault("key-mismatch", "key.mismatch", "follow-up", _with(), key="somebody-else"),
    Fault("naive-time", "field.invalid", "session", _naive),
    Fault("no-value", "value.missing", "session", lambda event: None),
    Fault("out-of-range", "field.invalid", "calibration", _with_data(depth_error_mm=25.0)),
    Fault("missing-field", "field.missing", "follow-up", _without("session_id")),
    Fault("text-for-number", "field.invalid", "calibration", _with_data(depth_error_mm="0.01")),
    Fault("huge-number", "field.invalid", "calibration", _replaced(b":0.01", b":1e999")),
    Fault("past-clock", "clock.past", "calibration", _with(time="1970-01-01T00:00:00Z")),
    Fault("not-utf8", "json.invalid", "operator", _replaced(b'"nurse"', b'"n\xfcrse"')),
    Fault("lone-surrogate", "json.invalid", "operator", _replaced(b'"nurse"', rb'"\ud800"')),
    Fault("byte-order-mark", "json.invalid", "session", lambda event: b"\xef\xbb\xbf" + _json(event)),
    Fault("two-documents", "json.invalid", "follow-up", lambda event: _json(event) + _json(event)),
    Fault("not-an-object", "field.invalid", "follow-up", lambda event: b"[" + _json(event) + b"]"),
    Fault("deep-nesting", "json.invalid", "session", _replaced(b'"face"', b"[" * 30_000)),
    Fault("too-large", "size.exceeded", "session", lambda event: _json(event) + b" " * 70_000),
    Fault("nothing-in-it", "json.invalid", "session", lambda event: b""),
    Fault("reversed", "session.reversed", "session", _with_data(completed_at="2001-01-01T00:00:00Z")),
    Fault("replaces-itself", "supersedes.self", "follow-up", _itself),
    Fault("wrong-topic", "topic.wrong", "follow-up", _with(), topic=SESSIONS.name),
)
"""In the order in which they are planted."""

_BASES: dict[str, tuple[str, str]] = {
    "session": (SESSIONS.name, "session.completed.v1"),
    "calibration": (TELEMETRY.name, "device.calibrated.v1"),
    "follow-up": (OUTCOMES.name, "follow-up.completed.v1"),
    "operator": (REGISTRY.name, "operator.registered.v1"),
}


UNKNOWN_VERSIONS = tuple(
    Fault("unknown-version", "type.unknown", base, _with(type=f"{type_[:-1]}99"))
    for base, (_, type_) in _BASES.items()
)


Mine = Callable[[int], bool]


def malformed(world: World, *, count: int, start: int, end: int, mine: Mine) -> Iterator[Item]:
    """That many malformed events at even, jittered intervals of [start, end), seconds since 1970.

    Those of clinics whose number is not `mine` are left out.
    """
    return _planted(world, FAULTS, "bad", range(count), (start, end), mine)


def of_unknown_versions(world: World, *, count: int, start: int, end: int, mine: Mine) -> Iterator[Item]:
    """That many events of versions that nobody knows, on every topic in turn; likewise."""
    return _planted(world, UNKNOWN_VERSIONS, "unknown", range(count), (start, end), mine)


def _planted(
    world: World, faults: Sequence[Fault], prefix: str, numbers: range, span: tuple[int, int], mine: Mine
) -> Iterator[Item]:
    rng = rng_for(world.seed, "faults", prefix)
    start, end = span
    for index in numbers:
        fault, clinic = faults[index % len(faults)], world.clinics[index % len(world.clinics)]
        second = start + int((index + rng.random()) * (end - start) / len(numbers))
        if not mine(clinic.number):
            continue
        event_id = f"{prefix}-{index + 1:05d}"
        topic, type_ = _BASES[fault.base]
        key, data = _good(fault.base, clinic, event_id, second)
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": clinic.source,
            "type": type_,
            "time": _zulu(second),
            "data": data,
        }
        made = Malformed(fault.kind, f"{clinic.clinic_id}/{fault.key or key}".encode(), fault.spoil(event))
        yield second, NUMBER, event_id, fault.topic or topic, made


def _zulu(second: int) -> str:
    return instant(second).isoformat().replace("+00:00", "Z")


def _good(base: str, clinic: Clinic, event_id: str, second: int) -> tuple[str, dict[str, Any]]:
    """Key within the clinic, and data that the contract would accept."""
    device_id = clinic.devices[0].device_id
    if base == "calibration":
        return device_id, {"device_id": device_id, "depth_error_mm": 0.01}
    if base == "operator":
        return f"operator_registered/{event_id}", {"operator_id": event_id, "role": "nurse"}
    if base == "follow-up":
        return _PATIENT, {
            "follow_up_id": event_id,
            "session_id": event_id,
            "patient_key": _PATIENT,
            "adverse_event_found": False,
            "channel": "phone",
        }
    return event_id, {
        "session_id": event_id,
        "patient_key": _PATIENT,
        "operator_id": clinic.operators[0].operator_id,
        "device_id": device_id,
        "protocol_id": "fine-line",
        "protocol_version": 1,
        "cartridge_lot": "L00-0000",
        "cartridge_serial": event_id,
        "indication": "wrinkles",
        "area": "face",
        "skin_type": 3,
        "age_band": "40-49",
        "phase": "series",
        "session_number": 1,
        "started_at": _zulu(second - 1500),
        "completed_at": _zulu(second),
        "depth_mm": 1.0,
        "stroke_rate_per_min": 8000.0,
        "passes": 4,
        "contraindication_overridden": False,
    }
