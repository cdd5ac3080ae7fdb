"""The long run of the fault matrix: hundreds of kills, long pauses, ten thousand bad messages.

    uv run python -m tests.faults --kills 200 --seed 1

Prints one JSON document: the seed, what was done per row, and every violation found; exit code 1 if any.
"""

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults import test_broker, test_limits, test_poison
from tests.faults.harness import FaultBroker, World
from tests.faults.kills import kill_again_and_again
from tests.faults.proxy import Proxy
from warehouse.verify import verify


def kills(world: World, asked: argparse.Namespace) -> dict[str, Any]:
    """Row 1: landing killed at every step and at random."""
    done = kill_again_and_again(world, asked.kills, minutes=asked.minutes)
    world.drain(batch_max_events=100_000)
    return {"kills": done.total, "by_step": dict(done.by_step), "missed": dict(done.missed)}


def kills_with_maintenance(world: World, asked: argparse.Namespace) -> dict[str, Any]:
    """Row 23: the same while files are merged, snapshots expire and files are removed."""
    done = kill_again_and_again(world, asked.maintenance_kills, maintain=True, minutes=asked.minutes)
    world.drain(batch_max_events=100_000)
    findings = verify(world.connection, world.settings.location).findings
    world.unexpected += [f"verify: {finding.relation} {finding.rule}" for finding in findings]
    return {"kills": done.total, "by_step": dict(done.by_step), "missed": dict(done.missed)}


def broker_kills(world: World, asked: argparse.Namespace) -> dict[str, Any]:
    """Row 4: the broker killed again and again while events stream; seconds until it answered again."""
    took = []
    with world.landing() as landing:
        with world.streaming() as sent:
            for _ in range(asked.broker_kills):
                before = sent()
                world.until(lambda b=before: sent() > b + 200)  # type: ignore[misc]
                world.broker.kill()
                began = time.monotonic()
                world.broker.start()
                took.append(round(time.monotonic() - began, 1))
        world.until(world.drained, lambda: landing.error)
    return {"kills": len(took), "seconds_until_it_answered": took}


def pause(world: World, asked: argparse.Namespace) -> dict[str, Any]:
    """Row 4: the broker stands still for a minute."""
    test_broker.pause_for(world, asked.pause_seconds)
    return {"seconds": asked.pause_seconds}


def network(world: World, asked: argparse.Namespace) -> dict[str, Any]:
    """Row 5: slow, cut, reset, answers lost, half-open, again and again."""
    rounds = 0
    with (
        Proxy(world.broker.proxy_port, world.broker.behind_port) as proxy,
        world.landing(kafka_bootstrap_servers=world.broker.proxied) as landing,
    ):
        with world.streaming(bootstrap=world.broker.proxied) as sent:
            for _ in range(asked.network_rounds):
                for _ in test_broker.misbehave(proxy, world, seconds=world.rng.uniform(0, 40)):
                    before = world.landed_batches(), sent()
                    world.until(lambda b=before: world.landed_batches() > b[0] and sent() > b[1] + 25)  # type: ignore[misc]
                    rounds += 1
        world.until(world.drained, lambda: landing.error)
    return {"faults": rounds}


def poison(world: World, asked: argparse.Namespace) -> dict[str, Any]:
    """Row 11: fuzzed messages, each accounted for."""
    return {"messages": asked.messages, "by_rule": test_poison.survive(world, asked.messages)}


def memory(world: World, asked: argparse.Namespace) -> dict[str, Any]:
    """Row 21: the peak memory of landing a backlog, and of one three times as large."""
    home = world.log.parent / "three times"
    home.mkdir()
    small = test_limits.peak_bytes(world, asked.backlog)
    thrice = World(home, world.broker, world.seed, **test_limits.SMALL_BATCHES)
    try:
        large = test_limits.peak_bytes(thrice, 3 * asked.backlog)
    finally:
        thrice.close()
    if large > 1.25 * small or large > 2**30:
        raise AssertionError(f"{small} bytes became {large} with three times the backlog")
    return {"frames": [asked.backlog, 3 * asked.backlog], "peak_mib": [small // 2**20, large // 2**20]}


Row = Callable[[World, argparse.Namespace], dict[str, Any]]
ROWS: tuple[Row, ...] = (kills, kills_with_maintenance, poison, network, pause, broker_kills, memory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60, help="no more kills after so long, per row")
    parser.add_argument("--maintenance-kills", type=int, default=40)
    parser.add_argument("--broker-kills", type=int, default=5)
    parser.add_argument("--pause-seconds", type=float, default=60)
    parser.add_argument("--network-rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--backlog", type=int, default=50_000, help="frames, of the memory row")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", nargs="*", choices=[row.__name__ for row in ROWS])
    asked = parser.parse_args()
    seed = random.randrange(2**32) if asked.seed is None else asked.seed
    report: dict[str, Any] = {"seed": seed, "rows": {}, "violations": []}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        broker = FaultBroker(Path(folder) / "broker")
        broker.home.mkdir()
        broker.start()
        try:
            for number, row in enumerate(ROWS):
                if not asked.only or row.__name__ in asked.only:
                    home = Path(folder) / row.__name__
                    home.mkdir()
                    more = test_limits.SMALL_BATCHES if row is memory else {}
                    _one(report, row, World(home, broker, seed + number, **more), asked)
        finally:
            broker.resume()
            broker.stop()
    print(json.dumps(report, indent=2))
    return 1 if report["violations"] else 0


def _one(report: dict[str, Any], row: Row, world: World, asked: argparse.Namespace) -> None:
    began = time.monotonic()
    try:
        found = row(world, asked)
        ledger, account = world.ledger.lines(), world.account()
        report["rows"][row.__name__] = (
            found
            | account
            | {
                "acknowledged": len(ledger),
                "seconds": round(time.monotonic() - began, 1),
            }
        )
        report["violations"] += [f"{row.__name__}: {violation}" for violation in world.violations()]
    except Exception as error:
        report["violations"].append(f"{row.__name__}: {type(error).__name__}: {error}")
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
