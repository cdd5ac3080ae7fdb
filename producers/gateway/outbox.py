"""The outbox: accepted events on disk, in order, until the broker has acknowledged them.

An SQLite file in WAL mode with `synchronous=FULL`: when `put` returns, the events have been written and
synced, so neither `kill -9` nor a power cut takes them back. Several processes may use one file.
"""

import contextlib
import hashlib
import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from producers.contracts import Retryable, SettingsError, Terminal

BUSY_SECONDS = 30
"""How long one process waits for another's transaction; the longest of ours takes well under a second [A]."""
CACHE_KIB = 4096
"""SQLite's page cache; the whole gateway stays small [A]."""
WAL_KEPT_BYTES = 16 * 2**20
"""The log is cut back to this after a burst [A]."""


class OutboxFull(Retryable):
    """No room to store an event: nothing was stored, and nothing stored before is touched."""


class OutboxUnavailable(Retryable):
    """The outbox's file cannot be read or written now."""


class EventConflict(Terminal):
    """Events with a source and id that are taken, by other content. Nothing was stored."""

    def __init__(self, indices: Sequence[int]) -> None:
        super().__init__(f"{len(indices)} events have the id of another event: an id is given once")
        self.indices = tuple(indices)


@dataclass(frozen=True)
class Entry:
    """One event as it will be sent; `value` is its canonical form."""

    source: str
    id: str
    topic: str
    key: bytes
    value: bytes

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.value).digest()


@dataclass(frozen=True)
class Unsent:
    """An event waiting to be sent; `position` orders it among all."""

    position: int
    topic: str
    key: bytes
    value: bytes


@dataclass(frozen=True)
class OutboxState:
    """What is in the outbox. `oldest_accepted_at` is of the oldest unsent event, null when all are sent."""

    accepted: int
    sent: int
    oldest_accepted_at: datetime | None
    stored_bytes: int
    free_disk_bytes: int

    @property
    def depth(self) -> int:
        """Events accepted and not sent yet."""
        return self.accepted - self.sent

    def waited_seconds(self, now: datetime) -> float:
        """How long the oldest unsent event has waited; 0 when none waits, or the clock was set back."""
        if self.oldest_accepted_at is None:
            return 0.0
        return max(0.0, (now - self.oldest_accepted_at).total_seconds())


@dataclass(frozen=True)
class Retention:
    """How long a sent event's content stays here (to send it again), and its id (to know a repetition)."""

    content: timedelta
    ids: timedelta


class Outbox:
    """Open the file, making it where missing. May be used from several threads."""

    def __init__(self, path: Path, *, max_bytes: int | None = None, min_free_bytes: int = 0) -> None:
        """`max_bytes` bounds the stored events, `min_free_bytes` is left free on the disk for everyone else.

        Raises SettingsError where there is no usable outbox at `path`.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._lock = threading.RLock()
        self.arrived = threading.Event()
        """Set whenever this process has stored something new."""
        try:
            self._connection = _connect(path)
        except (sqlite3.Error, OSError) as error:
            raise SettingsError(f"cannot open the outbox {path}: {error}") from None

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── taking in ───────────────────────────────────────────────────────────────────────────────────────

    def put(self, entries: Sequence[Entry], accepted_at: datetime) -> int:
        """Store all of them, synced to disk, or none; give how many were new.

        One that is there already, with the same content, is passed over.
        Raises EventConflict, OutboxFull, OutboxUnavailable.
        """
        with self._transaction() as connection:
            stored, taken = 0, []
            for index, entry in enumerate(entries):
                if _insert(connection, entry, accepted_at):
                    stored += 1
                elif not _is_same(connection, entry):
                    taken.append(index)
            if taken:
                raise EventConflict(taken)
            if stored:  # what is known already needs no room
                self._refuse_when_full(sum(len(entry.value) for entry in entries))
            connection.execute("UPDATE tally SET accepted = accepted + ?", (stored,))
        if stored:
            self.arrived.set()
        return stored

    def taken(self, entries: Sequence[Entry]) -> list[int]:
        """Indices of those whose source and id belong to a stored event of other content."""
        with self._reading() as connection:
            found = [(index, _stored_digest(connection, entry)) for index, entry in enumerate(entries)]
        return [index for index, digest in found if digest not in (None, entries[index].digest)]

    def topic_of(self, source: str, id_: str) -> str | None:
        """The topic of an event that went through this outbox; null when it is not remembered."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT topic FROM event WHERE source = ? AND id = ?", (source, id_)
            ).fetchone()
        return row[0] if row else None

    def _refuse_when_full(self, more_bytes: int) -> None:
        """Within the transaction: the new events count as stored, but are not in the file yet."""
        if _free_bytes(self._path) - more_bytes < self._min_free_bytes:
            raise OutboxFull(f"less than {self._min_free_bytes} bytes are free on the disk of {self._path}")
        if self._max_bytes is not None and self._stored_bytes() > self._max_bytes:
            raise OutboxFull(f"{self._path} has reached its limit of {self._max_bytes} bytes")

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────

    def unsent(self, limit: int) -> list[Unsent]:
        """The oldest events not sent yet, in order, at most `limit` of them."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT position, topic, key, value FROM event JOIN content USING (position)"
                " WHERE sent_at IS NULL ORDER BY position LIMIT ?",
                (limit,),
            ).fetchall()
        return [Unsent(*row) for row in rows]

    def mark_sent(self, events: Sequence[Unsent], sent_at: datetime) -> None:
        """The broker has acknowledged these. Raises OutboxFull, OutboxUnavailable."""
        with self._transaction() as connection:
            changed = connection.executemany(
                "UPDATE event SET sent_at = ? WHERE position = ? AND sent_at IS NULL",
                [(sent_at.timestamp(), event.position) for event in events],
            ).rowcount
            connection.execute("UPDATE tally SET sent = sent + ?", (changed,))

    def resend(self, since: datetime) -> int:
        """Queue events sent at or after `since` again, for a broker that lost them; give how many."""
        with self._transaction() as connection:
            count = connection.execute(
                "UPDATE event SET sent_at = NULL"
                " WHERE sent_at >= ? AND position IN (SELECT position FROM content)",
                (since.timestamp(),),
            ).rowcount
            connection.execute("UPDATE tally SET sent = sent - ?", (count,))
        self.arrived.set()
        return count

    def prune(self, *, content_before: datetime, ids_before: datetime, limit: int = 5_000) -> int:
        """Drop the content, and later the id, of events sent before these moments.

        Gives how many rows changed. At most `limit` rows of each at a time, so that nobody waits long: call
        again until it gives 0.
        """
        content = {"before": max(content_before, ids_before).timestamp(), "limit": limit}
        with self._transaction() as connection:
            emptied = connection.execute(_DROP_CONTENT, content).rowcount
            forgotten = connection.execute(
                "DELETE FROM event WHERE position IN"
                " (SELECT position FROM event WHERE sent_at < ? ORDER BY sent_at LIMIT ?)"
                " AND position NOT IN (SELECT position FROM content)",
                (ids_before.timestamp(), limit),
            ).rowcount
        with self._reading() as connection:  # gives freed pages back to the file system
            connection.executescript("PRAGMA incremental_vacuum")  # execute() would stop after one page
        return forgotten + emptied

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────

    def state(self) -> OutboxState:
        """Depth, age and size now. Raises OutboxUnavailable."""
        with self._reading() as connection:
            accepted, sent = connection.execute("SELECT accepted, sent FROM tally").fetchone()
            oldest = connection.execute(
                "SELECT accepted_at FROM event WHERE sent_at IS NULL ORDER BY position LIMIT 1"
            ).fetchone()
            return OutboxState(
                accepted,
                sent,
                datetime.fromtimestamp(oldest[0], UTC) if oldest else None,
                self._stored_bytes(),
                _free_bytes(self._path),
            )

    def mark(self, name: str, value: str) -> str:
        """The fact of that name: `value` if there was none, else what was set first."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO mark VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
            row = connection.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def remark(self, name: str, value: str) -> None:
        """Set the fact of that name anew."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, value))

    def _stored_bytes(self) -> int:
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    # ── transactions ────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on disk when it ends."""
        with self._lock, _named_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:  # a full disk may have rolled back by itself
                    self._connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _named_errors(self._path):
            yield self._connection


_DROP_CONTENT = """
DELETE FROM content WHERE position IN (
  SELECT position FROM content JOIN event USING (position)
  WHERE sent_at < :before
    -- Events are sent in their order, so nothing after the last one sent by then needs to be looked at.
    AND position <= (SELECT position FROM event WHERE sent_at < :before ORDER BY sent_at DESC LIMIT 1)
  ORDER BY position LIMIT :limit)
"""


def _insert(connection: sqlite3.Connection, entry: Entry, accepted_at: datetime) -> bool:
    """Whether it was new."""
    done = connection.execute(
        "INSERT INTO event (source, id, topic, key, digest, accepted_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (source, id) DO NOTHING",
        (entry.source, entry.id, entry.topic, entry.key, entry.digest, accepted_at.timestamp()),
    )
    if done.rowcount != 1:
        return False
    connection.execute("INSERT INTO content VALUES (?, ?)", (done.lastrowid, entry.value))
    return True


def _is_same(connection: sqlite3.Connection, entry: Entry) -> bool:
    return _stored_digest(connection, entry) == entry.digest


def _stored_digest(connection: sqlite3.Connection, entry: Entry) -> bytes | None:
    row = connection.execute(
        "SELECT digest FROM event WHERE source = ? AND id = ?", (entry.source, entry.id)
    ).fetchone()
    return row[0] if row else None


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # before SQLite makes it readable to everyone
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the platter there
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    _migrate(connection)
    return connection


def migrations() -> list[tuple[int, str]]:
    """Number and text of every step from an empty file to today's outbox."""
    folder = resources.files("producers.gateway") / "migrations"
    named = ((re.match(r"(\d+)_.*\.sql$", file.name), file) for file in folder.iterdir())
    return sorted((int(match[1]), file.read_text()) for match, file in named if match)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to today's form; each step is a transaction. A newer file is refused, not guessed at."""
    steps = migrations()
    connection.execute("BEGIN IMMEDIATE")  # two processes may open a new file at once
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > steps[-1][0]:
            raise sqlite3.DatabaseError(f"it was written by a newer gateway (form {version})")
        for number, script in steps:
            if number > version:
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        if name == "SQLITE_FULL":
            raise OutboxFull(f"the disk of {path} is full") from None
        raise OutboxUnavailable(f"cannot use the outbox {path} ({name})") from None


def _free_bytes(path: Path) -> int:
    found = os.statvfs(path.parent)
    return found.f_bavail * found.f_frsize
