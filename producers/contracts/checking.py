"""Checking a file of events, one JSON document a line, before anything of it is sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from producers.contracts.codec import decode, type_of
from producers.contracts.errors import ContractViolation
from producers.contracts.events import Event
from producers.contracts.limits import MAX_EVENT_BYTES


@dataclass(frozen=True)
class CheckedLine:
    """A line that holds an event; `repeat` where an earlier line says the very same.

    `type` and `canonical` are in the version sent, `event` is in the newest.
    """

    line: int
    type: str
    event: Event[Any]
    canonical: bytes
    repeat: bool


@dataclass(frozen=True)
class RefusedLine:
    """A line of a file that the contracts refuse; carries no value of the event."""

    line: int
    rule: str
    path: str
    detail: str


def check_lines(file: BinaryIO, now: datetime) -> Iterator[CheckedLine | RefusedLine]:
    """Every line that is not blank, checked by itself and against the lines before it.

    `now` is what the events' clocks are held against. Memory grows by about 150 bytes an event: what tells a
    repeat from a second event under the same id.
    """
    known: dict[int, tuple[int, int]] = {}
    for line, value in _lines(file):
        if not value.strip():
            continue
        try:
            event, canonical = decode(value, now=now)
        except ContractViolation as violation:
            yield RefusedLine(line, violation.rule, violation.path, violation.detail)
            continue
        first, content = known.setdefault(hash((event.source, event.id)), (line, hash(canonical)))
        if content != hash(canonical):
            detail = f"line {first} has another event with the same source and id"
            yield RefusedLine(line, "id.conflict", "$.id", detail)
        else:
            yield CheckedLine(line, type_of(canonical), event, canonical, repeat=first != line)


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without their ends; of one too long only so much that it is refused."""
    number = 0
    while line := file.readline(MAX_EVENT_BYTES + 2):
        number += 1
        whole = line
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_EVENT_BYTES + 2)
        yield number, whole.removesuffix(b"\n").removesuffix(b"\r")
