"""Keeping the warehouse small and quick while everything else goes on.

Each step is a short turn of its own among the writers, so landing waits for one file at most; killed
anywhere, the next run takes up where this one stopped. A file is removed only when no snapshot has needed it
for a day, and never while the catalog still names it.
"""

import contextlib
import datetime as dt
import fcntl
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from producers.contracts.errors import CheckFailed, WarehouseConflict
from warehouse import retention, store
from warehouse.retention import Retention
from warehouse.store import Connection, Location

EXPIRE_AT_ONCE = 2_000
"""Snapshots forgotten in one turn: some tenths of a second."""

REWRITE_SHARE = 0.2
"""Deleted share of a file from which it is written again without the deleted rows; an assumption."""


@dataclass(frozen=True)
class Policy:
    """How long history stays: snapshots for time travel, then files for whoever still reads them."""

    snapshots_for: dt.timedelta = dt.timedelta(days=7)
    files_for: dt.timedelta = dt.timedelta(days=1)
    retention: Retention = field(default_factory=Retention)


@dataclass
class Maintained:
    """What a run did. `aged` counts events removed by retention, per relation."""

    merged_files: int = 0
    rewritten_files: int = 0
    expired_snapshots: int = 0
    pinned_snapshots: int = 0
    removed_files: int = 0
    removed_orphans: int = 0
    aged: dict[str, int] = field(default_factory=dict)
    longest_turn_seconds: float = 0.0
    seconds: float = 0.0

    def table(self) -> list[dict[str, Any]]:
        aged = ", ".join(f"{relation}: {events}" for relation, events in sorted(self.aged.items()))
        return [asdict(self) | {"aged": aged or "-"}]


@contextlib.contextmanager
def alone(location: Location) -> Iterator[None]:
    """Maintenance, backup and erasure exclude each other; landing and readers are not concerned.

    Raises WarehouseConflict where another of them is at work.
    """
    if location.kind != "sqlite":  # scaled out, run them from one place
        yield
        return
    location.catalog_file.parent.mkdir(parents=True, exist_ok=True)
    with open(location.catalog_file.with_suffix(".maintenance.lock"), "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WarehouseConflict(
                f"{location.catalog_file}: a maintenance, backup or erasure is under way"
            ) from None
        yield


def maintain(
    connection: Connection,
    location: Location,
    policy: Policy,
    *,
    pins: Collection[int],
    now: dt.datetime,
    stopped: Callable[[], bool] = lambda: False,
) -> Maintained:
    """Retention, expiry, merging, rewriting, clean-up, in this order; `pins` are snapshots to keep.

    Gives up early, between two turns, once `stopped()`. Raises CheckFailed when a file that is to go is
    still needed: nothing of that turn was removed then.
    """
    began = time.perf_counter()
    done = Maintained()
    turns = _Turns(connection, location, done)
    with alone(location):
        done.aged = retention.apply(connection, location, policy.retention, now=now)
        for step in (_expire, _merge, _rewrite, _clean_up):
            for _ in step(turns, policy, pins, now):
                if stopped():
                    break
    done.seconds = time.perf_counter() - began
    return done


@dataclass
class _Turns:
    """Calls to DuckLake, each in a transaction of its own, and the account of them."""

    connection: Connection
    location: Location
    done: Maintained

    def take(self, name: str, **bind: Any) -> list[tuple[Any, ...]]:
        began = time.perf_counter()
        with store.transaction(self.connection, self.location):
            found = self.connection.execute(store.statement(f"maintenance/{name}"), bind).fetchall()
        self.done.longest_turn_seconds = max(self.done.longest_turn_seconds, time.perf_counter() - began)
        return found

    def look(self, name: str, **bind: Any) -> list[dict[str, Any]]:
        return store.rows(self.connection, store.statement(f"maintenance/{name}"), bind)


Step = Iterator[None]


def _expire(turns: _Turns, policy: Policy, pins: Collection[int], now: dt.datetime) -> Step:
    before = now - policy.snapshots_for
    found = turns.look("expirable", before=before, pins=sorted(pins))
    old = [row["snapshot_id"] for row in found]
    turns.done.pinned_snapshots = len(pins)
    for first in range(0, len(old), EXPIRE_AT_ONCE):
        turns.done.expired_snapshots += len(
            turns.take("expire", versions=old[first : first + EXPIRE_AT_ONCE])
        )
        yield


def _merge(turns: _Turns, policy: Policy, pins: Collection[int], now: dt.datetime) -> Step:
    for row in turns.look("relations"):
        merged = row["files"] > 1
        while merged:
            found = turns.take("merge", schema=row["schema"], table=row["table"])
            # One file made of one file is no progress: DuckLake would say so again and again.
            merged = any(processed > created for _, _, processed, created in found)
            turns.done.merged_files += sum(processed for _, _, processed, _ in found) if merged else 0
            yield


def _rewrite(turns: _Turns, policy: Policy, pins: Collection[int], now: dt.datetime) -> Step:
    for row in turns.look("relations"):
        if row["deleted_in_files"]:
            found = turns.take("rewrite", schema=row["schema"], table=row["table"], threshold=REWRITE_SHARE)
            turns.done.rewritten_files += sum(processed for _, _, processed, _ in found)
            yield


def _clean_up(turns: _Turns, policy: Policy, pins: Collection[int], now: dt.datetime) -> Step:
    """Both kinds of file that nobody needs: scheduled by DuckLake, and left by a writer that died."""
    older_than = now - policy.files_for
    turns.done.removed_files += len(_remove(turns, "cleanup", older_than))
    yield
    turns.done.removed_orphans += len(_remove(turns, "orphans", older_than))
    yield


def _remove(turns: _Turns, name: str, older_than: dt.datetime) -> list[tuple[Any, ...]]:
    with store.transaction(turns.connection, turns.location):
        call = store.statement(f"maintenance/{name}")
        listed = turns.connection.execute(call, {"dry_run": True, "older_than": older_than}).fetchall()
        refuse_live((path for (path,) in listed), live_files(turns.connection, turns.location))
        return turns.connection.execute(call, {"dry_run": False, "older_than": older_than}).fetchall()


@dataclass(frozen=True)
class LiveFile:
    """A file that some snapshot needs: full path, its relation, `data` or `delete`, its size, and its key in
    base64, null where it is not encrypted."""

    path: str
    relation: str
    kind: str
    bytes: int
    begin_snapshot: int
    key: str | None = field(default=None, repr=False)


def live_files(connection: Connection, location: Location) -> list[LiveFile]:
    """Every file that some snapshot needs; nothing else in the data folder is."""
    return [
        LiveFile(
            (location.data_path if row["path_is_relative"] else "") + row["path"],
            *(row[name] for name in ("relation", "kind", "bytes", "begin_snapshot", "key")),
        )
        for row in store.rows(connection, store.statement("maintenance/live_files"))
    ]


def refuse_live(going: Iterable[str], live: Iterable[LiveFile]) -> None:
    """Raises CheckFailed naming the relation, when a file that is to go is one that is needed."""
    relation_of = {file.path: file.relation for file in live}
    for path in going:
        if path in relation_of:
            raise CheckFailed(f"{relation_of[path]}: {path} was to be removed, but a snapshot still needs it")
