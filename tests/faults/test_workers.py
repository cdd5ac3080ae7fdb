"""Workers that are stopped, frozen, thawed, joined by others, or left alone: matrix rows 2 and 3."""

import os
import signal
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.faults.harness import World, kinds

pytestmark = pytest.mark.integration


def frozen(process: Any) -> bool:
    return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


def freeze_and_thaw(world: World, mutant: str | None = None) -> Any:
    """A worker frozen with a decoded batch in hand, thawed after another has landed the same offsets."""
    world.publish(range(200))
    zombie = world.worker("laid out", signal=signal.SIGSTOP, mutant=mutant)
    world.until(lambda: frozen(zombie))
    world.drain()
    before = world.landed_batches()
    os.kill(zombie.pid, signal.SIGCONT)
    world.until(lambda: "progress lost" in world.log.read_text() or world.landed_batches() > before)
    return zombie


def ends(process: Any) -> int | None:
    process.terminate()
    process.join(60)
    code: int | None = process.exitcode
    return code


def test_a_thawed_worker_cannot_commit_what_another_landed(world: World):
    """Row 2: the late commit is refused by compare-and-set; then the worker goes on where the log is."""
    zombie = freeze_and_thaw(world)
    assert "progress lost" in world.log.read_text()
    world.publish(range(200, 300))
    world.until(world.drained)
    assert ends(zombie) == 0
    assert world.violations(duplicates=0) == []


@pytest.mark.parametrize(
    ("mutant", "found"), [("appended progress", "doubled"), ("no compare-and-set", "books")]
)
def test_a_late_commit_that_is_accepted_is_found(world: World, mutant: str, found: str):
    """Row 2's mutants: progress without compare-and-set books the batch again."""
    zombie = freeze_and_thaw(world, mutant)
    ends(zombie)
    assert found in kinds(world.violations())


def test_a_worker_frozen_within_its_transaction_delays_others_and_nothing_else(world: World):
    """Row 2: while it holds the writers' turn others wait; thawed, it commits, and they go on after it."""
    world.publish(range(200))
    holder = world.worker("advanced", signal=signal.SIGSTOP)
    world.until(lambda: frozen(holder))
    with world.landing() as other:
        world.publish(range(200, 300))
        assert world.landed_batches() == 0
        os.kill(holder.pid, signal.SIGCONT)
        world.until(world.drained, lambda: other.error)
    assert other.error is None
    assert ends(holder) == 0
    assert world.violations(duplicates=0) == []


def test_asked_to_end_a_worker_ends_between_two_batches(world: World):
    """Row 2: SIGTERM is answered with exit code 0, and the next worker goes on."""
    with world.streaming():
        worker = world.worker()
        world.until(lambda: world.landed_batches() >= 3)
        assert ends(worker) == 0
    world.drain()
    assert world.violations(duplicates=0) == []


def share(world: World, text: str, **plan: Any) -> Any:
    return world.worker(settings=world.settings.model_copy(update={"landing_share": text}), **plan)


def batches_of(world: World, process: Any) -> int:
    found = world.connection.execute(
        "SELECT count(*) FROM landing.batch WHERE worker LIKE '%:' || ?", [str(process.pid)]
    ).fetchall()
    return int(found[0][0])


def partitions_of(world: World, process: Any) -> set[tuple[str, int]]:
    found = world.connection.execute(
        """SELECT DISTINCT topic, "partition" FROM landing.batch WHERE worker LIKE '%:' || ?""",
        [str(process.pid)],
    ).fetchall()
    return set(found)


def test_workers_share_partitions_join_leave_and_are_killed(world: World):
    """Row 3: two shares land side by side; one is killed and comes back; one is replaced by a whole one."""
    with world.streaming(per_turn=40):
        one, two = share(world, "1/2"), share(world, "2/2")
        world.until(lambda: min(batches_of(world, one), batches_of(world, two)) >= 2)
        assert partitions_of(world, one).isdisjoint(partitions_of(world, two))
        two.kill()
        two.join()
        again = share(world, "2/2")
        world.until(lambda: batches_of(world, again) >= 2)
        assert ends(one) == 0
        all_of_it = share(world, "1/1")  # beside the 2/2 that still runs
        world.until(lambda: batches_of(world, all_of_it) >= 2)
    world.until(world.drained)
    assert [ends(again), ends(all_of_it)] == [0, 0]
    assert world.violations(duplicates=0) == []


def test_two_workers_on_the_same_partitions(worlds: Callable[..., World]):
    """Row 3: by mistake both have the whole; one of them lands each batch. Its mutant books some twice."""
    for mutant in (None, "no compare-and-set"):
        world = worlds()
        with world.streaming(per_turn=40):
            one, two = world.worker(mutant=mutant), world.worker(mutant=mutant)
            world.until(lambda w=world, a=one, b=two: batches_of(w, a) + batches_of(w, b) >= 8)  # type: ignore[misc]
        world.until(lambda w=world: max(0, w.lag()) == 0)  # type: ignore[misc]
        assert [ends(one), ends(two)] == [0, 0]
        found = kinds(world.violations())
        assert found == set() if mutant is None else "books" in found
