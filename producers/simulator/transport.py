"""What can go wrong between a clinic and the broker: events sent twice, overtaken, late, or by a wrong clock.

Which event it befalls depends on the seed, its source and its id alone. What is delayed stands in the stream
where it is delivered, so its place there lies behind its own time.
"""

import datetime as dt
import hashlib
import heapq
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, structs

from producers.contracts import Event, clinic_of
from producers.contracts.events import Data
from producers.simulator.items import Faulty, Item

Share = Annotated[float, Meta(ge=0, le=1)]

OVERTAKEN_SECONDS = 30
"""Longest that an overtaken event stays behind [A]."""
AGAIN_SECONDS = 3 * 86_400
"""Longest until an event is sent again [A]."""
SKEW_SECONDS = 50 * 60
"""A wrong clock is up to so much fast or slow: less than what is accepted as ahead, one hour [A]."""
LATE = (("late-minutes", 60), ("late-hours", 3600), ("late-days", 86_400), ("late-months", 30 * 86_400))
"""Kinds of lateness, equally frequent: between one and six of these seconds [A]."""


class Faults(msgspec.Struct, frozen=True):
    """How often each fault happens; 0 is never."""

    duplicates: Share = 0.0
    """Share of events that are sent again."""
    reordered: Share = 0.0
    """Share of events overtaken by others of up to half a minute later."""
    late: Share = 0.0
    """Share of events sent minutes to months after they happened."""
    skewed: Share = 0.0
    """Share of clinics whose clock is wrong."""

    @property
    def any(self) -> bool:
        """Whether something can go wrong at all."""
        return self != Faults()


def transported(
    items: Iterable[Item], delayed: list[Item], faults: Faults, seed: int, *, before: int
) -> Iterator[Item]:
    """What is delivered of these items before that second, in order; those that a fault befell are marked.

    `delayed` is a heap of what is under way; it keeps what is delivered later.
    """
    for made in items:
        while delayed and delayed[0][:3] < made[:3]:
            yield heapq.heappop(delayed)
        for one in _delivered(made, faults, seed):
            if one[:3] == made[:3]:
                yield one
            else:
                heapq.heappush(delayed, one)
    while delayed and delayed[0][0] < before:
        yield heapq.heappop(delayed)


def _delivered(made: Item, faults: Faults, seed: int) -> Iterator[Item]:
    """An item as it is delivered, perhaps twice."""
    second, number, event_id, topic, event = made
    if not isinstance(event, Event):
        yield made
        return
    twice, behind, late, how_long = _draws(seed, event.source, event.id)
    befell: list[str] = []
    shift = _skew(clinic_of(event.source), faults, seed)
    if shift:
        event = shifted(event, dt.timedelta(seconds=shift))
        befell.append("skewed")
    delay = 0
    if late < faults.late:
        kind, unit = LATE[int(late / faults.late * len(LATE))]
        delay = int(unit * (1 + 5 * how_long))
        befell.append(kind)
    elif behind < faults.reordered:
        delay = 1 + int(how_long * OVERTAKEN_SECONDS)
        befell.append("reordered")
    sent = Faulty(event, tuple(befell)) if befell else event
    yield second + delay, number, event_id, topic, sent
    if twice < faults.duplicates:
        again = delay + 1 + int(twice / faults.duplicates * AGAIN_SECONDS)
        yield second + again, number, f"{event_id}~", topic, Faulty(event, ("duplicate",), again=True)


def _draws(seed: int, *parts: str) -> list[float]:
    """Four numbers in [0, 1), the same in every process."""
    digest = hashlib.blake2b("/".join((str(seed), *parts)).encode(), digest_size=16).digest()
    return [int.from_bytes(digest[at : at + 4]) / 2**32 for at in range(0, 16, 4)]


def _skew(clinic_id: str, faults: Faults, seed: int) -> int:
    """Seconds by which a clinic's clock is ahead."""
    if not faults.skewed:
        return 0
    befallen, ahead, *_ = _draws(seed, "clock", clinic_id)
    return round((2 * ahead - 1) * SKEW_SECONDS) if befallen < faults.skewed else 0


def shifted(event: Event[Any], by: dt.timedelta) -> Event[Any]:
    """The event as a clock states it that is ahead by so much."""
    data: Data = event.data
    moments = {
        name: value + by
        for name in data.__struct_fields__
        if isinstance(value := getattr(data, name), dt.datetime)
    }
    return structs.replace(event, time=event.time + by, data=structs.replace(data, **moments))
