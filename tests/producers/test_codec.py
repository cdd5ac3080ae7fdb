"""The codec refuses whatever the contracts do not say, by rule and path, and never with a value."""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.contracts import (
    EVENTS,
    ContractViolation,
    Event,
    clinic_of,
    decode,
    encode,
    lift,
    partition_key,
)
from producers.contracts.codec import MAX_EVENT_BYTES
from producers.contracts.events import (
    AdverseEventReported,
    AssessmentRecorded,
    DeviceCalibrated,
    ProtocolStep,
    TelemetryFrame,
)
from producers.contracts.examples import example
from producers.contracts.rules import RULES
from tests.producers.strategies import NOW, events, good_event_of

pytestmark = pytest.mark.unit

CALIBRATED = (
    b'{"specversion":"1.0","id":"c-1","source":"/clinics/north","type":"device.calibrated.v1",'
    b'"time":"2026-10-01T08:00:00Z","data":{"device_id":"d1","depth_error_mm":0.25}}'
)
REGISTERED = (
    b'{"specversion":"1.0","id":"r-1","source":"/clinics/north","type":"clinic.registered.v1",'
    b'"time":"2026-10-01T08:00:00Z","data":{"display_name":"North","time_zone":"Europe/Oslo",'
    b'"locale":"nb-NO","opened_on":"2020-02-29"}}'
)


def refused(value: bytes | None, **route: Any) -> ContractViolation:
    with pytest.raises(ContractViolation) as caught:
        decode(value, now=NOW, **route)
    return caught.value


def calibrated(old: bytes, new: bytes) -> bytes:
    assert CALIBRATED.count(old) == 1
    return CALIBRATED.replace(old, new)


def test_a_good_event_is_given_with_its_canonical_bytes():
    """The canonical form of an event in canonical form is itself."""
    event, canonical = decode(CALIBRATED, topic="clinic.device-telemetry", key=b"north/d1", now=NOW)
    assert event.data == DeviceCalibrated(device_id="d1", depth_error_mm=0.25)
    assert canonical == CALIBRATED


def test_layout_does_not_change_the_canonical_bytes():
    """Space, the order of keys and the spelling of a number are no part of what an event says."""
    document = json.loads(CALIBRATED)
    other = json.dumps(dict(reversed(document.items())), indent=1).replace("0.25", "25e-2").encode()
    assert decode(other, now=NOW)[1] == CALIBRATED


def _number(text: bytes) -> bytes:
    return calibrated(b"0.25", text)


def _time(text: bytes) -> bytes:
    return calibrated(b"2026-10-01T08:00:00Z", text)


BOOKED = encode(example("session.booked.v1"))
"""An event with an integer: `duration_min`."""


def _minutes(text: bytes) -> bytes:
    assert BOOKED.count(b'"duration_min":60') == 1
    return BOOKED.replace(b'"duration_min":60', b'"duration_min":' + text)


POISON = [
    # what, value, rule, path
    ("NaN", _number(b"NaN"), "json.invalid", "$"),
    ("Infinity", _number(b"Infinity"), "json.invalid", "$"),
    ("1e999", _number(b"1e999"), "field.invalid", "$.data.depth_error_mm"),
    ("2**64", _number(str(2**64).encode()), "field.invalid", "$.data.depth_error_mm"),
    ("30 digits", _number(b"1" * 30), "field.invalid", "$.data.depth_error_mm"),
    ("5000 digits", _number(b"1" * 5000), "field.invalid", "$.data.depth_error_mm"),
    ("2**64 for an integer", _minutes(str(2**64).encode()), "field.invalid", "$.data.duration_min"),
    ("30 digits for an integer", _minutes(b"1" * 30), "field.invalid", "$.data.duration_min"),
    ("5000 digits for an integer", _minutes(b"1" * 5000), "field.invalid", "$.data.duration_min"),
    ("1e999 for an integer", _minutes(b"1e999"), "field.invalid", "$.data.duration_min"),
    ("a fraction for an integer", _minutes(b"60.5"), "field.invalid", "$.data.duration_min"),
    ("true for an integer", _minutes(b"true"), "field.invalid", "$.data.duration_min"),
    ("full-width digits for an integer", _minutes('"６０"'.encode()), "field.invalid", "$.data.duration_min"),
    ("minus infinity", _number(b"-Infinity"), "json.invalid", "$"),
    ("negative zero and below", _minutes(b"-0"), "field.invalid", "$.data.duration_min"),
    ("nesting 30 k", calibrated(b'"d1"', b"[" * 30_000), "json.invalid", "$"),
    ("nesting of unknown keys", b'{"a":' * 10_000, "json.invalid", "$"),
    ("nesting 100 k", b"[" * 100_000, "size.exceeded", "$"),
    ("duplicate key", calibrated(b'"id":"c-1"', b'"id":"c-1","id":"c-2"'), "json.duplicate-key", "$"),
    (
        "duplicate key, same value",
        calibrated(b'"id":"c-1"', b'"id":"c-1","id":"c-1"'),
        "json.duplicate-key",
        "$",
    ),
    (
        "duplicate key in data",
        calibrated(b'"device_id"', b'"device_id":"d2","device_id"'),
        "json.duplicate-key",
        "$",
    ),
    (
        "duplicate key by escape",
        calibrated(b'"id":"c-1"', b'"id":"c-1","\\u0069d":"c-1"'),
        "json.duplicate-key",
        "$",
    ),
    ("lone surrogate", calibrated(b'"d1"', b'"\\ud800"'), "json.invalid", "$"),
    ("NUL escaped in an identifier", calibrated(b'"d1"', b'"d\\u0000"'), "field.invalid", "$.data.device_id"),
    (
        "NUL escaped in a name",
        REGISTERED.replace(b"North", b"a\\u0000b"),
        "field.invalid",
        "$.data.display_name",
    ),
    (
        "line feed at the end of an identifier",
        calibrated(b'"d1"', b'"d1\\n"'),
        "field.invalid",
        "$.data.device_id",
    ),
    ("invalid UTF-8", calibrated(b'"d1"', b'"\xff"'), "json.invalid", "$"),
    ("invalid UTF-8 in a key", calibrated(b'"id"', b'"\xff"'), "json.invalid", "$"),
    ("overlong UTF-8", calibrated(b'"d1"', b'"\xc0\x80"'), "json.invalid", "$"),
    ("byte order mark", b"\xef\xbb\xbf" + CALIBRATED, "json.invalid", "$"),
    ("UTF-16", CALIBRATED.decode().encode("utf-16"), "json.invalid", "$"),
    ("top-level null", b"null", "field.invalid", "$"),
    ("top-level array", b"[]", "field.invalid", "$"),
    ("top-level string", b'"x"', "field.invalid", "$"),
    ("top-level true", b"true", "field.invalid", "$"),
    ("true for a number", _number(b"true"), "field.invalid", "$.data.depth_error_mm"),
    ("naive time", _time(b"2026-10-01T08:00:00"), "field.invalid", "$.time"),
    ("compact date", _time(b"20261001"), "field.invalid", "$.time"),
    ("24:00", _time(b"2026-10-01T24:00:00Z"), "field.invalid", "$.time"),
    ("leap second", _time(b"2016-12-31T23:59:60Z"), "field.invalid", "$.time"),
    ("year 1", _time(b"0001-01-01T00:00:00+14:00"), "clock.past", "$.time"),
    ("year 9999", _time(b"9999-12-31T23:59:59-14:00"), "clock.future", "$.time"),
    ("year 290000", _time(b"290000-01-01T00:00:00Z"), "field.invalid", "$.time"),
    ("infinite time", _time(b"infinity"), "field.invalid", "$.time"),
    ("number for a time", calibrated(b'"2026-10-01T08:00:00Z"', b"1790841600"), "field.invalid", "$.time"),
    ("full-width digits", _number('"１２"'.encode()), "field.invalid", "$.data.depth_error_mm"),
    ("full-width digits bare", _number("１２".encode()), "json.invalid", "$"),
    ("underscore in a number", _number(b"1_0"), "json.invalid", "$"),
    ("number as a string", _number(b'"0.25"'), "field.invalid", "$.data.depth_error_mm"),
    ("1 MB string", calibrated(b'"d1"', b'"%s"' % (b"x" * 2**20)), "size.exceeded", "$"),
    ("long string", calibrated(b'"d1"', b'"%s"' % (b"x" * 60_000)), "field.invalid", "$.data.device_id"),
    ("many keys", calibrated(b'"d1"', b'"d1"' + b',"k":1' * 9_000), "field.unknown", "$.data"),
    ("100 k keys", calibrated(b'"d1"', b'"d1"' + b',"k":1' * 100_000), "size.exceeded", "$"),
    ("what a bomb unfolds to", b"0" * 2**24, "size.exceeded", "$"),
    ("no value", None, "value.missing", "$"),
    ("empty value", b"", "json.invalid", "$"),
    ("two documents", CALIBRATED + CALIBRATED, "json.invalid", "$"),
]


@pytest.mark.parametrize(
    ("value", "rule", "path"), [row[1:] for row in POISON], ids=[row[0] for row in POISON]
)
def test_poison(value: bytes | None, rule: str, path: str):
    """Each known way to poison a JSON pipeline is refused under its rule."""
    violation = refused(value)
    assert (violation.rule, violation.path) == (rule, path)


CONTRACT = [
    ("no type", calibrated(b'"type":"device.calibrated.v1",', b""), "field.missing", "$"),
    ("unknown type", calibrated(b"device.calibrated.v1", b"device.melted.v1"), "type.unknown", "$.type"),
    ("unknown version", calibrated(b"calibrated.v1", b"calibrated.v2"), "type.unknown", "$.type"),
    ("missing field", calibrated(b'"device_id":"d1",', b""), "field.missing", "$.data"),
    ("unknown field", calibrated(b'"device_id"', b'"operator":"x","device_id"'), "field.unknown", "$.data"),
    ("unknown envelope field", calibrated(b'"id"', b'"subject":"x","id"'), "field.unknown", "$"),
    ("other specversion", calibrated(b'"1.0"', b'"0.3"'), "field.invalid", "$.specversion"),
    ("source of nobody", calibrated(b"/clinics/north", b"/devices/north"), "field.invalid", "$.source"),
    ("far ahead", _time(b"2026-11-01T13:00:01Z"), "clock.future", "$.time"),
    ("long ago", _time(b"1999-12-31T23:59:59Z"), "clock.past", "$.time"),
    (
        "supersedes itself",
        calibrated(b'"data"', b'"supersedes":"c-1","data"'),
        "supersedes.self",
        "$.supersedes",
    ),
    (
        "zone of nowhere",
        REGISTERED.replace(b"Europe/Oslo", b"Europe/Atlantis"),
        "time-zone.unknown",
        "$.data.time_zone",
    ),
    (
        "opened too long ago",
        REGISTERED.replace(b"2020-02-29", b"1812-02-29"),
        "date.range",
        "$.data.opened_on",
    ),
    ("not a day", REGISTERED.replace(b"2020-02-29", b"2021-02-29"), "field.invalid", "$.data.opened_on"),
    (
        "text direction in a name",
        REGISTERED.replace(b"North", b"a\\u202eb"),
        "field.invalid",
        "$.data.display_name",
    ),
    ("space around a name", REGISTERED.replace(b"North", b"North "), "field.invalid", "$.data.display_name"),
]


@pytest.mark.parametrize(
    ("value", "rule", "path"), [row[1:] for row in CONTRACT], ids=[row[0] for row in CONTRACT]
)
def test_contract(value: bytes, rule: str, path: str):
    """What the contracts do not allow is refused, with the path at fault."""
    violation = refused(value)
    assert (violation.rule, violation.path) == (rule, path)


def test_a_clock_may_run_ahead_by_an_hour():
    """An event is held against the time it was received, give or take an hour."""
    value = _time(b"2026-11-01T13:00:00Z")
    assert decode(value, now=NOW)[0].time == NOW + dt.timedelta(hours=1)
    assert decode(_time(b"2030-01-01T00:00:00Z"), now=dt.datetime(2030, 1, 1, tzinfo=dt.UTC))


def _event(type_: str, data: Any) -> Event[Any]:
    return Event(specversion="1.0", id="x-1", source="/clinics/north", type=type_, time=NOW, data=data)


def _reported(**changes: Any) -> Event[Any]:
    given: dict[str, Any] = {
        "adverse_event_id": "ae-1",
        "session_id": "s-1",
        "patient_key": "0" * 32,
        "term": "erythema",
        "grade": 1,
        "serious": False,
        "relatedness": "probable",
        "onset_at": NOW - dt.timedelta(days=2),
        "became_aware_at": NOW - dt.timedelta(days=1),
    }
    return _event("adverse-event.reported.v1", AdverseEventReported(**{**given, **changes}))


def _frame(depths: int, rates: int, currents: int) -> Event[Any]:
    data = TelemetryFrame(
        device_id="d1",
        sequence=0,
        sample_interval_ms=100,
        depth_mm=[1.0] * depths,
        stroke_rate_per_min=[7000.0] * rates,
        motor_current_ma=[300.0] * currents,
        battery_percent=80.0,
    )
    return _event("telemetry.frame.v1", data)


def _gais(score: float) -> Event[Any]:
    data = AssessmentRecorded(
        assessment_id="a-1",
        session_id="s-1",
        patient_key="0" * 32,
        scale="gais",
        score=score,
        rater="patient",
    )
    return _event("assessment.recorded.v1", data)


def _example(type_: str, **changed: Any) -> Event[Any]:
    event = example(type_)
    return msgspec.structs.replace(event, data=msgspec.structs.replace(event.data, **changed))


FINDS = {"contraindications": ["cold-sore"]}
ACROSS_FIELDS = [
    (
        "found but treated",
        _example("session.screened.v1", decision="treat", **FINDS),
        "screening.decision",
        "$.data.decision",
    ),
    (
        "nothing to override",
        _example("session.screened.v1", decision="treat-overriding"),
        "screening.decision",
        "$.data.decision",
    ),
    (
        "found twice",
        _example("session.screened.v1", contraindications=["eczema"] * 2),
        "list.repeated",
        "$.data.contraindications",
    ),
    (
        "part replaced twice",
        _example("device.serviced.v1", parts_replaced=["motor"] * 2),
        "list.repeated",
        "$.data.parts_replaced",
    ),
    (
        "same firmware",
        _example("device.firmware-updated.v1", previous_firmware="2.4.1"),
        "firmware.unchanged",
        "$.data.firmware",
    ),
    (
        "wrong check digit",
        _example("cartridge.opened.v1", udi_di="04012345678902"),
        "udi.check-digit",
        "$.data.udi_di",
    ),
    (
        "expires in 2060",
        _example("cartridge.opened.v1", expires_on=dt.date(2060, 1, 1)),
        "date.range",
        "$.data.expires_on",
    ),
    (
        "above its own limit",
        _example("protocol.published.v2", depth_mm=2.5),
        "limit.exceeded",
        "$.data.depth_mm",
    ),
    (
        "a step above the limit",
        _example("protocol.published.v2", steps=[ProtocolStep(kind="needling", passes=7)]),
        "limit.exceeded",
        "$.data.steps[0].passes",
    ),
    (
        "criterion but not serious",
        _example("adverse-event.reported.v2", serious=False),
        "seriousness.contradiction",
        "$.data.seriousness_criterion",
    ),
    (
        "criterion in an update",
        _example("adverse-event.updated.v1", serious=False),
        "seriousness.contradiction",
        "$.data.seriousness_criterion",
    ),
    (
        "GAIS the other way round",
        _example("assessment.recorded.v2", direction="higher-is-better"),
        "score.direction",
        "$.data.direction",
    ),
    (
        "gone before it came",
        _example("expected-reaction.observed.v1", resolved_at=NOW - dt.timedelta(days=900)),
        "reaction.reversed",
        "$.data.resolved_at",
    ),
    (
        "completed before started",
        _example("session.completed.v1", completed_at=NOW - dt.timedelta(days=900)),
        "session.reversed",
        "$.data.completed_at",
    ),
    (
        "booked for 2031",
        _example("session.booked.v1", scheduled_at=dt.datetime(2031, 1, 1, tzinfo=dt.UTC)),
        "clock.future",
        "$.data.scheduled_at",
    ),
    (
        "missed tomorrow",
        _example("session.missed.v1", scheduled_at=NOW + dt.timedelta(days=1)),
        "clock.future",
        "$.data.scheduled_at",
    ),
    (
        "voids itself",
        _example("event.voided.v1", voided_id="example:event.voided.v1"),
        "voids.self",
        "$.data.voided_id",
    ),
    ("ragged frame", _frame(10, 10, 9), "frame.ragged", "$.data"),
    ("score off its scale", _gais(6.0), "score.range", "$.data.score"),
    ("aware before onset", _reported(onset_at=NOW), "aware.before-onset", "$.data.became_aware_at"),
    (
        "onset in year 1",
        _reported(onset_at=dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=14)))),
        "clock.past",
        "$.data.onset_at",
    ),
    (
        "aware in year 9999",
        _reported(became_aware_at=dt.datetime(9999, 12, 31, tzinfo=dt.UTC)),
        "clock.future",
        "$.data.became_aware_at",
    ),
]


@pytest.mark.parametrize(
    ("event", "rule", "path"), [row[1:] for row in ACROSS_FIELDS], ids=[row[0] for row in ACROSS_FIELDS]
)
def test_fields_that_contradict_each_other(event: Event[Any], rule: str, path: str):
    """Fields that are each well formed may still make no sense together, or in time."""
    violation = refused(encode(event))
    assert (violation.rule, violation.path) == (rule, path)


def test_a_booking_may_lie_ahead():
    """What is planned is not held against the clock like what happened."""
    booked = _example("session.booked.v1", scheduled_at=NOW + dt.timedelta(days=90))
    assert decode(encode(booked), now=NOW)[0] == booked


@pytest.mark.parametrize("score", [1.0, 5.0])
def test_the_ends_of_a_scale_belong_to_it(score: float):
    """GAIS runs from 1 to 5, both included."""
    assert decode(encode(_gais(score)), now=NOW)[0].data.score == score


def test_an_event_belongs_on_its_topic():
    """A type on a topic of another kind is refused."""
    violation = refused(CALIBRATED, topic="clinic.outcomes", key=b"north/d1")
    assert violation.rule == "topic.wrong"


@pytest.mark.parametrize("key", [None, b"", b"north/d2", b"south/d1", b"d1"])
def test_the_key_must_be_the_partition_key(key: bytes | None):
    """Order holds only among events of one key, so a wrong key is refused."""
    assert refused(CALIBRATED, topic="clinic.device-telemetry", key=key).rule == "key.mismatch"


@pytest.mark.parametrize("where", [b'"id"', b'"device_id"'])
@pytest.mark.parametrize("name", [b"Jane Doe", b"Jane - at `$.Doe", b"Jane` - at `$.data.device_id.Doe"])
def test_the_name_of_an_unknown_field_stays_out_of_the_message(where: bytes, name: bytes):
    """Whatever somebody uses as a field's name, none of it reaches a message or a log."""
    violation = refused(calibrated(where, b'"%s":1,%s' % (name, where)))
    assert violation.rule == "field.unknown"
    assert "Jane" not in str(violation)
    assert "Doe" not in str(violation)


BETWEEN_FIELDS = {
    "frame.ragged", "session.reversed", "score.range", "score.direction", "aware.before-onset",
    "reaction.reversed", "screening.decision", "seriousness.contradiction", "limit.exceeded",
    "firmware.unchanged", "supersedes.self", "voids.self",
}  # fmt: skip


@given(events())
@settings(max_examples=300, deadline=None)
def test_round_trip(event: Event[Any]):
    """What we encode we decode to the same event and the same bytes, unless its fields contradict."""
    value = encode(event)
    topic = EVENTS[event.type].topics[0].name
    try:
        again, canonical = decode(value, topic=topic, key=partition_key(event).encode(), now=NOW)
    except ContractViolation as violation:
        if violation.rule not in BETWEEN_FIELDS:
            raise
        return
    assert again == lift(event)
    assert canonical == value
    assert partition_key(event).startswith(clinic_of(event.source) + "/")


@pytest.mark.parametrize("type_", EVENTS)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_round_trip_of_every_type(type_: str, data: st.DataObject):
    """Every type, every version: what makes sense is accepted, unchanged to the byte, under its own key."""
    event = data.draw(good_event_of(type_))
    value = encode(event)
    topic = EVENTS[type_].topics[-1].name
    again, canonical = decode(value, topic=topic, key=partition_key(event).encode(), now=NOW)
    assert (again, canonical) == (lift(event), value)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes(value: bytes):
    """Bytes that are no event are refused, and nothing else is ever raised."""
    refused(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


def outcome(value: bytes) -> tuple[Event[Any], bytes] | ContractViolation:
    try:
        return decode(value, now=NOW)
    except ContractViolation as violation:
        return violation


@given(events(), st.data())
@settings(max_examples=400, deadline=None)
def test_damaged_events(event: Event[Any], data: st.DataObject):
    """An event with a field replaced by anything, or bytes changed, is decoded or refused, never a crash."""
    document = json.loads(encode(event))
    within = data.draw(st.sampled_from([document, document["data"]]))
    within[data.draw(st.sampled_from(sorted(within)) | st.text(max_size=10))] = data.draw(JSON)
    value = bytearray(json.dumps(document).encode("utf-8", "surrogatepass"))
    for _ in range(data.draw(st.integers(0, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    found = outcome(bytes(value))
    if isinstance(found, ContractViolation):
        assert found.rule in RULES
        assert found.path.startswith("$")
        return
    again, canonical = found
    assert decode(canonical, now=NOW) == (again, canonical)
    msgspec.json.decode(canonical, strict=True)


def test_the_largest_event_is_a_frame_of_a_hundred_samples():
    """The bound on an event's size leaves room for the longest frame that the contract allows."""
    assert len(encode(_frame(100, 100, 100))) < MAX_EVENT_BYTES / 10
