"""A gateway killed at random points, and its broker restarted: everything acknowledged arrives."""

from pathlib import Path

import pytest

from tests.benchmarks import gateway_faults

pytestmark = pytest.mark.integration


def test_what_was_acknowledged_is_in_kafka(tmp_path: Path):
    """Six kills and a broker restart: Kafka holds, counted once, exactly what was acknowledged, in order."""
    outcome = gateway_faults.run(tmp_path, kills=6, events=2_000, broker_restarts=1, seed=7)
    assert outcome.holds, outcome
    assert (outcome.kills, outcome.broker_restarts, outcome.acknowledged) == (6, 1, 2_000)
