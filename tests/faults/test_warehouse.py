"""The warehouse's disk full, its catalog locked, its maintenance killed: matrix rows 6, 17 and 23."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from tenacity import Retrying, stop_after_attempt

import flows.landing
from tests.faults.harness import Heard, World, kinds, mutated, nothing_lost
from tests.faults.kills import kill_again_and_again
from warehouse.maintenance import live_files
from warehouse.verify import verify

pytestmark = pytest.mark.integration


def fill(disk: Path) -> Path:
    """Take all the space there is."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return filler


def test_disk_full_stops_landing_loudly_and_nothing_is_lost(
    worlds: Callable[..., World], small_disk: Path, capfd
):
    """Row 6: without space no offset moves; with space again everything lands."""
    world = worlds(home=small_disk / "product")
    world.publish(range(200))
    with world.landing() as landing:
        world.until(world.drained, lambda: landing.error)
        landed = landing.totals.batches
        filler = fill(small_disk)
        world.publish(range(200, 600))
        world.until(Heard(capfd, "no space left", times=2), lambda: landing.error)
        assert landing.totals.batches == landed
        filler.unlink()
        world.until(world.drained, lambda: landing.error)
    assert landing.error is None
    assert world.violations(duplicates=0) == []


def test_an_error_that_is_committed_over_is_found(worlds: Callable[..., World], small_disk: Path):
    """Row 6's mutant: it says "could not land", and goes on with the next batch."""
    world = worlds(home=small_disk / "mutant")
    with mutated("go on after an error"), world.landing() as landing:
        world.publish(range(200))
        world.until(world.drained, lambda: landing.error)
        landed = landing.totals.batches
        filler = fill(small_disk)
        world.publish(range(200, 400))
        world.until(lambda: landing.totals.batches > landed, lambda: landing.error)
        filler.unlink()
        world.publish(range(400, 600))
        world.until(world.drained, lambda: landing.error)
    assert "lost" in kinds(world.violations())


LOCK = """
import sqlite3, sys
held = [sqlite3.connect(file, isolation_level=None) for file in sys.argv[1:]]
for connection in held:
    connection.execute("PRAGMA busy_timeout = 60000")
    connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def locked(*worlds: World) -> Iterator[None]:
    """Another process holds the catalogs' write locks."""
    files = [str(world.settings.location.catalog_file) for world in worlds]
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"locked\n"
        yield
        process.stdin.close()


def test_a_locked_catalog_is_waited_for(worlds: Callable[..., World], capfd):
    """Row 17: somebody else holds the catalog for longer than landing is patient: it says so, and tries on.

    Its mutant takes the batch for done when it could not be stored.
    """
    world, careless = worlds(), worlds()
    naive = careless.worker(mutant="go on after an error")
    with patch.object(flows.landing, "retrying", impatient), world.landing() as landing:
        world.publish(range(100))
        world.until(lambda: world.drained() and careless.drained(), lambda: landing.error)
        with locked(world, careless):
            world.publish(range(100, 300))
            told = Heard(capfd, "cannot land now")
            world.until(
                lambda: told() and "could not store" in careless.log.read_text(), lambda: landing.error
            )
            assert world.lag() > 0
        world.until(world.drained, lambda: landing.error)
    assert landing.error is None
    assert world.violations(duplicates=0) == []
    naive.kill()
    naive.join()
    assert list(nothing_lost(world.ledger, careless.landed(), careless.quarantined())) != []


def impatient() -> Retrying:
    """As landing tries, but for fewer times."""
    return RETRYING().copy(stop=stop_after_attempt(3))


RETRYING = flows.landing.retrying


def test_killed_while_maintenance_runs(world: World):
    """Row 23: landing and maintenance in one process, killed at its steps too: nothing is missing."""
    kill_again_and_again(world, 6, maintain=True, only=("merging", "merged", "expired", "cleaned up"))
    world.drain()
    assert world.violations(duplicates=0) == []
    found = verify(world.connection, world.settings.location)
    assert found.findings == []


def test_clean_up_of_files_being_written_is_found(world: World):
    """Row 23's mutant: files that no snapshot names are removed at once, also those of a commit under way."""
    with world.streaming():
        worker = world.worker(maintain=True, mutant="remove unnamed files at once")
        world.until(lambda: missing(world) > 0 or worker.exitcode is not None)
        worker.kill()
        worker.join()
    assert missing(world) > 0


def missing(world: World) -> int:
    """How many files the warehouse needs that are not there."""
    return sum(not Path(f.path).exists() for f in live_files(world.connection, world.settings.location))
