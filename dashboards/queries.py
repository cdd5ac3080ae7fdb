"""The one query layer: every number a person sees is read here, within the reader's scope.

The scope is bound into every query that could tell one clinic from another; no page adds or widens it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from warehouse import store

FEWEST_OTHERS = 2
"""Other clinics in a network total, below which a reader of some clinics does not see it [assumption]."""

MEMORY_LIMIT = "128MB"

Row = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """What a reader may see: all clinics where `clinic_ids` is null, else only those."""

    clinic_ids: frozenset[str] | None

    @property
    def every_clinic(self) -> bool:
        return self.clinic_ids is None

    def allows(self, clinic_id: str) -> bool:
        return self.clinic_ids is None or clinic_id in self.clinic_ids


EVERY_CLINIC = Scope(None)


class Queries:
    """Reads of one page, all at the same snapshot of the warehouse."""

    def __init__(self, session: store.Connection, scope: Scope) -> None:
        self._session = session
        self._scope = {
            "every_clinic": scope.every_clinic,
            "clinic_ids": sorted(scope.clinic_ids or ()),
        }

    def clinics(self) -> list[Row]:
        """The reader's clinics: clinic_id, display_name, time_zone; by name."""
        return self._rows("clinic", **self._scope)

    def protocols(self) -> list[Row]:
        """Protocols at their newest version; none for a reader of some clinics only."""
        return self._rows("protocol", every_clinic=self._scope["every_clinic"])

    def results(self, period: str) -> list[Row]:
        """Newest metric results of `year` or `week`; columns as in mart.metric_result, and for `year`
        `earlier_value` and `earlier_as_of`, null where nothing was computed a week before.
        """
        return self._rows("result", period=period, fewest_others=FEWEST_OTHERS, **self._scope)

    def freshness(self) -> Row:
        """How far landing and metrics have come, over the network; times null before the first."""
        return self._rows("freshness")[0]

    def _rows(self, name: str, **parameters: Any) -> list[Row]:
        return store.rows(self._session, store.statement(f"dashboard/{name}"), parameters)


class Reader:
    """A read-only warehouse for many threads: one DuckDB, one session and one snapshot a page.

    Opened at the first read, so that the dashboard may start before there is a warehouse.
    """

    def __init__(self, location: store.Location) -> None:
        self._location = location
        self._connection: store.Connection | None = None
        self._lock = threading.Lock()

    @contextmanager
    def queries(self, scope: Scope) -> Iterator[Queries]:
        """The queries of one page. Raises SettingsError while there is no warehouse."""
        with self._session() as session:
            yield Queries(session, scope)

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
                self._connection = store.connect(self._location, read_only=True, memory_limit=MEMORY_LIMIT)
            return self._connection
