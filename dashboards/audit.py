"""Who looked at, took out, changed or was denied what: append-only, each entry sealed by the one before.

A file of its own beside the accounts, since a commit to the warehouse for every page would be one too many.
Triggers refuse updates and deletions; whoever gets round them breaks the chain, which `broken` finds.
"""

import contextlib
import datetime as dt
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ACTIONS = ("login", "login refused", "logout", "view", "export", "denied", "act", "account", "query")
_LONGEST = 1_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
  number INTEGER PRIMARY KEY, at TEXT NOT NULL, account TEXT NOT NULL, role TEXT NOT NULL, address TEXT NOT
  NULL,
  action TEXT NOT NULL, what TEXT NOT NULL, previous TEXT NOT NULL, seal TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON entry BEGIN SELECT raise(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON entry BEGIN SELECT raise(ABORT, 'append-only'); END;
"""
_COLUMNS = ("number", "at", "account", "role", "address", "action", "what", "previous")


class Audit:
    """The trail of one file; entries from several processes take turns by SQLite's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def append(
        self, action: str, what: str, *, at: dt.datetime, account: str = "", role: str = "", address: str = ""
    ) -> None:
        """Add one entry. `what` is an address or a few words; control characters are written as escapes."""
        assert action in ACTIONS
        said = json.dumps(what, ensure_ascii=False)[1:-1][:_LONGEST]
        with self._lock, self._database() as db:
            db.execute("BEGIN IMMEDIATE")
            last = db.execute("SELECT number, seal FROM entry ORDER BY number DESC LIMIT 1").fetchone()
            number, previous = (last[0] + 1, last[1]) if last else (1, "")
            moment = at.astimezone(dt.UTC).isoformat()
            row = (number, moment, account[:64], role, address[:64], action, said, previous)
            db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, _seal(row)))
            db.execute("COMMIT")

    def newest(self, most: int) -> list[dict[str, Any]]:
        """The newest entries, newest first."""
        with self._database() as db:
            found = db.execute("SELECT * FROM entry ORDER BY number DESC LIMIT ?", (most,)).fetchall()
        return [dict(zip((*_COLUMNS, "seal"), row, strict=True)) for row in found]

    def broken(self) -> str | None:
        """Where the chain does not hold; null where it does."""
        number, previous = 0, ""
        with self._database() as db:
            for *row, seal in db.execute("SELECT * FROM entry ORDER BY number"):
                if row[0] != number + 1 or row[-1] != previous:
                    return f"entry {row[0]} does not follow entry {number}"
                if seal != _seal(tuple(row)):
                    return f"entry {row[0]} was changed after it was written"
                number, previous = row[0], seal
        return None

    @contextlib.contextmanager
    def kept_open(self) -> Iterator[None]:
        """As `accounts.kept_open`, of this file."""
        with self._database():
            yield

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = NORMAL")
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'no_delete'").fetchone():
                db.execute("PRAGMA journal_mode = WAL")
                db.executescript(_SCHEMA)
            yield db
        finally:
            db.close()


def _seal(row: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps(row, ensure_ascii=False).encode()).hexdigest()
