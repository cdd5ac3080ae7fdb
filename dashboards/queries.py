"""The one query layer: every number a person sees is read here, within the reader's scope.

The scope is bound into every query that could tell one clinic from another; no page adds or widens it.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from producers.contracts.errors import SettingsError
from warehouse import store

FEWEST_OTHERS = 2
"""Other clinics in a network total, below which a reader of some clinics does not see it [assumption]."""

FEWEST = 5
"""People or sessions, below which a cell is suppressed [assumption: a customary threshold, the reports'
own]."""

FOLLOW_REFRESH = frozenset(
    {
        "annotation",
        "balance",
        "clinic",
        "connected",
        "data_quality",
        "data_quality_at",
        "device",
        "device_name",
        "dictionary",
        "due",
        "due_count",
        "funnel",
        "group",
        "look",
        "metric_card",
        "mix",
        "network_seen",
        "protocol",
        "report",
        "report_file",
        "report_snapshot",
        "result",
        "return_curve",
        "session_list",
        "shrunken_effect",
        "signal",
        "signal_history",
        "week_limit",
    }
)
"""Statements that read only the marts and the registries (clinics, protocols, devices): their rows are kept
until one of those changes, while landing commits every second. Others are asked anew at every snapshot."""

MOST_CELLS = 250_000
"""Values kept at a time by each memory, some 25 MB; the answers least recently used are forgotten first."""

PAGES_AT_ONCE = 4
"""Pages with an open transaction at a time, the others wait; those that find all answers kept are quick."""

AT_ONCE = 1
"""Statements run at a time, the others wait: with two, MEMORY_LIMIT was too little for fifty readers."""

MEMORY_LIMIT = "128MB"

Row = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """What a reader may see: all clinics where `clinic_ids` is null, else only those; with `people` also rows
    about single patients, under their pseudonyms."""

    clinic_ids: frozenset[str] | None
    people: bool = False

    @property
    def every_clinic(self) -> bool:
        return self.clinic_ids is None

    def allows(self, clinic_id: str) -> bool:
        return self.clinic_ids is None or clinic_id in self.clinic_ids


EVERY_CLINIC = Scope(None)


class Kept:
    """Answers that hold while a revision does; each is asked for once, however many wait for it."""

    def __init__(self) -> None:
        self._revision = -1
        self._answers: OrderedDict[Any, list[Row]] = OrderedDict()
        self._cells = 0
        self._asked: dict[Any, Future[list[Row]]] = {}
        self._lock = threading.Lock()

    def get(self, revision: int, key: Any, ask: Callable[[], list[Row]]) -> list[Row]:
        """The answer to `key` at that revision; whoever waits for it gets the error, too. A reader of an
        older revision keeps nothing, and below 0 each asks for itself."""
        if revision < 0:
            return ask()
        with self._lock:
            if revision > self._revision:
                self._revision, self._cells = revision, 0
                self._answers.clear()
            if revision == self._revision and key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
            waiting = self._asked.get((revision, key))
            if waiting is None:
                promised = self._asked[revision, key] = Future()
        if waiting is not None:
            return waiting.result()
        try:
            found = ask()
            promised.set_result(found)
        except BaseException as error:
            promised.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._asked[revision, key]
                if revision == self._revision and promised.exception() is None:
                    self._keep(key, promised.result())
        return found

    def _keep(self, key: Any, found: list[Row]) -> None:
        self._answers[key] = found
        self._cells += _cells(found)
        while self._cells > MOST_CELLS:
            self._cells -= _cells(self._answers.popitem(last=False)[1])


def _cells(rows: list[Row]) -> int:
    return 1 + (len(rows) * len(rows[0]) if rows else 0)


class Memory:
    """What one reader keeps: answers of a snapshot, and answers of what was last published."""

    def __init__(self) -> None:
        self.live = Kept()
        self.published = Kept()
        self._lock = threading.Lock()
        self._seen = self._changed = -1

    def published_at(self, session: store.Connection, snapshot: int) -> int:
        """The newest snapshot, as far as this memory has seen, that changed what FOLLOW_REFRESH reads.

        -1 for a reader of an older snapshot than that: nothing is kept for it.
        """
        with self._lock:
            if snapshot < self._seen:
                return self._changed if self._changed <= snapshot else -1
            if snapshot > self._seen:
                self._changed = self._newest_change(session, snapshot)
                self._seen = snapshot
            return self._changed

    def _newest_change(self, session: store.Connection, snapshot: int) -> int:
        if self._seen < 0:
            return snapshot
        bind = {"since": self._seen, "snapshot": snapshot}
        (row,) = store.rows(session, store.statement("dashboard/published"), bind)
        if row["unknown"]:
            return snapshot
        return self._changed if row["changed"] is None else int(row["changed"])


class Queries:
    """Reads of one page, all at the same snapshot. The rows are shared: never change them."""

    def __init__(
        self,
        session: store.Connection,
        scope: Scope,
        memory: Memory,
        turns: threading.BoundedSemaphore,
    ) -> None:
        self._session = session
        self._snapshot = store.snapshot_id(session)
        self._published = memory.published_at(session, self._snapshot)
        self._memory = memory
        self._turns = turns
        self._scope = {
            "every_clinic": scope.every_clinic,
            "clinic_ids": sorted(scope.clinic_ids or ()),
            "people": scope.people,
            "fewest": FEWEST,
            "fewest_others": FEWEST_OTHERS,
        }

    def clinics(self) -> list[Row]:
        """The reader's clinics: clinic_id, display_name, time_zone; by name."""
        return self.read("clinic")

    def protocols(self) -> list[Row]:
        """Protocols at their newest version; none for a reader of some clinics only."""
        return self.read("protocol")

    def results(self, metrics: Sequence[str], scope_ids: Sequence[str] = ()) -> list[Row]:
        """Newest results of those metrics about the network, clinics and protocols: of the year, and where
        `scope_ids` names what they are about, of each week; asked once for all, as `of_clinic` does. Columns
        as in mart.metric_result, and `earlier_value` and `earlier_as_of`, null for weeks and where nothing
        was computed a week before.

        Cells about fewer than FEWEST people are `suppressed`, others with them where a total would give them
        away: their numbers are null.
        """
        rows = self.read("result", metrics=list(metrics), weeks=bool(scope_ids))
        return [row for row in rows if row["period"] == "year" or row["scope_id"] in scope_ids]

    def freshness(self) -> Row:
        """How far landing and metrics have come, over the network; times null before the first."""
        return self.read("freshness")[0]

    def of_clinic(self, name: str, wanted: str | None, **parameters: Any) -> list[Row]:
        """The rows of one clinic, null for all, of a statement that is asked once for all the reader's
        clinics: to plan it costs more than its rows."""
        rows = self.read(name, **parameters)
        return rows if wanted is None else [row for row in rows if row["clinic_id"] == wanted]

    def read(self, name: str, **parameters: Any) -> list[Row]:
        """Rows of `warehouse/sql/dashboard/<name>.sql`. The reader's scope is bound here and nowhere else; a
        statement without it tells of no clinic, and a test lists those."""
        kept, revision = (
            (self._memory.published, self._published)
            if name in FOLLOW_REFRESH
            else (self._memory.live, self._snapshot)
        )
        return kept.get(revision, self._key(name, parameters), lambda: self._ask(name, parameters))

    def _key(self, name: str, parameters: dict[str, Any]) -> tuple[str, str]:
        """What an answer is kept under: the reader's scope is part of it."""
        return name, repr(sorted((self._scope | parameters).items()))

    def _ask(self, name: str, parameters: dict[str, Any]) -> list[Row]:
        sql = store.statement(f"dashboard/{name}")
        bound = {name: value for name, value in self._scope.items() if re.search(rf"\${name}\b", sql)}
        with self._turns:
            return store.rows(self._session, sql, bound | parameters)


class Reader:
    """A read-only warehouse for many threads: one DuckDB, one session and one snapshot a page.

    `snapshot` holds it at an older one; null: always the newest.
    Opened at the first read, so that the dashboard may start before there is a warehouse. Rows are kept until
    the next snapshot or publication, by query and every parameter: the scope is one of them.
    """

    def __init__(self, location: store.Location, snapshot: int | None = None) -> None:
        self._location = location
        self._snapshot = snapshot
        self._connection: store.Connection | None = None
        self._lock = threading.Lock()
        self._memory = Memory()
        self._pages = threading.BoundedSemaphore(PAGES_AT_ONCE)
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    @contextmanager
    def queries(self, scope: Scope) -> Iterator[Queries]:
        """The queries of one page. Raises SettingsError while there is no warehouse."""
        with self._pages, self._session() as session:
            yield Queries(session, scope, self._memory, self._turns)

    def snapshot_id(self) -> int:
        """The newest snapshot. Raises SettingsError while there is no warehouse."""
        with self._session() as session:
            return store.snapshot_id(session)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _session(self) -> Iterator[store.Connection]:
        session = store.cursor(self._open())
        try:
            session.execute("BEGIN")
            yield session
            session.execute("ROLLBACK")
        finally:
            session.close()

    def _open(self) -> store.Connection:
        with self._lock:
            if self._connection is None:
                opened = store.connect(
                    self._location, read_only=True, memory_limit=MEMORY_LIMIT, snapshot=self._snapshot
                )
                if not store.rows(opened, store.statement("dashboard/ready"))[0]["ready"]:
                    opened.close()
                    raise SettingsError("the warehouse is being set up: its views are not there yet")
                # Many small queries at once: each on its caller's thread, more would only get in the way.
                opened.execute("SET threads = 1")
                self._connection = opened
            return self._connection


class NotKept(Exception):
    """That snapshot is gone, or older than what the pages read."""


class Past:
    """Older snapshots, one open at a time, the last asked for: a week's reports all name the same."""

    def __init__(self, location: store.Location) -> None:
        self._location = location
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self._snapshot: int | None = None

    @contextmanager
    def queries(self, snapshot: int, scope: Scope) -> Iterator[Queries]:
        """The queries of one page as it was at that snapshot. Raises NotKept."""
        with self._lock:
            if self._reader is None or snapshot != self._snapshot:
                self._close()
                self._reader, self._snapshot = Reader(self._location, snapshot), snapshot
            try:
                with self._reader.queries(scope) as queries:
                    yield queries
            except (SettingsError, store.Error) as error:
                raise NotKept(str(error)) from None

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None
