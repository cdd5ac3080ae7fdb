"""CloudEvents' binary mode says the same events as structured mode, held to the same rules."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.contracts import EVENTS, ContractViolation, Event, decode, encode, partition_key
from producers.contracts.binary import structured
from producers.contracts.codec import MAX_EVENT_BYTES
from tests.producers.strategies import NOW, events

pytestmark = pytest.mark.unit

DATA = b'{"device_id":"d1","depth_error_mm":0.25}'
HEADERS = [
    ("content-type", b"application/json"),
    ("ce_specversion", b"1.0"),
    ("ce_id", b"c-1"),
    ("ce_source", b"/clinics/north"),
    ("ce_type", b"device.calibrated.v1"),
    ("ce_time", b"2026-10-01T08:00:00Z"),
]
STRUCTURED = (
    b'{"specversion":"1.0","id":"c-1","source":"/clinics/north","type":"device.calibrated.v1",'
    b'"time":"2026-10-01T08:00:00Z","data":{"device_id":"d1","depth_error_mm":0.25}}'
)


def headers(**changed: bytes | None) -> list[tuple[str, bytes | None]]:
    """The good headers with some changed (`ce_id=...`), or left out (`ce_id=None`)."""
    found = dict(HEADERS) | {name.replace("content_type", "content-type"): v for name, v in changed.items()}
    return [(name, value) for name, value in found.items() if value is not None]


def refused(value: bytes, given: Any) -> tuple[str, str]:
    with pytest.raises(ContractViolation) as caught:
        decode(value, headers=given, now=NOW)
    return caught.value.rule, caught.value.path


def test_both_modes_say_the_same_event():
    """The same canonical bytes, so an event sent once in each mode is recognised as sent twice."""
    key = b"north/d1"
    found = decode(DATA, topic="clinic.device-telemetry", key=key, headers=HEADERS, now=NOW)
    assert found == decode(STRUCTURED, topic="clinic.device-telemetry", key=key, now=NOW)
    assert found[1] == STRUCTURED


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        [("content-type", b"application/cloudevents+json")],
        [("content-type", b"Application/CloudEvents+JSON; charset=UTF-8")],
        [("content-type", b"application/json")],
        [("traceparent", b"\xff"), ("x", None)],
        [*HEADERS[1:], ("content-type", b"application/cloudevents+json")],
    ],
)
def test_structured_mode_stays_structured(given: Any):
    """Without CloudEvents' attributes, or where the content type says so, the value is the whole event."""
    assert decode(STRUCTURED, headers=given, now=NOW)[1] == STRUCTURED


@pytest.mark.parametrize(
    "given",
    [
        headers(content_type=None),
        headers(content_type=b"application/json; charset=utf-8"),
        [*HEADERS, ("traceparent", b"00-1-2-3"), ("x-retry", None)],
        list(reversed(HEADERS)),
    ],
)
def test_transports_own_headers_do_not_matter(given: Any):
    """Tracing, order and parameters of the content type are no part of the event."""
    assert decode(DATA, headers=given, now=NOW)[1] == STRUCTURED


def test_the_data_may_be_laid_out_in_any_way():
    """Space and the spelling of numbers do not matter here either."""
    assert (
        decode(b' { "depth_error_mm" : 25e-2, "device_id":"d1" }\n', headers=HEADERS, now=NOW)[1]
        == STRUCTURED
    )


def test_supersedes_is_an_attribute_too():
    """A correction can be sent in binary mode."""
    event, _ = decode(DATA, headers=headers(ce_supersedes=b"c-0"), now=NOW)
    assert event.supersedes == "c-0"


BATCH = [("content-type", b"application/cloudevents-batch+json")]
AVRO = [("content-type", b"application/cloudevents+avro")]
BAD = [
    # what, value, headers, rule, path
    ("no type", DATA, headers(ce_type=None), "field.missing", "$"),
    ("unknown type", DATA, headers(ce_type=b"device.melted.v1"), "type.unknown", "$.type"),
    ("no id", DATA, headers(ce_id=None), "field.missing", "$"),
    ("naive time", DATA, headers(ce_time=b"2026-10-01T08:00:00"), "field.invalid", "$.time"),
    ("far ahead", DATA, headers(ce_time=b"2030-01-01T00:00:00Z"), "clock.future", "$.time"),
    ("other specversion", DATA, headers(ce_specversion=b"0.3"), "field.invalid", "$.specversion"),
    ("unknown attribute", DATA, headers(ce_subject=b"Jane Doe"), "field.unknown", "$"),
    ("data as an attribute", DATA, headers(ce_data=b"{}"), "field.unknown", "$"),
    ("attribute that is not UTF-8", DATA, headers(ce_id=b"\xff"), "header.invalid", "$.id"),
    ("attribute twice", DATA, [*HEADERS, ("ce_id", b"c-1")], "header.duplicate", "$.id"),
    ("content type twice", DATA, [*HEADERS, ("Content-Type", b"a/b")], "header.duplicate", "$"),
    ("text as data", DATA, headers(content_type=b"text/plain"), "content-type.unsupported", "$"),
    ("Avro as data", DATA, headers(content_type=b"application/avro"), "content-type.unsupported", "$"),
    ("batch", STRUCTURED, BATCH, "content-type.unsupported", "$"),
    ("Avro envelope", STRUCTURED, AVRO, "content-type.unsupported", "$"),
    ("empty attribute", DATA, headers(ce_id=b""), "field.invalid", "$.id"),
    ("attribute without a value", DATA, [*headers(ce_id=None), ("ce_id", None)], "field.invalid", "$.id"),
    ("whole event as data", STRUCTURED, HEADERS, "field.unknown", "$.data"),
    ("second value", DATA + b',"supersedes":"c-0"', HEADERS, "json.invalid", "$.data"),
    ("way out of the data", DATA + b',"x":{"y":1}', HEADERS, "json.invalid", "$.data"),
    ("NaN", DATA.replace(b"0.25", b"NaN"), HEADERS, "json.invalid", "$.data"),
    ("invalid UTF-8", DATA.replace(b"d1", b"\xff"), HEADERS, "json.invalid", "$"),
    ("lone surrogate", DATA.replace(b"d1", b"\\ud800"), HEADERS, "json.invalid", "$.data"),
    ("duplicate key", DATA.replace(b"{", b'{"device_id":"d2",'), HEADERS, "json.duplicate-key", "$"),
    ("byte order mark", b"\xef\xbb\xbf" + DATA, HEADERS, "json.invalid", "$.data"),
    ("nesting", b"[" * 60_000, HEADERS, "json.invalid", "$.data"),
    ("array", b"[]", HEADERS, "field.invalid", "$.data"),
    ("null", b"null", HEADERS, "field.invalid", "$.data"),
    ("empty value", b"", HEADERS, "json.invalid", "$.data"),
    ("large data", b'{"device_id":"%s"}' % (b"x" * MAX_EVENT_BYTES), HEADERS, "size.exceeded", "$"),
    ("large attribute", DATA, headers(ce_id=b"x" * MAX_EVENT_BYTES), "size.exceeded", "$"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "given", "rule", "path"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_is_refused(value: bytes, given: Any, rule: str, path: str):
    """Each way to go wrong has its rule; where a header is at fault, the path names its attribute."""
    assert refused(value, given) == (rule, path)


def test_no_value_is_refused_in_binary_mode():
    """A tombstone is no event, whatever its headers say."""
    with pytest.raises(ContractViolation, match=r"^value.missing"):
        decode(None, headers=HEADERS, now=NOW)


def test_http_spells_the_prefix_otherwise():
    """The same function reads HTTP's `ce-` headers."""
    http = [(name.replace("ce_", "ce-"), value) for name, value in HEADERS]
    assert json.loads(structured(DATA, http, prefix="ce-")) == json.loads(STRUCTURED)


ATTRIBUTES = ("specversion", "id", "source", "type", "time", "supersedes")


@given(events())
@settings(max_examples=200, deadline=None)
def test_any_event_in_either_mode(event: Event[Any]):
    """Every event of every type: both modes accept it as the same, or refuse it for the same reason."""
    document = json.loads(encode(event))
    document.pop("datacontenttype", None)
    split = [(f"ce_{name}", document[name].encode()) for name in ATTRIBUTES if name in document]
    data = json.dumps(document["data"]).encode()
    route: dict[str, Any] = {"topic": EVENTS[event.type].topics[0].name, "key": partition_key(event).encode()}
    whole = json.dumps(document).encode()
    assert outcome(data, headers=split, **route) == outcome(whole, **route)


def outcome(value: bytes, **given: Any) -> Any:
    try:
        return decode(value, now=NOW, **given)
    except ContractViolation as violation:
        return violation.rule, violation.path


SOME_HEADER = st.tuples(
    st.sampled_from([name for name, _ in HEADERS]) | st.text(max_size=8), st.none() | st.binary(max_size=20)
)


@given(st.lists(SOME_HEADER), st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_arbitrary_headers(given_headers: list[tuple[str, bytes | None]], value: bytes):
    """Whatever headers come with whatever bytes: refused under a rule, and nothing else is ever raised."""
    rule, path = refused(value, given_headers)
    assert rule
    assert path.startswith("$")
