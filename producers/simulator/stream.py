"""The whole network's events as one stream in the order of time."""

import heapq
import itertools
from collections.abc import Iterator

from producers.simulator.clinic_days import clinic_items
from producers.simulator.faults import malformed
from producers.simulator.items import Item
from producers.simulator.world import World, registry


def stream(
    world: World, *, telemetry_from: int, bad: int = 0, bad_until: int | None = None, frames_after: int = 0
) -> Iterator[Item]:
    """Every item of the network from the world's start on, without end; the same for the same arguments.

    Telemetry begins at the second `telemetry_from`; `bad` malformed events lie between the start and the
    second `bad_until`. Frames before the second `frames_after` are passed over, which is quick; whoever goes
    on behind some place also has to pass over the other items up to there.
    """
    start = int(world.start.timestamp())
    return heapq.merge(
        sorted(registry(world)),
        malformed(world, count=bad, start=start, end=bad_until or start),
        *(
            clinic_items(world, clinic, telemetry_from=telemetry_from, frames_after=frames_after)
            for clinic in world.clinics
        ),
    )


def until(items: Iterator[Item], second: int) -> Iterator[Item]:
    """The items before that second."""
    return itertools.takewhile(lambda made: made[0] < second, items)
