"""Fault matrix, row 18: mail while workers die and the server misbehaves.

The long run is `python -m tests.delivery --crashes 500`.
"""

from pathlib import Path

import pytest

from tests.delivery.harness import crash

pytestmark = pytest.mark.integration


def test_nothing_twice_and_nothing_lost(tmp_path: Path):
    """Workers killed at every step and at random, against a server that misbehaves."""
    counted = crash(tmp_path, crashes=15, seed=3)
    assert counted.crashes >= 15
    assert counted.right, counted
    assert counted.states["accepted"] > counted.deliveries / 2


def test_a_ledger_that_marks_after_sending_is_found_out(tmp_path: Path):
    """The harness can fail: the naive order sends some mail twice."""
    counted = crash(tmp_path, crashes=15, seed=3, mutant=True)
    assert counted.doubles
