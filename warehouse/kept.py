"""Marts by patient, kept up to date by what changed; a full rebuild takes every patient as changed.

change feed -> touched facts -> changed sessions, and their patients -> slice: the sessions' raw facts, in a
small catalog of their own, beside the patients' other sessions -> the views of core, made there from their
own files -> fresh rows -> what leaves and what enters the marts

So every mart has one definition, a view of core. Of the patients' other sessions only the next one may have
changed. Courses and windows follow from the fresh sessions by warehouse.metrics.courses.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import polars as pl

from producers.contracts.errors import SettingsError, WarehouseConflict
from warehouse import store
from warehouse.metrics import courses
from warehouse.store import Connection, Location

_VIEWS = ("core.session_outcome", "core.session_sign", "core.patient_assessment")


@dataclass(frozen=True)
class Update:
    """What `save` will do: from the marts' snapshot `since` (null: none yet) to `snapshot_id`, by which
    definitions, and how many patients had to be looked at."""

    since: int | None
    snapshot_id: int
    definitions: str
    patients: int
    done: bool = False

    def saved(self) -> "Update":
        """The same once it was saved: what is left is to see that nobody else has moved the marts since."""
        return replace(self, since=self.snapshot_id, done=True)


@contextmanager
def update(connection: Connection, *, rebuild: bool = False) -> Iterator[Update]:
    """Inside, temp.session_outcome, session_sign, patient_assessment, patient_window and patient_course are
    the marts as of one snapshot, and everything else read is of that snapshot, too. Holds no lock.

    After it the changes wait for `save` in temporary tables of the connection. `rebuild` takes every patient
    as changed; so do other definitions than those the marts were made by, and a change feed that is cut off.
    """
    with store.scratch(connection) as scratch, store.reading(connection, keeping=True) as snapshot_id:
        state = next(iter(store.rows(connection, store.statement("kept/state"))), None)
        wanted = _definitions()
        full = rebuild or state is None or state["definitions"] != wanted or not state["reachable"]
        since = state["snapshot_id"] if state else None
        if full:
            connection.execute(store.statement("kept/everything"))
        else:
            assert since is not None
            _find_changed(connection, since, snapshot_id)
        patients = _count(connection, "kept/patients")
        connection.execute(store.statement("kept/old" if patients else "kept/none"))
        if patients and full:
            connection.execute(store.statement("kept/fresh"))
        elif patients:
            with store.inside(connection, scratch):
                _slice(connection)
        _courses(connection)
        if patients:
            connection.execute(store.statement("kept/difference"))
        connection.execute(store.statement("kept/current"))
        yield Update(since, snapshot_id, wanted, patients)


def save(connection: Connection, found: Update) -> None:
    """In the caller's transaction: bring the marts to what `update` found.

    Raises WarehouseConflict where another refresh moved them meanwhile.
    """
    state = next(iter(store.rows(connection, store.statement("kept/state"))), None)
    there = state["snapshot_id"] if state else None
    if there != found.since:
        raise WarehouseConflict(f"mart.kept: holds snapshot {there}, we began from {found.since}")
    if found.patients and not found.done:
        connection.execute(store.statement("kept/save"))
    bind = {"snapshot_id": found.snapshot_id, "definitions": found.definitions}
    connection.execute(store.statement("kept/move"), bind)


@contextmanager
def saved(location: Location, facts: int, marts: int, *, memory_limit: str = "1GB") -> Iterator[Connection]:
    """A connection of its own that reads the facts of one snapshot and, under the names that `update` gives
    them, the marts that were saved from these facts in a later one.

    Raises WarehouseConflict where the later snapshot's marts rest on other facts, or one of both is gone.
    """
    try:
        opened = store.connect(location, snapshot=facts, memory_limit=memory_limit)
    except SettingsError as error:
        raise WarehouseConflict(f"snapshot {facts} cannot be read any more: {error}") from None
    with opened as connection:
        store.attach_past(connection, location, "kept", marts)
        found = store.rows(connection, store.statement("kept/rest_on"))[0]["snapshot_id"]
        if found != facts:
            raise WarehouseConflict(f"mart.kept: rests on snapshot {found}, we began from {facts}")
        connection.execute(store.statement("kept/saved"))
        yield connection


def forget(connection: Connection) -> None:
    """Drop what `update` left behind."""
    connection.execute(store.statement("kept/forget"))


def _definitions() -> str:
    """Digest of all that decides what the marts hold, given the facts."""
    texts = [text for _, text in store.views_behind(_VIEWS)]
    texts += [repr(courses.RULES), *map(store.statement, ("kept/visits", "kept/fresh"))]
    return hashlib.md5("\n".join(texts).encode(), usedforsecurity=False).hexdigest()


def _find_changed(connection: Connection, since: int, snapshot_id: int) -> None:
    """temp.changed: from the facts in the feed to all that they name, until nothing new is named."""
    if since < snapshot_id:
        interval = {"first": since + 1, "last": snapshot_id}
        connection.execute(store.statement("kept/added"), interval)
        if store.rows(connection, store.statement("kept/any_removed"), interval)[0]["removed"]:
            connection.execute(store.statement("kept/removed"), interval)
    else:
        connection.execute(store.statement("kept/untouched"))
    connection.execute(store.statement("kept/fact"))
    connection.execute(store.statement("kept/wanted"))
    known = pl.DataFrame(schema={"kind": pl.String(), "found_by": pl.String(), "key": pl.UInt64()})
    while True:
        wanted = connection.execute("FROM temp.wanted").pl()
        new = wanted.join(known, on=known.columns, how="anti")
        if not new.height:
            break
        known = wanted
        for (kind, found_by), keys in new.partition_by("kind", "found_by", as_dict=True).items():
            _reach(connection, kind, found_by, keys.select("key"))
    if _count(connection, "kept/registrations"):
        connection.execute(store.statement("kept/registered"))
    connection.execute(store.statement("kept/changed"))


def _reach(connection: Connection, kind: str, found_by: str, keys: pl.DataFrame) -> None:
    """Add to temp.touched the facts of one kind that have one of these keys."""
    connection.register("new_keys", keys)
    try:
        found = connection.execute(store.statement(f"kept/earliest_{found_by}"), {"kind": kind}).fetchall()
        if (earliest := found[0][0]) is not None:
            bind = {"kind": kind, "earliest": earliest}
            connection.execute(store.statement(f"kept/reach_{found_by}"), bind)
    finally:
        connection.unregister("new_keys")


def _slice(connection: Connection) -> None:
    """The raw facts of the changed sessions in the current catalog, the views of core on them, their rows."""
    connection.execute(store.statement("kept/slice"))
    for name, text in store.views_behind(_VIEWS):
        connection.execute(text)
        if name == "core.session":
            connection.execute(store.statement("kept/other_session"))
    connection.execute(store.statement("kept/fresh_slice"))


def _courses(connection: Connection) -> None:
    visits = connection.execute(store.statement("kept/visits")).pl()
    rebuilt = courses.rebuild_courses(visits)
    for name, rows in (("windows", courses.windows(rebuilt)), ("courses", courses.course_facts(rebuilt))):
        connection.register("made", rows)
        try:
            connection.execute(store.statement(f"kept/fresh_{name}"))
        finally:
            connection.unregister("made")


def _count(connection: Connection, name: str) -> int:
    return int(connection.execute(store.statement(name)).fetchall()[0][0])
