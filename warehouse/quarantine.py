"""What was refused and waits: look at it, land it after all once a rule or contract is mended, or give it up.

A replayed event takes the way of every other: the same decoder, the same search for duplicates, one
transaction together with the mark that it was resolved. So a replay that is repeated, or killed, changes
nothing twice. The ledger of its first landing stays as it was: it tells what happened then.
"""

import base64
import datetime as dt
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from producers.contracts import CheckFailed, WarehouseConflict
from warehouse.decoding import REFUSED, decode_batch
from warehouse.erased import without_erased
from warehouse.landing import laid_out, refuse_stale, store_accepted
from warehouse.log import Batch, Partition, Records, Slice
from warehouse.store import Connection, Location, rows, statement, transaction
from warehouse.tombstones import Tombstones

REPLAY_AT_ONCE = 50_000

Quarantined = Mapping[str, Any]
"""A row of landing.quarantine."""


@dataclass(frozen=True)
class Choice:
    """Which quarantined events: one by its `topic/partition/offset`, or by what they have in common."""

    place: str | None = None
    rule: str | None = None
    topic: str | None = None
    since: dt.datetime | None = None
    resolved: bool = False
    limit: int = REPLAY_AT_ONCE


@dataclass(frozen=True)
class Replayed:
    """What became of the events of a replay; refused ones wait on, listed with place, rule and path."""

    batch_id: str
    replayed: int
    duplicate: int
    refused: Sequence[Mapping[str, str]]


def place(event: Quarantined) -> str:
    """`topic/partition/offset`."""
    return f"{event['topic']}/{event['partition']}/{event['offset']}"


def choose(connection: Connection, choice: Choice) -> list[dict[str, Any]]:
    """The chosen events, oldest first. Raises CheckFailed for a place where nothing is quarantined."""
    found = rows(connection, statement("quarantine/chosen"), vars(choice))
    if choice.place and not found:
        raise CheckFailed(f"nothing waits in quarantine at {choice.place}")
    return found


def counts(connection: Connection) -> list[dict[str, Any]]:
    """How many wait, by topic and rule."""
    return rows(connection, statement("quarantine/counts"))


def replay(
    connection: Connection,
    location: Location,
    events: Sequence[Quarantined],
    *,
    batch_id: str,
    by: str,
    at: dt.datetime,
    tombstones: Tombstones | None = None,
) -> Replayed:
    """Land these events after all, as far as today's rules accept them.

    Raises WarehouseConflict when somebody else resolved one of them, or somebody was erased, meanwhile;
    nothing was stored then.
    """
    batch = _batch(events)
    tombstones = tombstones or Tombstones(None)
    decoded = without_erased(decode_batch(batch), tombstones)
    with laid_out(connection, decoded), transaction(connection, location):
        refuse_stale(connection, tombstones)
        refused = [
            *decoded.refused,
            *store_accepted(connection, decoded, batch_id=batch_id, landed_at=at),
        ]
        duplicates = {
            (row["part"], row["offset"])
            for row in rows(connection, statement("landing/fates"))
            if row["duplicate"]
        }
        waiting = {(row[0], row[1]) for row in refused}
        resolved = [
            (s.partition, int(offset), "duplicate" if (part, offset) in duplicates else "replayed")
            for part, s in enumerate(batch.slices)
            for offset in s.records.offset
            if (part, offset) not in waiting
        ]
        _resolve(connection, resolved, by=by, at=at, note=batch_id)
    return Replayed(
        batch_id=batch_id,
        replayed=len(resolved) - len(duplicates),
        duplicate=len(duplicates),
        refused=[_refusal(batch, row) for row in refused],
    )


def discard(
    connection: Connection,
    location: Location,
    events: Sequence[Quarantined],
    *,
    reason: str,
    by: str,
    at: dt.datetime,
) -> int:
    """Give these events up, for a reason; they stay in the quarantine, marked. Gives their number."""
    if not reason.strip():
        raise CheckFailed("discarding needs a reason")
    chosen = [(Partition(e["topic"], e["partition"]), e["offset"], "discarded") for e in events]
    with transaction(connection, location):
        _resolve(connection, chosen, by=by, at=at, note=reason)
    return len(chosen)


def _batch(events: Sequence[Quarantined]) -> Batch:
    """The events as the batch that a consumer would have given."""

    def key(event: Quarantined) -> tuple[str, int, int]:
        return event["topic"], event["partition"], event["offset"]

    slices = []
    for (topic, number), found in itertools.groupby(sorted(events, key=key), lambda e: key(e)[:2]):
        records = Records.of([_record(event) for event in found])
        first, last = int(records.offset[0]), int(records.offset[-1])
        slices.append(Slice(Partition(topic, number), first, last + 1, records))
    return Batch(slices)


def _record(event: Quarantined) -> SimpleNamespace:
    headers = [
        (k, None if v is None else base64.b64decode(v)) for k, v in json.loads(event["headers"] or "[]")
    ]
    return SimpleNamespace(
        offset=event["offset"],
        timestamp=round(event["received_at"].timestamp() * 1000),
        key=event["key"],
        value=event["value"],
        headers=headers,
    )


def _resolve(
    connection: Connection,
    resolved: Sequence[tuple[Partition, int, str]],
    *,
    by: str,
    at: dt.datetime,
    note: str,
) -> None:
    """Mark events that wait as resolved; all of them, or somebody else was quicker."""
    if not resolved:
        return
    marks = pa.table(
        {
            "topic": pa.array([p.topic for p, _, _ in resolved], pa.string()),
            "partition": pa.array([p.number for p, _, _ in resolved], pa.int32()),
            "offset": pa.array([offset for _, offset, _ in resolved], pa.int64()),
            "resolution": pa.array([name for _, _, name in resolved], pa.string()),
        }
    )
    connection.register("resolved", marks)
    bind = {"resolved_at": at, "resolved_by": by, "resolution_note": note}
    try:
        marked = connection.execute(statement("quarantine/resolve"), bind).fetchall()[0][0]
    finally:
        connection.unregister("resolved")
    if marked != len(resolved):
        raise WarehouseConflict(f"{len(resolved) - marked} of these events were resolved by somebody else")


def _refusal(batch: Batch, row: tuple[Any, ...]) -> dict[str, str]:
    found = dict(zip(REFUSED.names, row, strict=True))
    partition = batch.slices[found["part"]].partition
    where = f"{partition.topic}/{partition.number}/{found['offset']}"
    return {"place": where, "rule": found["rule"], "path": found["path"], "detail": found["detail"]}
