"""The long run of the delivery's fault matrix: hundreds of kills against a misbehaving mail server.

    uv run python -m tests.delivery --crashes 500 --seed 1

Prints one JSON document with the totals; exit code 1 where anything was sent twice, lost, misdirected or
booked wrongly. `--mutant` runs a ledger that marks after sending, which must be found out.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from tests.delivery.harness import crash


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crashes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counted = crash(Path(folder), crashes=asked.crashes, seed=asked.seed, mutant=asked.mutant)
    print(json.dumps(dataclasses.asdict(counted) | {"right": counted.right}, indent=2))
    sys.exit(0 if counted.right else 1)


if __name__ == "__main__":
    main()
