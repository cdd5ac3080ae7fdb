"""Every step of refresh, maintain, backup and erase, killed there and run again; prints the totals as JSON.

python -m tests.benchmarks.crashes [--every N]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from tests.operations.crashing import killed, run
from tests.operations.lake import Lake
from tests.operations.test_crashes import STEPS, check
from warehouse.backup import MANIFEST


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="only every N-th step")
    every = parser.parse_args().every
    began = time.monotonic()
    print(
        json.dumps(
            {action: _all(action, every) for action in STEPS} | {"seconds": round(time.monotonic() - began)}
        )
    )


def _all(action: str, every: int) -> dict[str, int]:
    step = kills = 0
    while True:
        step += every
        with tempfile.TemporaryDirectory() as folder:
            lake = Lake.under(Path(folder) / "home")
            lake.land(0, 1, 2)
            if action == "erase":
                run("backup", lake)
            lake.connection.close()
            if not killed(action, lake.home, step):
                return {"steps": step, "kills": kills, "failures": 0}
            kills += 1
            again = Lake.opened(lake.home)
            if action != "backup" or not (lake.home / "backup" / MANIFEST).exists():
                run(action, again)
            check(action, again)
            again.connection.close()


if __name__ == "__main__":
    main()
