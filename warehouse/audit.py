"""The audit trail: who did what to persons' data and to the warehouse as a whole. Append-only, hash-chained.

DuckLake cannot forbid an update; the chain makes one show.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from warehouse import store
from warehouse.store import Connection


def append(
    connection: Connection,
    action: str,
    *,
    actor: str,
    at: dt.datetime,
    subject: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add one act, in the caller's transaction: it is written if and only if what it tells of is.

    `subject` is a digest and `detail` counts and places: never a person's key.
    """
    last = store.rows(connection, store.statement("privacy/last_audit"))
    row: dict[str, Any] = {
        "number": last[0]["number"] + 1 if last else 1,
        "acted_at": at,
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": json.dumps(detail or {}, sort_keys=True, default=str),
        "previous_hash": last[0]["hash"] if last else None,
    }
    connection.execute(store.statement("privacy/append_audit"), row | {"hash": _seal(row)})


def trail(connection: Connection) -> list[dict[str, Any]]:
    """Every act, oldest first."""
    return store.rows(connection, store.statement("privacy/audit"))


def broken_links(connection: Connection) -> Iterator[str]:
    """Where the trail was changed: rows altered, missing, doubled."""
    previous: dict[str, Any] = {"number": 0, "hash": None}
    for row in trail(connection):
        sealed = row.pop("hash")
        if row["number"] != previous["number"] + 1 or row["previous_hash"] != previous["hash"]:
            yield f"row {row['number']} does not follow row {previous['number']}"
        if sealed != _seal(row):
            yield f"row {row['number']} was changed after it was written"
        previous = row | {"hash": sealed}


def _seal(row: Mapping[str, Any]) -> str:
    text = json.dumps(
        {name: row[name].astimezone(dt.UTC).isoformat() if name == "acted_at" else row[name] for name in row},
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()
