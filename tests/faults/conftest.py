"""One broker for the whole fault matrix, killed and started again as the tests ask."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import FaultBroker, World


@pytest.fixture(scope="session")
def fault_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultBroker]:
    """A broker of these tests' own."""
    running = FaultBroker(tmp_path_factory.mktemp("fault-broker"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def worlds(fault_broker: FaultBroker, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds: each an empty log and an empty warehouse."""
    made: list[World] = []

    def make(**settings: Any) -> World:
        home = tmp_path / f"world-{len(made)}"
        home.mkdir()
        made.append(World(home, fault_broker, random.randrange(2**32), **settings))
        return made[-1]

    yield make
    fault_broker.resume()  # where a test failed while it stood still
    for world in made:
        world.close()


@pytest.fixture
def world(worlds: Callable[..., World]) -> World:
    """One world with settings for small batches."""
    return worlds()
