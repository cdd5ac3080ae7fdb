"""Proving that the warehouse is whole: counts, checksums, books, files. A finding names the relation.

Everything is read at one snapshot while landing goes on; maintenance, backup and erasure wait.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from producers.contracts.errors import CheckFailed, WarehouseUnavailable
from warehouse import store
from warehouse.audit import broken_links
from warehouse.deliveries import Ledger
from warehouse.maintenance import alone, live_files
from warehouse.store import Connection, Location

ROWS_AT_ONCE = 20_000_000
"""Events that one pass of the search for duplicates holds in memory."""


@dataclass(frozen=True)
class Relation:
    """A table's contents in two numbers; equal contents give equal checksums."""

    relation: str
    rows: int
    checksum: str


@dataclass(frozen=True)
class Finding:
    """Something that does not hold, and where."""

    relation: str
    rule: str
    detail: str


@dataclass
class Verified:
    """What was looked at and what was found. Orphans are files nobody names: wasteful, not wrong."""

    snapshot_id: int
    relations: list[Relation] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    orphans: int = 0


def verify(connection: Connection, location: Location, ledger: Path | None = None) -> Verified:
    """Look at everything, the send ledger too where `ledger` is one, and give what does not hold. Raises
    WarehouseConflict while maintenance runs."""
    with alone(location), store.reading(connection) as snapshot:
        done = Verified(snapshot)
        done.findings += _files(connection, location, done)
        tables = store.rows(connection, store.statement("verify/catalog"), {"snapshot": snapshot})
        for table in tables:
            done.findings += _count(connection, table, done.relations)
            if done.findings and done.findings[-1].rule == "unreadable":
                return done  # DuckDB gives up the transaction, and the books cannot be held against this
        done.findings += _ledger(connection)
        done.findings += _batches(connection, tables)
        done.findings += _duplicates(connection, done.relations)
        done.findings += [Finding("privacy.audit", "chain", link) for link in broken_links(connection)]
        done.findings += _deliveries(ledger)
    return done


def _deliveries(ledger: Path | None) -> Iterator[Finding]:
    """The send ledger can be read whole, and each delivery is where its last step left it."""
    if ledger is None or not ledger.exists():
        return
    try:
        for detail in Ledger(ledger).broken():
            yield Finding("delivery", "ledger", detail)
    except (CheckFailed, WarehouseUnavailable) as error:
        yield Finding("delivery", "unreadable", str(error))


def checksums(connection: Connection) -> list[Relation]:
    """Every table's contents at the newest snapshot. Raises store.Error where a file cannot be read."""
    with store.reading(connection) as snapshot:
        tables = store.rows(connection, store.statement("verify/catalog"), {"snapshot": snapshot})
        return [_checksum(connection, table) for table in tables]


def _on(relation: str, name: str) -> str:
    """A statement about one relation. Names come from the catalog, never from data."""
    schema, table = relation.split(".", 1)
    return store.statement(f"verify/{name}").replace("FROM RELATION", f'FROM "{schema}"."{table}"')


def _checksum(connection: Connection, table: dict[str, Any]) -> Relation:
    """Most tables of a young warehouse are empty; that takes no hashing to see."""
    name = "checksum" if table["rows"] else "empty"
    row = store.rows(connection, _on(table["relation"], name))[0]
    return Relation(table["relation"], row["rows"], row["checksum"])


def _count(connection: Connection, table: dict[str, Any], counted: list[Relation]) -> Iterator[Finding]:
    """Read all of a table, and hold its rows against the catalog's count."""
    name = table["relation"]
    try:
        found = _checksum(connection, table)
    except store.Error as error:
        yield Finding(name, "unreadable", store.first_line(error))
        return
    counted.append(found)
    if found.rows != table["rows"]:
        yield Finding(name, "count", f"{found.rows} rows, the catalog says {table['rows']}")


def _ledger(connection: Connection) -> Iterator[Finding]:
    """The books hold in themselves, without a gap, and end where the progress stands."""
    for name, relation in (
        ("unbalanced", "landing.batch"),
        ("gaps", "landing.batch"),
        ("progress", "landing.progress"),
    ):
        for row in store.rows(connection, store.statement(f"verify/{name}")):
            yield Finding(relation, name, row["detail"])


def _batches(connection: Connection, tables: list[dict[str, Any]]) -> Iterator[Finding]:
    """What each batch says it landed and quarantined is there, or was removed and booked."""
    landed: Counter[str] = Counter()
    quarantined: Counter[str] = Counter()
    for table in tables:
        if table["has_batch"] and (table["schema"] == "raw" or table["relation"] == "landing.quarantine"):
            into = landed if table["schema"] == "raw" else quarantined
            for row in store.rows(connection, _on(table["relation"], "by_batch")):
                into[row["batch_id"]] += row["events"]
    for row in store.rows(connection, store.statement("verify/removed")):
        landed[row["batch_id"]] += row["landed"]
        quarantined[row["batch_id"]] += row["quarantined"]
    for row in store.rows(connection, store.statement("verify/booked")):
        batch = row["batch_id"]
        for relation, there in (("raw", landed), ("landing.quarantine", quarantined)):
            booked = row["landed" if relation == "raw" else "quarantined"]
            if there[batch] != booked:
                yield Finding(relation, "ledger", f"batch {batch} booked {booked}, {there[batch]} are there")


def _duplicates(connection: Connection, relations: list[Relation]) -> Iterator[Finding]:
    events = sum(r.rows for r in relations if r.relation.startswith("raw."))
    parts = events // ROWS_AT_ONCE + 1
    for part in range(parts):
        bind = {"part": part, "parts": parts}
        for row in store.rows(connection, store.statement("verify/duplicates"), bind):
            yield Finding("raw", "duplicate", f"{row['source']} {row['id']} stands {row['times']} times")


def _files(connection: Connection, location: Location, done: Verified) -> Iterator[Finding]:
    """Every file that a snapshot needs is there in its full size."""
    live = live_files(connection, location)
    local = "://" not in location.data_path
    pattern = {"pattern": f"{location.data_path}**/*.parquet"}
    stored = {row["path"] for row in store.rows(connection, store.statement("verify/stored"), pattern)}
    for file in live:
        if file.path not in stored:
            yield Finding(file.relation, "missing file", file.path)
        elif local and (size := Path(file.path).stat().st_size) != file.bytes:
            yield Finding(file.relation, "damaged file", f"{file.path}: {size} bytes, not {file.bytes}")
    waiting = {
        (location.data_path if row["path_is_relative"] else "") + row["path"]
        for row in store.rows(connection, store.statement("verify/scheduled"))
    }
    done.files = len(live)
    done.orphans = len(stored - {file.path for file in live} - waiting)
