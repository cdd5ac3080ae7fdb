"""The HTTP door: what is taken, what is refused and how, and that a refusal leaves nothing behind."""

import datetime as dt
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from producers.gateway.http import BATCH, BINARY, PROBLEM, SINGLE, Gateway, create_app
from producers.gateway.intake import Intake
from producers.gateway.outbox import Outbox
from producers.gateway.pseudonyms import PatientPseudonyms
from producers.gateway.serving import PromptProtocol
from producers.gateway.settings import GatewaySettings
from producers.gateway.tokens import Tokens
from tests.gateway.harness import body, stated

pytestmark = pytest.mark.integration

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


class Door:
    """A gateway's application with two clinics and a token for each, over a real outbox."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.settings = GatewaySettings.load(home).model_copy(
            update={"clinics": ("north", "south"), "min_free_bytes": 0, **settings}
        )
        self.outbox = Outbox(self.settings.outbox_file, max_bytes=self.settings.max_outbox_bytes)
        keys = {name: PatientPseudonyms(name.encode() * 8) for name in self.settings.clinics}
        self.tokens = Tokens(self.settings.tokens_file)
        intake = Intake(self.outbox, keys, trust_patient_keys=self.settings.trust_patient_keys)
        self.app = create_app(Gateway(self.settings, intake, self.outbox, self.tokens, None, lambda: NOW))
        self.client = TestClient(self.app, raise_server_exceptions=True)
        self.north, self.south = (self.tokens.add(name, "test", NOW) for name in self.settings.clinics)

    def post(
        self, content: bytes | str, kind: str = SINGLE, *, token: str | None = None, **headers: str
    ) -> httpx.Response:
        given = {"authorization": f"Bearer {token or self.north}", "content-type": kind, **headers}
        return self.client.post("/events", content=content, headers=given)

    @property
    def stored(self) -> int:
        return self.outbox.state().accepted


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    yield made
    made.outbox.close()


def refused(answer: httpx.Response, door: Door) -> tuple[int, str, str]:
    """Status, rule and path of a refusal, which is problem+json and has stored nothing."""
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json()
    assert document["status"] == answer.status_code
    assert {"type", "title", "detail", "rule"} <= set(document)
    assert door.stored == 0
    return answer.status_code, document["rule"], document.get("path", "")


# ── taken ───────────────────────────────────────────────────────────────────────────────────────────────


def test_one_event(door: Door):
    """Structured mode: 202 once it is stored, with what is new and what was known."""
    assert door.post(body(stated(1))).json() == {"stored": 1, "repeated": 0}
    again = door.post(body(stated(1)), f"{SINGLE}; charset=UTF-8")
    assert (again.status_code, again.json()) == (202, {"stored": 0, "repeated": 1})


def test_a_batch(door: Door):
    """Batched mode takes all of them; an empty batch is none."""
    assert door.post(body(stated(1), stated(2)), BATCH).json() == {"stored": 2, "repeated": 0}
    assert door.post(b"[]", BATCH).json() == {"stored": 0, "repeated": 0}


def test_binary_mode_says_the_same_event(door: Door):
    """Attributes in `ce-` headers, percent-encoded or not, the data as body: as in structured mode."""
    event = stated(1)
    headers = {f"ce-{name}": event[name] for name in ("specversion", "id", "source", "type", "time")}
    headers["ce-source"] = "/clinics%2Fnorth"
    assert door.post(json.dumps(event["data"]), BINARY, **headers).json() == {"stored": 1, "repeated": 0}
    assert door.post(body(event)).json() == {"stored": 0, "repeated": 1}


def test_a_patient_is_stored_under_a_pseudonym_only(door: Door):
    """The clinic's number for a patient is not in the outbox; each clinic's key gives another pseudonym."""
    door.post(body(stated(1)))
    door.post(body(stated(1, clinic="south")), token=door.south)
    values = [event.value for event in door.outbox.unsent(10)]
    assert not any(b"P-1000" in value or b"reference" in value for value in values)
    assert len({json.loads(value)["data"]["patient_key"] for value in values}) == 2


def test_a_void_follows_what_it_voids(door: Door):
    """`event.voided.v1` travels on the topic of the event that it takes back."""
    door.post(body(stated(1)))
    void = {
        **stated(2),
        "type": "event.voided.v1",
        "data": {"voided_id": "f-1", "reason": "entered-in-error"},
    }
    assert door.post(body(void)).status_code == 202
    assert [event.topic for event in door.outbox.unsent(10)] == ["clinic.outcomes"] * 2


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────


def changed(**changes: Any) -> dict[str, Any]:
    return {**stated(1), **changes}


def text(**changes: Any) -> bytes:
    return body(changed(**changes))


AT_SESSION = "$.data.session_id"
TWICE = body(stated(1))[:-1] + b',"id":"x"}'
AT_PATIENT = "$.data.patient_reference"
REFUSED = {
    "no JSON": (b"{", 400, "json.invalid", "$"),
    "nothing": (b"", 400, "json.invalid", "$"),
    "two documents": (body(stated(1)) * 2, 400, "json.invalid", "$"),
    "NaN": (body(stated(1)).replace(b"false", b"NaN"), 400, "json.invalid", "$"),
    "invalid UTF-8": (body(stated(1)).replace(b"phone", b"ph\xffne"), 400, "json.invalid", "$"),
    "UTF-16": (json.dumps(stated(1)).encode("utf-16"), 400, "json.invalid", "$"),
    "half a surrogate pair": (body(stated(1)).replace(b"phone", b"\\ud800"), 400, "json.invalid", "$"),
    "deep nesting": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "json.invalid", "$"),
    "open brackets": (b"[" * 60_000, 400, "json.invalid", "$"),
    "one key twice": (TWICE, 400, "json.duplicate-key", "$"),
    "an endless number": (body(stated(1)).replace(b"false", b"9" * 5_000), 400, "json.invalid", "$"),
    "huge": (body(stated(1, channel=7)).replace(b"7}", b"1e999}"), 422, "field.invalid", "$.data.channel"),
    "too large": (text(id="x" * 70_000), 413, "size.exceeded", "$"),
    "an array": (b"[]", 422, "field.invalid", "$"),
    "null": (b"null", 422, "field.invalid", "$"),
    "no such type": (text(type="session.invented.v1"), 422, "type.unknown", "$.type"),
    "a missing field": (text(data={"session_id": "s"}), 422, "field.missing", "$.data"),
    "an unknown field": (body(stated(1, mood="good")), 422, "field.unknown", "$.data"),
    "a name": (body(stated(1, patientName="Ann")), 422, "identity.refused", "$.data.patientName"),
    "a birth date": (body(stated(1, dob="1980")), 422, "identity.refused", "$.data.dob"),
    "a name around it": (text(email="a@b"), 422, "identity.refused", "$.email"),
    "a pseudonym": (body(stated(1, patient_key="0" * 32)), 422, "patient.key-given", "$.data.patient_key"),
    "no patient": (body(stated(1, patient_reference=" ")), 422, "patient.reference", AT_PATIENT),
    "patients": (body(stated(1, patient_reference=[1])), 422, "patient.reference", AT_PATIENT),
    "the patient twice": (body(stated(1, session_id="P-10001")), 422, "patient.repeated", AT_SESSION),
    "a naive time": (text(time="2026-01-05T08:00:00"), 422, "field.invalid", "$.time"),
    "a time to come": (text(time="2026-11-02T08:00:00Z"), 422, "clock.future", "$.time"),
    "another clinic": (text(source="/clinics/south"), 403, "clinic.wrong", "$.source"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_event_is_refused_by_field_and_rule(door: Door, what: str):
    """Each in problem+json with its status; nothing is stored, and no value of the event comes back."""
    content, *expected = REFUSED[what]
    answer = door.post(content)
    assert refused(answer, door) == tuple(expected)
    assert not any(value in answer.text for value in ("P-10001", "Ann", "a@b", "1980", "good", "invented"))


def test_a_batch_is_taken_whole_or_not_at_all(door: Door):
    """Each bad one is listed by its index, and the good ones are not stored either."""
    answer = door.post(body(stated(1), changed(type="x"), stated(3), stated(4, mood="x")), BATCH)
    assert refused(answer, door) == (422, "type.unknown", "$.type")
    assert [(error["index"], error["rule"]) for error in answer.json()["errors"]] == [
        (1, "type.unknown"),
        (3, "field.unknown"),
    ]


def test_one_foreign_event_makes_the_batch_forbidden(door: Door):
    """Among other refusals, another clinic's event decides the status."""
    answer = door.post(body(stated(1, mood="x"), stated(2, clinic="south")), BATCH)
    assert refused(answer, door)[0] == 403


def test_an_id_with_other_content_is_a_conflict(door: Door):
    """409 with the index; what was stored first stays."""
    door.post(body(stated(1)))
    answer = door.post(body(stated(2), stated(1, channel="app")), BATCH)
    assert (answer.status_code, answer.json()["errors"][0]["index"]) == (409, 1)
    assert answer.json()["rule"] == "id.conflict"
    assert door.stored == 1


@pytest.mark.parametrize(
    ("content", "status", "rule"),
    [
        (b"{}", 422, "batch.invalid"),
        (b"[", 400, "json.invalid"),
        (b"[" * 100_000, 400, "json.invalid"),
        (b"[" + b"1," * 1_000 + b"1]", 413, "batch.size"),
        (b"\xff", 400, "json.invalid"),
    ],
)
def test_what_is_no_batch_is_refused(door: Door, content: bytes, status: int, rule: str):
    """Not an array, not JSON, or more events than allowed."""
    assert refused(door.post(content, BATCH), door)[:2] == (status, rule)


@pytest.mark.parametrize(
    ("content", "headers", "rule"),
    [
        (b'{},"id":"x"', {}, "json.invalid"),
        (b"{}", {"ce-data": "1"}, "field.unknown"),
        (b"{}", {"ce-surname": "x"}, "field.unknown"),
        (b"", {}, "json.invalid"),
        (b"{}", {"ce-source": "%ff%00"}, "header.invalid"),
    ],
)
def test_binary_mode_is_as_strict(door: Door, content: bytes, headers: dict[str, str], rule: str):
    """The body cannot break out of the data, and headers are no way around the contract."""
    given = {
        "ce-specversion": "1.0",
        "ce-id": "a",
        "ce-source": "/clinics/north",
        "ce-time": "2026-01-01T00:00:00Z",
    }
    answer = door.post(content, BINARY, **{**given, "ce-type": "follow-up.completed.v1", **headers})
    assert refused(answer, door)[1] == rule


@pytest.mark.parametrize(
    "kind", ["", "text/plain", BINARY, f"{SINGLE}; charset=latin-1", "application/xml", "a;b;c"]
)
def test_another_content_type_is_refused(door: Door, kind: str):
    """415 for anything but the three modes in UTF-8; plain JSON only with `ce-` headers."""
    assert refused(door.post(body(stated(1)), kind), door)[:2] == (415, "content.type")


def test_compressed_bodies_are_refused(door: Door):
    """Nothing is unpacked, so nothing unpacks to gigabytes."""
    answer = door.post(b"\x1f\x8b", **{"content-encoding": "gzip"})
    assert refused(answer, door)[:2] == (415, "content.encoding")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic abc", "Bearer dsg_ä"])
def test_without_a_valid_token_nothing_is_read(door: Door, header: str):
    """401 with a challenge."""
    answer = door.client.post(
        "/events", content=body(stated(1)), headers={"authorization": header.encode(), "content-type": SINGLE}
    )
    assert refused(answer, door)[:2] == (401, "token.invalid")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_another_clinics_token_is_forbidden(door: Door):
    """A token speaks for its own clinic, and for none that this gateway does not serve."""
    assert refused(door.post(body(stated(1)), token=door.south), door)[:2] == (403, "clinic.wrong")
    foreign = door.tokens.add("west", "test", NOW)
    assert refused(door.post(body(stated(1, clinic="west")), token=foreign), door)[:2] == (
        403,
        "clinic.unserved",
    )


def test_a_revoked_token_is_worth_nothing(door: Door):
    """From the next request on; the file holds hashes only."""
    assert door.north not in door.settings.tokens_file.read_text()
    (known, _) = door.tokens.all()
    assert Tokens(door.settings.tokens_file).revoke(known.id)
    assert refused(door.post(body(stated(1))), door)[0] == 401


def test_unreadable_tokens_let_nobody_in(door: Door):
    """A damaged file of tokens is an outage, not an open door."""
    door.settings.tokens_file.write_text("{")
    assert refused(door.post(body(stated(1))), door)[:2] == (503, "tokens.unreadable")


def test_other_addresses_and_methods_are_problems_too(door: Door):
    """404 and 405 in the same form; the description of the interface is there."""
    assert refused(door.client.get("/admin"), door)[:2] == (404, "address.unknown")
    assert refused(door.client.put("/events"), door)[:2] == (405, "method.wrong")
    assert door.client.get("/openapi.json").json()["paths"].keys() == {"/events", "/health", "/metrics"}


def kind(size: int) -> str:
    return BATCH if size > 1 else SINGLE


def test_a_full_outbox_is_507_and_health_says_so(tmp_path: Path):
    """New events are refused, those stored stay, and monitoring sees that nothing is taken in."""
    door = Door(tmp_path, max_outbox_bytes=2**20)
    number = 0
    for size in (200, 1):
        while (
            answer := door.post(body(*map(stated, range(number, number + size))), kind(size))
        ).status_code == 202:
            number += size
    assert (answer.status_code, answer.json()["rule"]) == (507, "disk.full")
    assert answer.headers["content-type"] == PROBLEM
    assert len(door.outbox.unsent(100_000)) == door.stored == number > 0
    assert door.post(body(stated(0))).json() == {"stored": 0, "repeated": 1}
    health = door.client.get("/health")
    assert (health.status_code, health.json()["accepts_events"]) == (503, False)
    door.outbox.close()


def test_a_full_disk_is_507(small_disk: Path):
    """The real thing: the disk has not a byte left."""
    door = Door(small_disk)
    assert door.post(body(stated(1))).status_code == 202
    with (small_disk / "ballast").open("wb", buffering=0) as ballast:
        for size in (2**20, 1):
            try:
                while ballast.write(b"\0" * size):
                    pass
            except OSError:
                continue
    statuses = {
        door.post(body(*(stated(n) for n in range(k, k + 200))), BATCH).status_code
        for k in range(2, 9_002, 200)
    }
    assert 507 in statuses
    assert statuses <= {202, 507}
    stored = door.stored
    (small_disk / "ballast").unlink()
    assert door.post(body(stated(10_000))).status_code == 202
    assert len(door.outbox.unsent(100_000)) == door.stored == stored + 1
    door.outbox.close()


# ── clients that misbehave on the wire ──────────────────────────────────────────────────────────────────


@contextmanager
def listening(door: Door) -> Iterator[tuple[str, int]]:
    """The real server on a free port."""
    bounds = {"header_seconds": door.settings.request_seconds, "max_connections": 3}
    protocol = type("Protocol", (PromptProtocol,), bounds)
    config = uvicorn.Config(
        door.app, port=0, http=protocol, ws="none", lifespan="off", log_level="critical", timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[:2]
    server.should_exit = True
    thread.join()


def head(door: Door, length: int | str, more: str = "") -> bytes:
    return (
        f"POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.north}\r\n"
        f"Content-Type: {SINGLE}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n"
    ).encode()


def exchanged(address: tuple[str, int], sent: bytes) -> bytes:
    """Everything that comes back until the server closes the connection."""
    answer = b""
    with socket.create_connection(address, timeout=30) as client, suppress(ConnectionError):
        client.sendall(sent)
        while chunk := client.recv(65_536):
            answer += chunk
    return answer


def test_slow_and_oversized_clients_are_let_go(tmp_path: Path):
    """A body or head that never ends, a lie about the length, no HTTP at all: each is closed soon."""
    door = Door(tmp_path, request_seconds=0.3, max_body_bytes=10_000)
    with listening(door) as address:
        assert exchanged(address, head(door, 100) + b"{").startswith(b"HTTP/1.1 408")
        assert exchanged(address, b"POST /events HTTP/1.1\r\nX: ") == b""
        assert exchanged(address, b"") == b""
        assert exchanged(address, head(door, 10_001)).startswith(b"HTTP/1.1 413")
        assert exchanged(address, head(door, "9" * 19)).startswith(b"HTTP/1.1 413")
        assert exchanged(address, head(door, "-1")).startswith(b"HTTP/1.1 400")
        chunked = head(door, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        assert exchanged(address, chunked + b"4e20\r\n" + b"x" * 20_000).startswith(b"HTTP/1.1 413")
        assert exchanged(address, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert exchanged(address, head(door, 5, "X: " + "y" * 100_000)).startswith(b"HTTP/1.1 4")
        assert exchanged(address, head(door, 2) + b"{}").startswith(b"HTTP/1.1 422")
        assert door.stored == 0
        good = body(stated(1))
        assert exchanged(address, head(door, len(good)) + good).startswith(b"HTTP/1.1 202")
    assert door.stored == 1
    door.outbox.close()


def test_one_connection_too_many_is_told_to_come_back(tmp_path: Path):
    """Idle connections cannot pile up: beyond the limit it is 503, and a place free again serves."""
    door = Door(tmp_path, request_seconds=30)
    good = body(stated(1))
    with listening(door) as address:
        held = [socket.create_connection(address) for _ in range(3)]
        deadline = time.monotonic() + 30
        while not (answer := exchanged(address, b"")).startswith(b"HTTP/1.1 503"):
            assert time.monotonic() < deadline
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["rule"] == "gateway.busy"
        for connection in held:
            connection.close()
        while not exchanged(address, head(door, len(good)) + good).startswith(b"HTTP/1.1 202"):
            assert time.monotonic() < deadline
    assert door.stored == 1
    door.outbox.close()
