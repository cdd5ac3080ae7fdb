"""The whole network's events in the order of time, window after window of simulated time."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from producers.simulator.clinic_days import ClinicDays, Slice
from producers.simulator.faults import malformed, of_unknown_versions
from producers.simulator.items import Item
from producers.simulator.transport import Faults, transported
from producers.simulator.world import World, registry

WINDOW_SECONDS = 6 * 3600
"""Of simulated time in one window while there is no telemetry: 500 clinics state some 8,000 events in it."""
FRAMES_PER_WINDOW = 40_000
"""The same with telemetry, about: some 25 MB. A clinic sends up to 80 frames a minute."""


def _telemetry_window_seconds(clinics: int) -> int:
    return min(300, max(10, 60 * FRAMES_PER_WINDOW // (80 * clinics)))


@dataclass(frozen=True)
class Window:
    """All that is stated from the second `begins` on and before the second `before`."""

    begins: int
    before: int
    items: list[Item]
    """All but frames, in the stream's order."""
    frames: list[Slice]

    def in_order(self) -> list[Item]:
        """Items and frames, one by one, in the stream's order."""
        if not self.frames:
            return self.items
        frames = (made for stretch, first, end in self.frames for made in stretch.items(first, end))
        return sorted(itertools.chain(self.items, frames))


def windows(
    world: World,
    *,
    telemetry_from: int,
    bad: int = 0,
    unknown_versions: int = 0,
    bad_until: int | None = None,
    frames_after: int = 0,
    mine: Callable[[int], bool] = lambda number: True,
) -> Iterator[Window]:
    """The network's windows from the world's start on, without end; the same for the same arguments.

    Telemetry begins at the second `telemetry_from`; `bad` malformed events, and so many of unknown versions,
    lie between the start and the second `bad_until`. Frames before the second `frames_after` are passed over,
    which is quick; whoever goes on behind some place also has to pass over the other items up to there.
    Only clinics whose number is `mine` take part.
    """
    start = int(world.start.timestamp())
    clinics = [
        ClinicDays(world, clinic, telemetry_from=telemetry_from, frames_after=frames_after)
        for clinic in world.clinics
        if mine(clinic.number)
    ]
    end = bad_until or start
    planted = _Planted(malformed(world, count=bad, start=start, end=end, mine=mine))
    unknown = _Planted(of_unknown_versions(world, count=unknown_versions, start=start, end=end, mine=mine))
    before, frames_from = start, max(telemetry_from, frames_after)
    with_telemetry = _telemetry_window_seconds(max(1, len(clinics)))
    stated = sorted(made for made in registry(world) if mine(made[1]))
    while True:
        begins = before
        before += WINDOW_SECONDS if before < frames_from else with_telemetry
        stated += planted.take(before) + unknown.take(before)
        frames: list[Slice] = []
        for clinic in clinics:
            items, cut = clinic.take(before)
            stated += items
            frames += cut
        stated.sort()
        yield Window(begins, before, stated, frames)
        stated = []


def stream(world: World, **options: Any) -> Iterator[Item]:
    """Every item of the windows, one by one; see `windows`."""
    for window in windows(world, **options):
        yield from window.in_order()


def delivered(made: Iterator[Window], faults: Faults, seed: int) -> Iterator[Window]:
    """The windows as they arrive where events meet faults on their way; see `transport`."""
    delayed: list[Item] = []
    for window in made:
        items = transported(window.in_order(), delayed, faults, seed, before=window.before)
        yield Window(window.begins, window.before, list(items), [])


def until(items: Iterator[Item], second: int) -> Iterator[Item]:
    """The items before that second."""
    return itertools.takewhile(lambda made: made[0] < second, items)


class _Planted:
    """Malformed events, taken as their time comes."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._next = next(items, None)

    def take(self, before: int) -> list[Item]:
        taken = []
        while self._next is not None and self._next[0] < before:
            taken.append(self._next)
            self._next = next(self._items, None)
        return taken
