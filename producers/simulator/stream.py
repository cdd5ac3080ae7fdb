"""The whole network's events as one stream in the order of time."""

import heapq
import itertools
from collections.abc import Iterator

from producers.simulator.clinic_days import clinic_items
from producers.simulator.faults import malformed
from producers.simulator.items import Item, Place
from producers.simulator.world import World, registry


def stream(
    world: World,
    *,
    telemetry_from: int,
    bad: int = 0,
    bad_until: int | None = None,
    after: Place | None = None,
) -> Iterator[Item]:
    """Every item of the network from the world's start on, without end; the same for the same arguments.

    `bad` malformed events lie between the start and the second `bad_until`. With `after`, the stream goes
    on behind that place as if it had never been broken off.
    """
    start = int(world.start.timestamp())
    merged = heapq.merge(
        sorted(registry(world)),
        malformed(world, count=bad, start=start, end=bad_until or start),
        *(
            clinic_items(world, clinic, telemetry_from=telemetry_from, after=after[0] if after else 0)
            for clinic in world.clinics
        ),
    )
    if after is None:
        return merged
    return itertools.dropwhile(lambda made: made[:3] <= after, merged)


def until(items: Iterator[Item], second: int) -> Iterator[Item]:
    """The items before that second."""
    return itertools.takewhile(lambda made: made[0] < second, items)
