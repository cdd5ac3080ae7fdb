"""One example of every event, with every field of it: in the schemas, AsyncAPI and `contracts show`.

A value is found by its field's name; where there is none, the first of the allowed words is taken.
"""

import datetime as dt
from typing import Any

import msgspec

from producers.contracts.events import EVENTS, Event, ProtocolStep

_ZONE = dt.timezone(dt.timedelta(hours=1))


def _at(day: int, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2026, 3, day, hour, minute, tzinfo=_ZONE)


NOW = _at(21, 12)
"""A moment at which every example is accepted."""

_SAMPLES: dict[str, Any] = {
    # identifiers
    "session_id": "s-1042", "patient_key": "5f0c3a9be1d24c7f8a6b0d9e2c4f1a37", "operator_id": "op-7",
    "device_id": "pen-3", "protocol_id": "scar-standard", "cartridge_lot": "L2611",
    "cartridge_serial": "C-88201",
    "adverse_event_id": "ae-31", "reaction_id": "r-12", "assessment_id": "as-5", "follow_up_id": "fu-9",
    "voided_id": "completed-1041", "model": "derma-pen-4", "serial": "DP4-00713", "udi_di": "04012345678901",
    "firmware": "2.4.1", "previous_firmware": "2.3.0", "vendor_code": "E17", "serum_lot": "HA-552",
    "lot": "NB-9", "imdrf_code": "E1906", "meddra_code": "10015150",
    # a clinic
    "display_name": "North Skin Clinic", "time_zone": "Europe/Oslo", "locale": "nb-NO",
    "opened_on": dt.date(2019, 4, 1), "in_service_on": dt.date(2025, 9, 1),
    "expires_on": dt.date(2028, 6, 30),
    # settings and measurements
    "version": 2, "protocol_version": 2, "depth_mm": 1.5, "stroke_rate_per_min": 7000.0, "passes": 4,
    "sessions_planned": 3, "interval_days": 35, "depth_limit_mm": 2.0, "stroke_rate_limit_per_min": 9000.0,
    "passes_limit": 6, "skin_type_limit": 5, "skin_type": 3, "session_number": 2, "pass_number": 1,
    "duration_min": 60, "duration_s": 420, "strength_percent": 4.0, "contact_min": 20, "needle_count": 12,
    "depth_error_mm": 0.04, "sequence": 4711, "sample_interval_ms": 100, "battery_percent": 81.5,
    "temperature_celsius": 31.2, "scale": "gais", "score": 2.0, "grade": 3, "serious": True,
    "term": "infection", "seriousness_criterion": "intervention-required", "relatedness": "probable",
    "direction": "lower-is-better",
    # moments
    "scheduled_at": _at(2, 10), "started_at": _at(2, 10, 25), "completed_at": _at(2, 10, 55),
    "onset_at": _at(4, 18), "became_aware_at": _at(5, 9), "resolved_at": _at(16, 9),
}  # fmt: skip
_FRAME = {
    "depth_mm": [1.48, 1.51, 1.5],
    "stroke_rate_per_min": [6950.0, 6982.5, 7010.0],
    "motor_current_ma": [310.2, 305.0, 308.7],
}
_STEPS = [
    ProtocolStep(kind="cleanse", duration_min=5),
    ProtocolStep(kind="numbing", duration_min=20),
    ProtocolStep(kind="needling", area="face", depth_mm=1.5, stroke_rate_per_min=7000.0, passes=4),
    ProtocolStep(kind="soothing", duration_min=5),
]


def example(type_: str) -> Event[Any]:
    """The example of an event type and version; its id and source are those of a made-up clinic."""
    event_class = EVENTS[type_]
    frame = _FRAME if event_class.name == "telemetry.frame" else {}
    samples = {**_SAMPLES, "steps": _STEPS, **frame}
    fields = msgspec.inspect.type_info(event_class.data).fields  # type: ignore[attr-defined]
    data = {f.name: samples[f.name] if f.name in samples else _first(f.type) for f in fields}
    return Event(
        specversion="1.0",
        id=f"example:{type_}",
        source="/clinics/north",
        type=type_,
        time=NOW - dt.timedelta(days=1),
        data=event_class.data(**data),
    )


def _first(info: Any) -> Any:
    """The first allowed value of a field that has no sample of its own: a word, false, or an empty list."""
    match info:
        case msgspec.inspect.Metadata():
            return _first(info.type)
        case msgspec.inspect.UnionType():
            return _first(info.types[0])
        case msgspec.inspect.LiteralType():
            return min(map(str, info.values))
        case msgspec.inspect.BoolType():
            return False
        case msgspec.inspect.ListType():
            return []
    raise AssertionError(f"no sample for {info}")
