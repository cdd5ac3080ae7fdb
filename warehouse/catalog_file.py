"""Work on the SQLite file of the catalog itself, in a process of its own.

DuckDB carries its own SQLite. Two copies of SQLite with the same file open in one process lose each other's
locks (POSIX drops them with the first descriptor closed), so nothing here runs inside a process that has the
warehouse open: each function starts a child that does one thing and ends.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from producers.contracts.errors import WarehouseUnavailable

BUSY_SECONDS = 30


def copy(source: Path, target: Path) -> None:
    """A consistent copy of an SQLite file that may be in use, by SQLite's online backup."""
    _child("copy", source.resolve(), target.resolve())


def move_data(catalog: Path, data_path: str) -> None:
    """Tell a catalog that nobody has open where its data lies now."""
    _child("move_data", catalog.resolve(), data_path)


def compact(catalog: Path, *, first: str) -> None:
    """Run one statement, then write the catalog anew without its free pages and empty its log: what was
    deleted is gone from the file. The caller holds the writers' turn."""
    _child("compact", catalog.resolve(), first)


def _child(name: str, *arguments: object) -> None:
    command = [sys.executable, "-m", "warehouse.catalog_file", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise WarehouseUnavailable(f"catalog {arguments[0]}: {name} failed: {last}")


def _copy(source: str, target: str) -> None:
    import sqlite3

    with sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=BUSY_SECONDS) as from_:
        with sqlite3.connect(target) as to:
            from_.backup(to)
        to.close()
    from_.close()


def _move_data(catalog: str, data_path: str) -> None:
    import sqlite3

    with sqlite3.connect(catalog, timeout=BUSY_SECONDS) as connection:
        connection.execute("UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'", [data_path])
    connection.close()


def _compact(catalog: str, first: str) -> None:
    import sqlite3

    connection = sqlite3.connect(catalog, timeout=BUSY_SECONDS, isolation_level=None)
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(first)
    connection.execute("VACUUM")
    busy, log, checkpointed = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.close()
    if busy:
        raise SystemExit(json.dumps({"busy": busy, "log": log, "checkpointed": checkpointed}))


if __name__ == "__main__":
    tasks: dict[str, Callable[..., None]] = {"copy": _copy, "move_data": _move_data, "compact": _compact}
    tasks[sys.argv[1]](*sys.argv[2:])
