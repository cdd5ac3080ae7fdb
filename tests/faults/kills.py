"""`kill -9` again and again, at every step and at random: matrix rows 1 and 23."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.harness import PATIENCE_SECONDS, World
from tests.faults.worker import MAINTENANCE_STEPS, STEPS

AT_RANDOM = "at random"


@dataclass
class Kills:
    """What was done: kills per step; a step that a worker never came to is missed."""

    by_step: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.by_step.values())


def kill_again_and_again(
    world: World,
    kills: int,
    *,
    only: Sequence[str] | None = None,
    maintain: bool = False,
    minutes: float = float("inf"),
) -> Kills:
    """While events stream, start a worker and kill it: at each step in turn, then at steps by lot.

    Ends after so many kills, or with the first after so many minutes.
    """
    done = Kills()
    steps = only or [AT_RANDOM, *STEPS, *(MAINTENANCE_STEPS if maintain else ())]
    turns: list[str] = []
    deadline = time.monotonic() + 60 * minutes
    with world.streaming(per_turn=25, pause=0.2):
        while done.total < kills and time.monotonic() < deadline:
            turns = turns or world.rng.sample(steps, len(steps))
            step = turns.pop()
            died = _one(world, step, maintain=maintain)
            (done.by_step if died else done.missed)[step] += 1
            assert sum(done.missed.values()) <= max(5, done.total), done
            if done.total % 20 == 0:
                print(f"{done.total} kills, {done.missed.total()} missed")
    return done


def _one(world: World, step: str, **plan: Any) -> bool:
    rng: random.Random = world.rng
    if step == AT_RANDOM:
        process = world.worker(**plan)
        time.sleep(rng.uniform(0, 1.2))  # the random moment is the point
    else:
        process = world.worker(step, times=rng.randint(1, 3), **plan)
        process.join(PATIENCE_SECONDS / 3)
    died = process.exitcode is not None
    if died and process.exitcode != -9:
        world.unexpected.append(f"a worker ended by itself with {process.exitcode}")
    process.kill()
    process.join()
    return died or step == AT_RANDOM
