"""The disk under Kafka's log full: matrix row 7. What was not acknowledged may be missing, nothing else."""

import random
import subprocess
from pathlib import Path

import pytest

from producers.contracts import BrokerUnavailable
from tests.faults.harness import FaultBroker, World
from tests.faults.test_warehouse import fill

pytestmark = pytest.mark.integration


def test_kafkas_disk_full(small_disk: Path, tmp_path: Path):
    """The sender is told that its events are not taken; with space again all that was acknowledged lands."""
    subprocess.run(["mount", "-o", "remount,size=160m", str(small_disk)], check=True)
    broker = FaultBroker(small_disk / "broker")
    broker.home.mkdir()
    broker.start()
    world = World(tmp_path, broker, random.randrange(2**32))
    try:
        world.publish(range(200))
        world.drain()
        filler = fill(small_disk)
        with pytest.raises(BrokerUnavailable):
            world.publish(range(200, 2_000))
        broker.kill()
        filler.unlink()
        broker.start()
        world.publish(range(2_000, 2_200))
        world.drain()
        assert world.violations() == []
        assert len(world.ledger.lines()) >= 400
    finally:
        world.close()
        broker.stop()
