"""The one query layer: every number a person sees is read here, within the reader's scope.

The scope is bound into every query that could tell one clinic from another; no page adds or widens it.
"""

import re
import threading
from collections.abc import Iterator, Sequence
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


class Queries:
    """Reads of one page, all at the same snapshot. The rows are shared: never change them."""

    def __init__(self, session: store.Connection, scope: Scope, kept: dict[Any, list[Row]]) -> None:
        self._session = session
        self._scope = {
            "every_clinic": scope.every_clinic,
            "clinic_ids": sorted(scope.clinic_ids or ()),
            "people": scope.people,
            "fewest": FEWEST,
            "fewest_others": FEWEST_OTHERS,
        }
        self._kept = kept

    def clinics(self) -> list[Row]:
        """The reader's clinics: clinic_id, display_name, time_zone; by name."""
        return self.read("clinic")

    def protocols(self) -> list[Row]:
        """Protocols at their newest version; none for a reader of some clinics only."""
        return self.read("protocol")

    def results(self, metrics: Sequence[str], scope_ids: Sequence[str] = ()) -> list[Row]:
        """Newest results of those metrics about the network, clinics and protocols: of the year, and where
        `scope_ids` names what they are about, of each week. Columns as in mart.metric_result, and
        `earlier_value` and `earlier_as_of`, null for weeks and where nothing was computed a week before.

        Cells about fewer than FEWEST people are `suppressed`, others with them where a total would give them
        away: their numbers are null.
        """
        return self.read("result", metrics=list(metrics), scope_ids=list(scope_ids))

    def freshness(self) -> Row:
        """How far landing and metrics have come, over the network; times null before the first."""
        return self.read("freshness")[0]

    def read(self, name: str, **parameters: Any) -> list[Row]:
        """Rows of `warehouse/sql/dashboard/<name>.sql`. The reader's scope is bound here and nowhere else; a
        statement without it tells of no clinic, and a test lists those."""
        key = (name, repr(sorted((self._scope | parameters).items())))
        if key not in self._kept:
            sql = store.statement(f"dashboard/{name}")
            bound = {name: value for name, value in self._scope.items() if re.search(rf"\${name}\b", sql)}
            self._kept[key] = store.rows(self._session, sql, bound | parameters)
        return self._kept[key]


class Reader:
    """A read-only warehouse for many threads: one DuckDB, one session and one snapshot a page.

    Opened at the first read, so that the dashboard may start before there is a warehouse. Rows are kept until
    the next snapshot, by query and every parameter: the scope is one of them.
    """

    def __init__(self, location: store.Location) -> None:
        self._location = location
        self._connection: store.Connection | None = None
        self._lock = threading.Lock()
        self._kept: tuple[int, dict[Any, list[Row]]] = (-1, {})

    @contextmanager
    def queries(self, scope: Scope) -> Iterator[Queries]:
        """The queries of one page. Raises SettingsError while there is no warehouse."""
        with self._session() as session:
            snapshot = store.snapshot_id(session)
            if self._kept[0] != snapshot:
                self._kept = (snapshot, {})
            at, kept = self._kept
            yield Queries(session, scope, kept if at == snapshot else {})

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
                opened = store.connect(self._location, read_only=True, memory_limit=MEMORY_LIMIT)
                if not store.rows(opened, store.statement("dashboard/ready"))[0]["ready"]:
                    opened.close()
                    raise SettingsError("the warehouse is being set up: its views are not there yet")
                # Many small queries at once: each on its caller's thread, more would only get in the way.
                opened.execute("SET threads = 1")
                self._connection = opened
            return self._connection
