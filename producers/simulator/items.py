"""What flows through the simulator: an event, or something malformed, with its place in the order."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from producers.contracts import Event
from producers.contracts.events import Data


@dataclass(frozen=True)
class Malformed:
    """A planted event that the contracts refuse: what it is, and the bytes to send."""

    kind: str
    key: bytes
    value: bytes | None


@dataclass(frozen=True)
class Faulty:
    """An event that a fault befell on its way; `again` where it was sent before."""

    event: Event[Any]
    faults: tuple[str, ...]
    again: bool = False


Place = tuple[int, int, str]
"""(second since 1970, clinic's number, event id): unique, and the order of the stream."""

Item = tuple[int, int, str, str, Event[Any] | Malformed | Faulty]
"""A place, the topic, and what is sent there. A malformed event's number lies above any clinic's."""


def event_of(made: Item) -> Event[Any]:
    """The event of an item that is not malformed."""
    content = made[4]
    assert not isinstance(content, Malformed)
    return content.event if isinstance(content, Faulty) else content


def item(
    source: str,
    number: int,
    second: int,
    event_id: str,
    topic: str,
    type_: str,
    data: Data,
    supersedes: str | None = None,
) -> Item:
    """One event of the clinic of that source and number, at that second."""
    event: Event[Any] = Event(
        specversion="1.0",
        id=event_id,
        source=source,
        type=type_,
        time=instant(second),
        data=data,
        supersedes=supersedes,
    )
    return second, number, event_id, topic, event


def instant(second: int) -> dt.datetime:
    """Moment in UTC of a second since 1970."""
    return dt.datetime.fromtimestamp(second, dt.UTC)
