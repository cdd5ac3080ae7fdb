"""Messages that no clinic should send: the poison table, and fuzz from a seed."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from producers.contracts import TOPICS, encode, partition_key
from tests.faults.harness import event


@dataclass(frozen=True)
class Message:
    """What is put on a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def good(rng: random.Random, number: int) -> tuple[bytes, bytes]:
    """A good event's value and key, under an identifier that the oracle does not know as an event."""
    one = event(number)
    return encode(one).replace(b'"id":"e-', b'"id":"p-'), partition_key(one).encode()


Spoil = Callable[[random.Random, bytes], bytes | None]


def _replaced(old: bytes, *new: bytes) -> Spoil:
    """Another text for the first place that looks like this."""
    return lambda rng, value: value.replace(old, rng.choice(new), 1)


def _truncated(rng: random.Random, value: bytes) -> bytes:
    return value[: rng.randrange(len(value))]


def _bits_flipped(rng: random.Random, value: bytes) -> bytes:
    spoiled = bytearray(value)
    for _ in range(rng.randint(1, 4)):
        spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def _pieces_moved(rng: random.Random, value: bytes) -> bytes:
    a, b = sorted(rng.randrange(len(value)) for _ in range(2))
    return value[:a] + value[b:] + value[a:b]


def _another_value(rng: random.Random, value: bytes) -> bytes:
    """One field of the document, anywhere, holds something of another kind."""
    document = json.loads(value)
    holder = rng.choice([document, document["data"]])
    name = rng.choice(sorted(holder))
    holder[name] = rng.choice(
        [
            None,
            True,
            0,
            -1,
            2**63,
            10**30,
            1.5e308,
            "",
            "x" * 60_000,
            [],
            {},
            [[]],
            {"a": {}},
            "１２",
            "\u0000",
        ]
    )
    return json.dumps(document).encode()


def _more_fields(rng: random.Random, value: bytes) -> bytes:
    document = json.loads(value)
    rng.choice([document, document["data"]]).update(
        {f"field_{n}": n for n in range(rng.choice([1, 50, 3000]))}
    )
    return json.dumps(document).encode()


def _noise(rng: random.Random, value: bytes) -> bytes:
    return rng.randbytes(rng.choice([0, 1, 7, 64, 1000, 70_000]))


SPOILERS: dict[str, Spoil] = {
    "nothing at all": lambda rng, value: None,
    "empty": lambda rng, value: b"",
    "truncated": _truncated,
    "bits flipped": _bits_flipped,
    "pieces moved": _pieces_moved,
    "noise": _noise,
    "another value": _another_value,
    "more fields": _more_fields,
    "not UTF-8": _replaced(b"dev-", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"),
    "lone surrogate": _replaced(b"dev-", b"\\ud800", b"\\udfff\\ud800"),
    "NUL": _replaced(b"dev-", b"\\u0000", b"\x00"),
    "not a number": _replaced(b"300.0", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1_000", b"+1", b".5"),
    "huge number": _replaced(b"300.0", str(2**64).encode(), b"9" * 30, b"9" * 5000, b"-" + b"9" * 400),
    "other time": _replaced(b'"time":"2', b'"time":"0001-01-01T00:00:00Z","t":"', b'"time":"29', b'"time":"'),
    "nested": lambda rng, value: b"[" * rng.choice([10, 1_000, 30_000, 100_000]),
    "nested objects": lambda rng, value: b'{"a":' * rng.choice([10, 1_000, 12_000]),
    "nested in data": _replaced(b'"dev-', b"[" * 2_000, b'{"a":' * 2_000),
    "another top": lambda rng, value: rng.choice(
        [b"null", b"[]", b'"x"', b"true", b"1", b"{}", b"[%s]" % value]
    ),
    "byte order mark": lambda rng, value: b"\xef\xbb\xbf" + value,
    "UTF-16": lambda rng, value: value.decode().encode("utf-16"),
    "twice": lambda rng, value: value + value,
    "same key twice": _replaced(b'"id":', b'"id":"other","id":', b'"\\u0069d":"other","id":'),
    "another type": _replaced(b".v1", b".v2", b".v0", b".v99", b"", b".v1.v1"),
    "another source": _replaced(b"/clinics/", b"/", b"/clinics/../", b"/Clinics/", b"clinics/", b""),
    "large": lambda rng, value: value.replace(b"dev-", b"d" * rng.choice([65_537, 300_000, 900_000]), 1),
    "all zeros": lambda rng, value: bytes(rng.choice([1, 1_000, 900_000])),
    "space": lambda rng, value: b" " * rng.choice([1, 1_000, 60_000]) + value,
}


def messages(rng: random.Random, count: int) -> Iterator[Message]:
    """So many bad messages, each way of spoiling at least once in `len(SPOILERS)`; some spoil nothing."""
    names = sorted(SPOILERS)
    for n in range(count):
        value, key = good(rng, 500_000 + n)
        yield Message(
            topic=rng.choice(sorted(TOPICS)) if n % 7 == 0 else "clinic.device-telemetry",
            key=rng.choice([b"", b"\xff\xfe", b"other/dev-1", b"k" * 5000]) if n % 5 == 0 else key,
            value=SPOILERS[names[n % len(names)]](rng, value),
            headers=_headers(rng) if n % 6 == 0 else [],
        )


def _headers(rng: random.Random) -> list[tuple[str, bytes]]:
    some: list[tuple[str, bytes]] = [
        ("trace", b"\xff\x00"), ("", b""), ("ce_type", b"telemetry.frame.v1"), ("ce_id", b"\xff"),
        ("content-type", b"application/json"), ("x" * 1000, b"y" * 1000),
    ]  # fmt: skip
    return rng.sample(some, rng.randint(1, len(some)))


def describe(message: Message) -> dict[str, Any]:
    """The message in a few words, for a seed that is looked at again."""
    size = None if message.value is None else len(message.value)
    return {"topic": message.topic, "bytes": size, "key": message.key, "headers": len(message.headers)}
