"""`kill -9` in the middle of an operation: run it again and it completes; the warehouse is whole."""

import random

import pytest

from tests.operations.crashing import killed, run
from tests.operations.lake import ANN, NOW, Lake
from warehouse.backup import MANIFEST, restore
from warehouse.scan import scan
from warehouse.verify import verify

pytestmark = pytest.mark.integration

SEED = 20261121

STEPS = {"refresh": 97, "maintain": 60, "backup": 100, "erase": 70}
"""About as many steps as each has here; `python -m tests.benchmarks.crashes` tries every one."""

ONCE = """
  SELECT DISTINCT metric_id, metric_version, scope, scope_id, period, interval_start, as_of
  FROM mart.metric_result
"""


def check(action: str, lake: Lake) -> None:
    """What must hold once the operation was run again."""
    assert verify(lake.connection, lake.location).findings == []
    assert lake.count("raw.session_completed", f"patient_key <> '{ANN}'") == 48
    if action == "refresh":
        assert lake.count("mart.metric_result") == lake.count(f"({ONCE})") > 0
        assert lake.count("mart.session_outcome") == lake.count("core.session_outcome") == 60
    if action == "backup":
        restored = restore(lake.home / "backup", lake.home / "elsewhere", now=NOW)
        assert restored.progress == {"clinic.sessions/0": 123}
    if action == "erase":
        assert scan([lake.home], ANN).hits == []


@pytest.mark.parametrize("action", STEPS)
def test_killed_twice_and_run_again(lake: Lake, action: str):
    """Killed early, killed again later, then left to finish: nothing is missing, nothing is doubled."""
    lake.land(0, 1, 2)
    if action == "erase":
        run("backup", lake)
    lake.connection.close()
    dice = random.Random(f"{SEED}-{action}")
    steps = sorted(dice.sample(range(2, STEPS[action]), 2))
    assert killed(action, lake.home, steps[0]), steps
    killed(action, lake.home, steps[1])
    again = Lake.opened(lake.home)
    if not (lake.home / "backup" / MANIFEST).exists() or action != "backup":
        run(action, again)
    check(action, again)
    again.connection.close()
