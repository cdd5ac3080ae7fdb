"""The HTTP door under random requests: no server error, and nothing stored of what is refused."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.contracts import encode
from producers.gateway.http import BATCH, BINARY, SINGLE
from tests.gateway.harness import body, stated
from tests.gateway.test_http import Door
from tests.producers.strategies import events

pytestmark = pytest.mark.integration

FOLDER = tempfile.TemporaryDirectory(prefix="gateway-fuzz-")  # goes with the process
DOOR = Door(Path(FOLDER.name), trust_patient_keys=True)
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", DOOR.app)
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
"""Of each kind of request; set it higher for a longer look."""
ROOM = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def check(status: int, document: Any, before: int) -> None:
    """Stored if and only if the answer says so; never an error of ours; a problem names its rule."""
    assert status in {202, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422}
    if status == 202:
        assert DOOR.stored - before == document["stored"]
    else:
        assert DOOR.stored == before
        assert document["rule"]


@SCHEMA.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_requests_made_from_the_description(case: schemathesis.Case):
    """Schemathesis: requests that fit the OpenAPI description, and requests that do not."""
    before = DOOR.stored
    response = case.call(headers={"authorization": f"Bearer {DOOR.north}"})
    if response.headers.get("content-type", [""])[0].startswith("text/plain"):
        assert case.path == "/metrics"
    elif case.path == "/events" and case.method == "POST":
        check(response.status_code, response.json(), before)
    assert response.status_code < 500
    assert response.status_code == 202 or DOOR.stored == before


@ROOM
@given(
    st.one_of(st.binary(max_size=200), JSON.map(json.dumps), JSON),
    st.sampled_from([SINGLE, BATCH, BINARY, "x/y"]),
)
def test_any_body_under_any_type(content: Any, kind: str):
    """Bytes, documents, and documents with NaN and surrogates, under every content type."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    before = DOOR.stored
    answer = DOOR.post(raw, kind, **{"ce-id": "x", "ce-type": "follow-up.completed.v1"})
    check(answer.status_code, answer.json(), before)


@ROOM
@given(st.lists(events(), min_size=1, max_size=4), st.data())
def test_good_events_bent_in_one_place(good: list[Any], data: st.DataObject):
    """Events of every type, one byte of the batch replaced, cut out or doubled."""
    ours = (msgspec.structs.replace(event, source="/clinics/north") for event in good)
    raw = b"[" + b",".join(encode(event) for event in ours) + b"]"
    at = data.draw(st.integers(0, len(raw) - 1))
    put = data.draw(
        st.sampled_from([b"", raw[at : at + 1] * 2, b'"', b"{", b"]", b"\\", b"\xff", b"9", b"\0"])
    )
    before = DOOR.stored
    answer = DOOR.post(raw[:at] + put + raw[at + 1 :], BATCH)
    check(answer.status_code, answer.json(), before)


@ROOM
@given(st.dictionaries(st.text(min_size=1, max_size=20), JSON, max_size=4), JSON, st.integers(0, 10**9))
def test_any_field_beside_the_patient(more: dict[str, Any], reference: Any, number: int):
    """Random fields and random patient references: taken only where nothing unknown is in it."""
    event = stated(number)
    event["data"] = {**event["data"], **more, "patient_reference": reference}
    before = DOOR.stored
    answer = DOOR.post(body(event))
    check(answer.status_code, answer.json(), before)
    if set(more) - set(stated(1)["data"]):
        assert answer.status_code != 202


@ROOM
@given(
    st.dictionaries(
        st.from_regex(r"(ce-)?[a-z]{1,12}", fullmatch=True), st.text("aA%/\u00e41:", max_size=20), max_size=6
    )
)
def test_any_headers_in_binary_mode(headers: dict[str, str]):
    """Unknown, missing and oddly encoded attributes."""
    before = DOOR.stored
    given_headers = {name: value.strip().encode() for name, value in headers.items() if name not in _OURS}
    answer = DOOR.client.post(
        "/events",
        content=json.dumps(stated(1)["data"]),
        headers={"authorization": f"Bearer {DOOR.north}", "content-type": BINARY, **given_headers},
    )
    check(answer.status_code, answer.json(), before)


_OURS = {"host", "connection", "expect", "upgrade", "te", "trailer", "cookie", "accept", "range"}
