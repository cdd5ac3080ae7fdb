"""Issued reports in the lake: the frozen data and the checksums of the files, written once."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse import store
from warehouse.store import Connection, Location


def remember(
    connection: Connection, location: Location, files: Sequence[tuple[Mapping[str, Any], Path]]
) -> None:
    """Add the files that are not there yet, each with the columns that its report shares.

    Raises WarehouseConflict where another writer came first: call it again.
    """
    if not files:
        return
    rows = [{**report, **_row(file)} for report, file in files]
    schema: dict[str, Any] = {"reason": pl.String, "document": pl.String}
    with store.transaction(connection, location):
        connection.register("given_files", pl.DataFrame(rows, schema_overrides=schema))
        try:
            connection.execute(store.statement("archive/remember"))
        finally:
            connection.unregister("given_files")


def listed(
    connection: Connection, *, week: str | None = None, edition: str | None = None, words: str | None = None
) -> list[dict[str, Any]]:
    """Reports, newest first; of that week and edition, and with those words in them, where given."""
    bound = {"week": week, "edition": edition, "words": words}
    return store.rows(connection, store.statement("archive/listed"), bound)


def files(connection: Connection, report_id: str) -> list[dict[str, Any]]:
    """The files of one report, by the beginning of its id. Raises CheckFailed where it is none or several."""
    found = store.rows(connection, store.statement("archive/files"), {"report": report_id})
    exact = [row for row in found if row["report_id"] == report_id] or found
    if not report_id or len({row["report_id"] for row in exact}) != 1:
        raise CheckFailed(f"report {report_id}: {'several begin like this' if exact else 'no such report'}")
    return exact


def documents(connection: Connection) -> list[dict[str, Any]]:
    """The frozen data of every report, with its place in the archive."""
    return store.rows(connection, store.statement("archive/documents"))


def changed(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Which files of the archive are not what was issued: `<kind> missing` or `<kind> changed`."""
    wrong = []
    for row in rows:
        file = folder / row["week"] / row["edition"] / f"{row['report_id']}.{row['kind']}"
        if not file.exists():
            wrong.append(f"{row['kind']} missing")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != row["sha256"]:
            wrong.append(f"{row['kind']} changed")
    return wrong


def _row(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    kind = file.suffix.removeprefix(".")
    return {
        "kind": kind,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "document": content.decode() if kind == "json" else None,
    }
