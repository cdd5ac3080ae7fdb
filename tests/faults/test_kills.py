"""`kill -9` of landing workers at every numbered step: nothing is lost, nothing is doubled."""

from collections.abc import Callable

import pytest

from tests.faults.harness import World, kinds
from tests.faults.kills import AT_RANDOM, kill_again_and_again
from tests.faults.worker import STEPS

pytestmark = pytest.mark.integration


def test_killed_at_every_step(world: World):
    """Row 1: after each kill the next worker goes on where the last commit was; each event is there once."""
    done = kill_again_and_again(world, len(STEPS) + 1)
    assert set(done.by_step) == {AT_RANDOM, *STEPS}, done
    world.drain()
    assert world.violations(duplicates=0) == []


@pytest.mark.parametrize(("mutant", "step", "found"), [
    ("offsets first", "judged", {"lost"}),
    ("offsets last", "committed", {"doubled", "books"}),
])  # fmt: skip
def test_offsets_in_a_commit_of_their_own_are_found(worlds: Callable[..., World], mutant, step, found):
    """Row 1's mutants: offsets before the rows lose some; offsets after them book a stretch twice, and double
    what of it was refused (what was accepted is recognised)."""
    world = worlds()
    with world.streaming():
        process = world.worker(step, times=2, mutant=mutant)
        process.join(60)
    world.drain()
    assert found & kinds(world.violations())
