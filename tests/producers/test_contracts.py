"""The catalogue of events: complete, documented, and never breaking who sends or reads an older version.

`golden/<type>.json` is one event of every version ever released, written once and never changed;
`golden/released.json` holds what each version's schema says, so that a released version stays as it is.
"""

import functools
import hashlib
import itertools
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.contracts import (
    EVENTS,
    NEWEST,
    TOPICS,
    ContractViolation,
    Event,
    decode,
    encode,
    lift,
    partition_key,
)
from producers.contracts.codec import MAX_EVENT_BYTES
from producers.contracts.documents import ASYNCAPI, DIALECT, FOLDER, documents, event_schema
from producers.contracts.examples import NOW as THEN
from producers.contracts.examples import example
from producers.contracts.notes import field_notes
from producers.contracts.rules import RULES
from producers.contracts.scales import SCALES
from tests.producers.strategies import NOW, events, good_event_of
from warehouse import landing

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parent / "golden"
PAIRS = [
    (old.type, new.type)
    for old, new in itertools.pairwise(EVENTS.values())
    if old.name == new.name
]  # fmt: skip


# ── versions ────────────────────────────────────────────────────────────────────────────────────────────


def test_every_version_ever_released_is_kept_as_a_file():
    """A type may not disappear from the catalogue, and none goes without its golden file."""
    assert {file.stem for file in GOLDEN.glob("*.v*.json")} == set(EVENTS)


@pytest.mark.parametrize("type_", EVENTS)
def test_a_golden_event_still_decodes(type_: str):
    """What was valid when a version was released is valid, unchanged to the byte, and lifts to the newest."""
    value = (GOLDEN / f"{type_}.json").read_bytes().rstrip(b"\n")
    event, canonical = decode(value, now=THEN)
    assert canonical == value
    assert event.type == NEWEST[EVENTS[type_].name].type
    assert isinstance(event.data, NEWEST[EVENTS[type_].name].data)
    said = json.loads(value)["data"]
    assert {name: msgspec.to_builtins(event.data)[name] for name in said} == said


def _says(schema: Any) -> Any:
    """A schema without its words."""
    if isinstance(schema, list):
        return [_says(item) for item in schema]
    if isinstance(schema, dict):
        words = {"description", "title", "examples"}
        return {k: _says(v) for k, v in schema.items() if k not in words or not isinstance(v, str | list)}
    return schema


@pytest.mark.parametrize("type_", EVENTS)
def test_a_released_version_never_changes(type_: str):
    """A field more, a limit moved or a word added is a new version; descriptions may be bettered."""
    digest = hashlib.sha256(json.dumps(_says(event_schema(type_)), sort_keys=True).encode()).hexdigest()
    released = json.loads((GOLDEN / "released.json").read_text())
    assert released[type_] == digest, f"{type_} is released: add a version that subclasses it"


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_new_version_only_adds_optional_fields(old: str, new: str):
    """The rule that keeps old readers and old senders going, read from the published schemas."""
    assert EVENTS[new].version == EVENTS[old].version + 1
    before, after = (event_schema(type_)["properties"]["data"] for type_ in (old, new))
    assert after["required"] == before["required"]
    assert _says({name: after["properties"][name] for name in before["properties"]}) == _says(
        before["properties"]
    )
    assert EVENTS[new].topics == EVENTS[old].topics
    assert EVENTS[new].key_fields == EVENTS[old].key_fields


@pytest.mark.parametrize(("old", "new"), PAIRS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_new_version_does_not_break_an_old_reader(old: str, new: str, data: st.DataObject):
    """Who passes over fields that version 1 lacks reads a valid event of version 1 in every later one."""
    event = data.draw(good_event_of(new))
    assert accepted(encode(event))
    document = json.loads(encode(event)) | {"type": old}
    lenient = event_schema(old)["properties"]["data"] | {"additionalProperties": True}
    assert jsonschema.Draft202012Validator(lenient).is_valid(document["data"])
    known = EVENTS[old].data.__struct_fields__
    document["data"] = {k: v for k, v in document["data"].items() if k in known}
    assert decode(json.dumps(document).encode(), now=NOW)


@pytest.mark.parametrize(("old", "new"), PAIRS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_an_old_event_is_a_new_one_that_leaves_the_new_fields_unsaid(old: str, new: str, data: st.DataObject):
    """Lifting changes nothing that was said, adds nothing, and keeps the event's identity and key."""
    event = data.draw(good_event_of(old))
    lifted, canonical = decode(encode(event), now=NOW)
    assert canonical == encode(event)
    assert lifted.type == new
    assert json.loads(encode(lifted))["data"] == json.loads(encode(event))["data"]
    assert partition_key(lifted) == partition_key(event)
    assert accepted(encode(lifted))
    assert lift(lifted) == lifted


def accepted(value: bytes) -> bool:
    try:
        decode(value, now=NOW)
    except ContractViolation:
        return False
    return True


# ── what a contract may hold ────────────────────────────────────────────────────────────────────────────


def _types(info: Any) -> Any:
    """Every type inside a type, with the name of the field that it stands in."""
    for field in getattr(info, "fields", ()):
        for inner in _leaves(field.type):
            yield field.name, inner
            yield from _types(inner)


def _leaves(info: Any) -> Any:
    match info:
        case msgspec.inspect.Metadata():
            yield from _leaves(info.type)
        case msgspec.inspect.UnionType():
            for inner in info.types:
                yield from _leaves(inner)
        case msgspec.inspect.ListType():
            yield info
            yield from _leaves(info.item_type)
        case _:
            yield info


@pytest.mark.parametrize("type_", EVENTS)
def test_nothing_is_unbounded(type_: str):
    """Every number has two limits, every list an end, and no text but a clinic's own name takes spaces."""
    for name, info in _types(msgspec.inspect.type_info(EVENTS[type_].data)):
        match info:
            case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
                assert info.ge is not None or info.gt is not None, name
                assert info.le is not None, name
            case msgspec.inspect.StrType():
                assert info.pattern, name
                assert name == "display_name" or not re.match(info.pattern, "Jane Doe"), name
            case msgspec.inspect.ListType():
                assert info.max_length, name


@pytest.mark.parametrize("type_", EVENTS)
def test_every_field_has_its_meaning(type_: str):
    """A field without words is a field that two clinics fill in two ways."""
    assert all(note.meaning for note in field_notes(type_))


PERSONAL = re.compile(
    r"(^|_)(name|birth|born|dob|phone|mail|address|note|notes|comment|text|photo|initials)(_|$)"
)


def test_no_event_has_room_for_a_persons_identity():
    """No field is named for a name, a birth date, a contact or free text; `display_name` is a clinic's."""
    names = {note.name for type_ in EVENTS for note in field_notes(type_)} - {"display_name"}
    assert not {name for name in names if PERSONAL.search(name)}


UNITS = {
    "depth": "mm", "stroke_rate": "per_min", "motor_current": "ma", "battery": "percent",
    "temperature": "celsius", "sample_interval": "ms", "duration": ("min", "s"), "strength": "percent",
    "contact": "min", "depth_error": "mm", "interval": "days", "depth_limit": "mm",
    "stroke_rate_limit": "per_min",
}  # fmt: skip
COUNTS = {
    "version", "protocol_version", "sessions_planned", "session_number", "pass_number", "passes",
    "passes_limit", "sequence", "needle_count", "grade", "skin_type", "skin_type_limit", "score",
}  # fmt: skip


def test_numbers_name_their_unit():
    """A number is a count, a grade, or ends in its unit."""
    numbers = {
        name
        for type_ in EVENTS
        for name, info in _types(msgspec.inspect.type_info(EVENTS[type_].data))
        if isinstance(info, msgspec.inspect.IntType | msgspec.inspect.FloatType)
    }
    with_unit = {f"{what}_{unit}" for what, units in UNITS.items() for unit in _each(units)}
    assert numbers == COUNTS | with_unit


def _each(units: str | tuple[str, ...]) -> tuple[str, ...]:
    return (units,) if isinstance(units, str) else units


def test_every_scale_has_its_range_and_direction():
    """The scales an assessment may name are exactly those with a definition."""
    (names,) = [n.kind for n in field_notes("assessment.recorded.v1") if n.name == "scale"]
    assert set(names.removeprefix("one of ").split(", ")) == set(SCALES)
    assert all(scale.low < scale.high for scale in SCALES.values())


@functools.cache
def validator(type_: str) -> Any:
    return jsonschema.Draft202012Validator(event_schema(type_))


def test_every_rule_has_its_advice():
    """What the contracts and landing refuse is what `dermastream contracts rules` explains, and no more."""
    refusing = [file for file in FOLDER.parent.rglob("*.py") if file.stem != "rules"]
    code = "".join(file.read_text() for file in (*refusing, Path(landing.__file__)))
    raised = set(re.findall(r'"([a-z-]+\.[a-z-]+)"', code))
    assert {rule for rule in RULES if rule not in raised} == set()
    called = re.findall(r'(?:ContractViolation|RefusedLine)\(\s*(?:line, )?"([^"]+)"', code)
    assert set(called) <= set(RULES)
    assert len(set(called)) > 25


# ── published documents ─────────────────────────────────────────────────────────────────────────────────


def test_published_documents_are_current():
    """What is committed is what the types say: `python -m producers.contracts.documents` writes it."""
    assert {file.name: file.read_text() for file in FOLDER.iterdir()} == documents()


@pytest.mark.parametrize("type_", EVENTS)
def test_a_schema_is_one_and_fits_its_example(type_: str):
    """Valid JSON Schema 2020-12 that accepts its own example, an event that the decoder accepts."""
    schema = event_schema(type_)
    assert schema["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(schema)
    value = encode(example(type_))
    jsonschema.validate(json.loads(value), schema)
    assert decode(value, now=THEN)[1] == value
    assert set(json.loads(value)["data"]) == set(EVENTS[type_].data.__struct_fields__)
    assert len(value) < MAX_EVENT_BYTES


@pytest.mark.parametrize("type_", EVENTS)
def test_a_schema_refuses_what_the_decoder_refuses(type_: str):
    """A missing required field, an unknown one, another type: refused by both."""
    schema = validator(type_)
    good = json.loads(encode(example(type_)))
    required = event_schema(type_)["properties"]["data"]["required"]
    bad = [
        good | {"type": "x.v1"},
        good | {"note": "x"},
        good | {"data": good["data"] | {"note": "x"}},
        *(good | {"data": {k: v for k, v in good["data"].items() if k != name}} for name in required),
        *(good | {"data": good["data"] | {name: {"x": 1}}} for name in good["data"]),
    ]
    for document in bad:
        assert not schema.is_valid(document)
        assert not accepted(json.dumps(document).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=4,
)


@given(events(), st.data())
@settings(max_examples=150, deadline=None)
def test_what_the_decoder_accepts_the_schema_accepts(event: Event[Any], data: st.DataObject):
    """Also of events with a field replaced by anything: an integrator's schema check is never stricter."""
    document = json.loads(encode(event))
    if data.draw(st.booleans()):
        within = data.draw(st.sampled_from([document, document["data"]]))
        within[data.draw(st.sampled_from(sorted(within)))] = data.draw(JSON)
    if accepted(json.dumps(document).encode()):
        validator(document["type"]).validate(document)


def test_asyncapi_names_every_topic_and_type_once_per_channel():
    """Every type is a message on each of its topics, and every reference in the document leads somewhere."""
    document = json.loads(documents()[ASYNCAPI])
    assert document["asyncapi"] == "3.0.0"
    assert set(document["channels"]) == set(TOPICS)
    for name, channel in document["channels"].items():
        assert channel["address"] == name
        assert set(channel["messages"]) == {e.type for e in EVENTS.values() if TOPICS[name] in e.topics}
    assert set(document["components"]["messages"]) == set(EVENTS)
    references = list(_references(document))
    assert len(references) > 2 * len(EVENTS)
    for reference in references:
        if reference.startswith("./"):
            assert (FOLDER / reference).is_file()
            continue
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
