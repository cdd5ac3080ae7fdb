"""Naive landing code, one mistake each: what a fault test must find, or it proves nothing.

Each is a context manager that puts the mistake into this process.
"""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import tenacity

import flows.landing
import warehouse.landing
import warehouse.maintenance
from flows.event_source import EventSource
from producers.contracts import Retryable, SettingsError
from warehouse import store
from warehouse.decoding import Decoded
from warehouse.log import Batch

Mutant = Callable[[], AbstractContextManager[Any]]
_land = warehouse.landing.land
_land_next = flows.landing.Lander._land_next
_advance = warehouse.landing._advance


def _no_advance(*_: Any) -> None:
    """The offsets are somebody else's business."""


@contextlib.contextmanager
def _sql(name: str, change: Callable[[str], str]) -> Iterator[None]:
    """One statement of landing with other words."""
    before = warehouse.landing.statement

    def other(wanted: str) -> str:
        return change(before(wanted)) if wanted == name else before(wanted)

    with patch.object(warehouse.landing, "statement", other):
        yield


def _move_offsets(
    connection: store.Connection, location: store.Location, batch: Batch, batch_id: str, at: dt.datetime
) -> None:
    connection.register("parts", warehouse.landing._parts(batch))
    with store.transaction(connection, location):
        _advance(connection, batch, batch_id, at)
    connection.unregister("parts")


@contextlib.contextmanager
def offsets_first() -> Iterator[None]:
    """The offsets are committed, then the rows."""

    def land(connection: Any, location: Any, decoded: Decoded, **named: Any) -> Any:
        _move_offsets(connection, location, decoded.batch, named["batch_id"], named["landed_at"])
        return _land(connection, location, decoded, **named)

    with (
        patch.object(flows.landing.landing, "land", land),
        patch.object(warehouse.landing, "_advance", _no_advance),
    ):
        yield


@contextlib.contextmanager
def offsets_last() -> Iterator[None]:
    """The rows are committed, then the offsets; nobody looks whether the rows are there already."""

    def land(connection: Any, location: Any, decoded: Decoded, **named: Any) -> Any:
        with patch.object(warehouse.landing, "progress", lambda _: _Anything(decoded.batch)):
            report = _land(connection, location, decoded, **named)
        _move_offsets(connection, location, decoded.batch, named["batch_id"], named["landed_at"])
        return report

    with (
        patch.object(flows.landing.landing, "land", land),
        patch.object(warehouse.landing, "_advance", _no_advance),
        only_within_the_batch(),
    ):
        yield


class _Anything(dict[Any, int]):
    """Progress as this batch would like it."""

    def __init__(self, batch: Batch) -> None:
        super().__init__({s.partition: s.next_offset for s in batch.slices})


def only_within_the_batch() -> AbstractContextManager[None]:
    """Duplicates are looked for among the events of one batch."""
    return _sql("landing/known", lambda text: text.replace("WHERE", "WHERE false AND"))


@contextlib.contextmanager
def recent_window() -> Iterator[None]:
    """Duplicates are looked for among events of the last hour, as many a loader does."""
    span = dt.timedelta(hours=1)

    def spans(_: Decoded) -> list[tuple[dt.datetime, dt.datetime]]:
        now = dt.datetime.now(dt.UTC)
        return [(now - span, now + span)]

    with patch.object(Decoded, "spans", spans):
        yield


def no_compare_and_set() -> AbstractContextManager[None]:
    """The progress is set, wherever it stands."""
    return _sql(
        "landing/advance", lambda text: text.replace("AND progress.next_offset = parts.first_offset", "")
    )


_ALL_OF_THEM = "SELECT count(*) FROM parts WHERE $batch_id IS NOT NULL AND $landed_at IS NOT NULL"


@contextlib.contextmanager
def appended_progress() -> Iterator[None]:
    """The progress is a list that one appends to; duplicates are not looked for, as offsets 'are exact'."""
    with (
        _sql("landing/advance", lambda _: _ALL_OF_THEM),
        patch.object(warehouse.landing, "progress", lambda c: _Appended(c)),
        patch.object(warehouse.log, "progress", lambda c: _Appended(c)),
        only_within_the_batch(),
    ):
        yield


class _Appended(dict[Any, int]):
    """Progress as the ledger's last entry says."""

    def __init__(self, connection: store.Connection) -> None:
        found = connection.execute(
            'SELECT topic, "partition", max(next_offset) FROM ('
            'SELECT topic, "partition", next_offset FROM landing.batch UNION ALL '
            'SELECT topic, "partition", next_offset FROM landing.progress) GROUP BY ALL'
        ).fetchall()
        super().__init__({warehouse.log.Partition(topic, number): at for topic, number, at in found})


@contextlib.contextmanager
def go_on_after_an_error() -> Iterator[None]:
    """A batch that could not be stored is logged, and its offsets are done with."""

    def land_next(self: Any, ahead: Any, totals: Any) -> bool:
        try:
            return bool(_land_next(self, ahead, totals))
        except (store.Error, OSError, Retryable):
            flows.landing.log.warning("could not store a batch")
            totals.batches += 1
            return True

    once = tenacity.Retrying(stop=tenacity.stop_after_attempt(1), reraise=True)
    with (
        patch.object(flows.landing.Lander, "_land_next", land_next),
        patch.object(flows.landing, "retrying", lambda: once),
        no_compare_and_set(),
    ):
        yield


@contextlib.contextmanager
def silent_reset() -> Iterator[None]:
    """An offset that Kafka no longer holds is replaced by one that it holds."""
    seek = EventSource.seek

    def clamped(self: EventSource, positions: Any) -> None:
        bounds = self.bounds()
        seek(self, {p: min(max(at, bounds[p][0]), bounds[p][1]) for p, at in positions.items()})

    with patch.object(EventSource, "seek", clamped), no_compare_and_set():
        yield


def give_up_at_once() -> AbstractContextManager[Any]:
    """What could work later is taken for an end."""
    return patch.object(flows.landing, "Retryable", SettingsError)


@contextlib.contextmanager
def remove_unnamed_files_at_once() -> Iterator[None]:
    """Whatever no snapshot names is removed, without waiting for those who write it just now."""

    def maintain(connection: Any, *_: Any, **__: Any) -> None:
        connection.execute("CALL ducklake_delete_orphaned_files('dermastream', cleanup_all => true)")

    with patch.object(warehouse.maintenance, "maintain", maintain):
        yield


MUTANTS: dict[str, Mutant] = {
    "offsets first": offsets_first,
    "offsets last": offsets_last,
    "only within the batch": only_within_the_batch,
    "recent window": recent_window,
    "no compare-and-set": no_compare_and_set,
    "appended progress": appended_progress,
    "go on after an error": go_on_after_an_error,
    "silent reset": silent_reset,
    "give up at once": give_up_at_once,
    "remove unnamed files at once": remove_unnamed_files_at_once,
}
