"""One operation in a process of its own that kills itself, as `kill -9` would, before its n-th step.

    python -m tests.operations.crashing refresh|maintain|backup|erase HOME N

A step is a statement sent to the warehouse, a file copied, or a child started. Exit code 0: finished before
the n-th step.
"""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.operations.lake import ANN, NOW, Lake
from warehouse import backup, catalog_file, maintenance, store
from warehouse.privacy import Request, erase
from warehouse.refresh import refresh
from warehouse.retention import Retention


def run(action: str, lake: Lake) -> None:
    """The operation as its command would run it, on a warehouse of these tests."""
    now = dt.datetime.now(dt.UTC)
    if action == "refresh":
        refresh(lake.connection, lake.location, as_of=NOW, computed_at=NOW)
    elif action == "maintain":
        policy = maintenance.Policy(
            snapshots_for=dt.timedelta(0),
            files_for=dt.timedelta(0),
            retention=Retention(telemetry_days=10),
        )
        maintenance.maintain(lake.connection, lake.location, policy, pins=[], now=now)
    elif action == "backup":
        backup.backup(lake.connection, lake.location, lake.home / "backup", now=NOW, actor="op")
    else:
        request = Request(ANN, lake.key, NOW, "op")
        proof = erase(lake.connection, lake.location, request, also_scan=[lake.home])
        assert proof.complete


def killed(action: str, home: Path, step: int) -> bool:
    """Run the operation in a process that dies before its n-th step; false where it finished before."""
    command = [sys.executable, "-m", "tests.operations.crashing", action, str(home), str(step)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def _die_at(step: int) -> None:
    taken = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return call

    store.statement = counted(store.statement)
    shutil.copyfile = counted(shutil.copyfile)
    catalog_file._child = counted(catalog_file._child)
    backup._write = counted(backup._write)


if __name__ == "__main__":
    _action, _home, _step = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    _lake = Lake.opened(_home)
    _die_at(_step)
    run(_action, _lake)
