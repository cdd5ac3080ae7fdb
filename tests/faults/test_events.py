"""Events that come twice, late, out of order, by a wrong clock, or from a publisher that died.

Matrix rows 8, 9, 10 and 13.
"""

import datetime as dt
import random
from collections.abc import Callable

import pytest

from producers.contracts import encode, partition_key
from tests.faults.harness import TELEMETRY, World, event, kinds, mutated

pytestmark = pytest.mark.integration

LONG_AGO = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)


def moment(number: int) -> dt.datetime:
    """Every fourth event is thirty days old, the others are of the last minutes."""
    return LONG_AGO + (dt.timedelta(0) if number % 4 == 0 else dt.timedelta(days=29.99, seconds=number))


def deliver_twice(world: World, clock: Callable[[], dt.datetime]) -> int:
    """Shuffled events; then, batches later, each again, every third on another partition than its own."""
    numbers = range(300)
    with world.publisher() as publisher:
        for number in world.rng.sample(numbers, len(numbers)):
            publisher.publish(event(number, at=moment(number)))
    world.drain(clock=clock)
    with world.publisher() as publisher:
        for number in world.rng.sample(numbers, len(numbers)):
            one = event(number, at=moment(number))
            elsewhere = {"partition": world.rng.randrange(4)} if number % 3 == 0 else {}
            publisher.send(TELEMETRY, key=partition_key(one).encode(), value=encode(one), **elsewhere)
    world.drain(clock=clock)
    return len(numbers)


def jumping(seed: int) -> Callable[[], dt.datetime]:
    """A clock that is wrong by another hour or year each time it is read."""
    rng = random.Random(seed)
    return lambda: dt.datetime.now(dt.UTC) + dt.timedelta(hours=rng.choice([-9000, -1, 0, 1, 9000]))


def test_repeats_late_shuffled_and_by_a_wrong_clock(world: World):
    """Rows 8-10: each event is there once, and every repeat is in the books, whatever our clock says."""
    again = deliver_twice(world, jumping(world.seed))
    assert world.violations(duplicates=again) == []


@pytest.mark.parametrize("mutant", ["only within the batch", "recent window"])
def test_a_search_for_repeats_that_is_too_narrow_is_found(world: World, mutant: str):
    """Rows 8-10's mutants: repeats are looked for in the batch, or in the hour around now."""
    with mutated(mutant):
        deliver_twice(world, jumping(world.seed))
    assert "doubled" in kinds(world.violations())


def publish_until_through(world: World, attempts: int, *, new_ids: bool = False) -> None:
    """A publisher is killed amid its file, starts over, is killed again, and at last is through."""
    for attempt in range(attempts):
        first = 1000 * attempt if new_ids else 0
        before = len(world.ledger.lines())
        process = world.publishing_process(range(first, first + 400), LONG_AGO)
        if attempt < attempts - 1:
            world.until(lambda b=before: len(world.ledger.lines()) > b + 50)  # type: ignore[misc]
            process.kill()
        process.join()
    assert process.exitcode == 0


def test_a_publisher_that_died_sends_its_file_again(world: World):
    """Row 13: killed before it knew what was acknowledged, it starts over: each event lands once."""
    publish_until_through(world, 3)
    world.drain()
    assert world.violations() == []
    assert len(world.landed()) == 400


def test_new_identifiers_per_attempt_are_found(world: World):
    """Row 13's mutant: an event that is sent again under another name is another event."""
    publish_until_through(world, 2, new_ids=True)
    world.drain()
    assert len(world.landed()) > 400
