"""Landing one batch: every event becomes landed, duplicate or quarantined, and the books balance.

This module knows nothing of Kafka: a `Batch` is what anyone read from any log with offsets.
"""

import contextlib
import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from producers.contracts import CODEC_VERSION, Retryable, WarehouseConflict
from warehouse import fact_keys
from warehouse.decoding import REFUSED, Decoded, arrow_table, origin
from warehouse.erased import without_erased
from warehouse.log import Batch, Partition, progress
from warehouse.store import Connection, Location, has_files, naming_failures, rows, statement, transaction
from warehouse.tombstones import Tombstones


@dataclass(frozen=True)
class Landed:
    """The outcome of one batch. consumed = landed + duplicate + quarantined."""

    batch_id: str
    consumed: int
    landed: int
    duplicate: int
    quarantined: int
    by_rule: Mapping[str, int]
    newest_received: Mapping[Partition, dt.datetime]
    newest_by_clinic: Mapping[str, dt.datetime]
    commit_seconds: float
    next_offsets: Mapping[Partition, int]


class ProgressLost(Retryable):
    """Another worker has landed these offsets: drop the batch, read the progress again, seek."""


# ── one batch ───────────────────────────────────────────────────────────────────────────────────────────


def land(
    connection: Connection,
    location: Location,
    decoded: Decoded,
    *,
    batch_id: str,
    worker: str,
    started_at: dt.datetime,
    landed_at: dt.datetime,
    tombstones: Tombstones | None = None,
) -> Landed:
    """Land one batch exactly once. The order, of which the caller does 1, 2 (`decode_batch`) and 5:

    1. poll a batch, bounded by count, bytes and time;
    2. decode and validate: each event is accepted in canonical form, or refused with rule and path;
    3. one transaction: accepted events not seen before into `raw`, refused ones into the quarantine, one
       ledger row per partition, and the progress moved by compare-and-set from this batch's first offset to
       its next; a progress row that is not where the batch began means that somebody else landed it;
    4. commit, and read the progress back before believing it;
    5. mirror the offsets to Kafka, for lag tools only.

    `tombstones` name who was erased: their events are booked as refused, and nothing of them is kept.
    Raises ProgressLost, or WarehouseConflict when the same call may work again; nothing was stored then.
    """
    batch = decoded.batch
    tombstones = tombstones or Tombstones(None)
    decoded = without_erased(decoded, tombstones)
    bind = {"batch_id": batch_id, "landed_at": landed_at}
    with naming_failures(location), laid_out(connection, decoded):  # its end fails on a full disk, too
        with transaction(connection, location):
            refuse_stale(connection, tombstones)
            unlandable = store_accepted(connection, decoded, batch_id=batch_id, landed_at=landed_at)
            refused = [*decoded.refused, *unlandable]
            connection.register("refused", arrow_table(refused, REFUSED))
            if refused:
                connection.execute(statement("landing/quarantine"), bind | {"codec_version": CODEC_VERSION})
            connection.execute(
                statement("landing/ledger"), bind | {"worker": worker, "started_at": started_at}
            )
            _advance(connection, batch, batch_id, landed_at)
            report = _report(connection, batch_id, decoded, refused)
            before_commit = time.monotonic()
        report = replace(report, commit_seconds=time.monotonic() - before_commit)
        held = progress(connection)
        if any(held[p] != offset for p, offset in report.next_offsets.items()):
            raise ProgressLost(f"batch {batch_id}: progress is not what was committed")
        return report


@contextlib.contextmanager
def laid_out(connection: Connection, decoded: Decoded) -> Iterator[None]:
    """The decoded batch as relations of this session: incoming, frames and parts. All are gone afterwards."""
    connection.register("incoming", decoded.events)
    connection.register("frames", decoded.frames)
    connection.register("parts", _parts(decoded.batch))
    try:
        yield
    finally:
        for name in ("incoming", "frames", "parts", "refused"):
            connection.unregister(name)
        connection.execute(statement("landing/forget"))


def refuse_stale(connection: Connection, tombstones: Tombstones) -> None:
    """Within the landing transaction: raise WarehouseConflict where more persons were erased meanwhile."""
    known = tombstones.digests
    tombstones.refresh(connection)
    if tombstones.digests != known:
        raise WarehouseConflict("somebody was erased while this batch was decoded")


def store_accepted(
    connection: Connection, decoded: Decoded, *, batch_id: str, landed_at: dt.datetime
) -> list[tuple[Any, ...]]:
    """Within a transaction, put the laid-out events that were not seen before into `raw`.

    Gives those whose (source, id) is taken by other content, and those older than what is still kept, as
    refused rows. What does not land stays known as temp.unwanted until the batch is put away.
    """
    bind = {"batch_id": batch_id, "landed_at": landed_at}
    _judge(connection, decoded)
    for table in decoded.tables():
        connection.execute(_insert(connection, table), bind)
    if len(decoded.frames):
        connection.execute(statement("landing/insert_frames"), bind)
    connection.execute(statement("landing/insert_keys"))
    return _unlandable(connection, decoded.batch)


def _parts(batch: Batch) -> pa.Table:
    return pa.table(
        {
            "part": pa.array(range(len(batch.slices)), pa.int32()),
            "topic": pa.array([s.partition.topic for s in batch.slices], pa.string()),
            "partition": pa.array([s.partition.number for s in batch.slices], pa.int32()),
            "first_offset": pa.array([s.first_offset for s in batch.slices], pa.int64()),
            "next_offset": pa.array([s.next_offset for s in batch.slices], pa.int64()),
            "consumed": pa.array([len(s.records) for s in batch.slices], pa.int64()),
            "newest_received_at": pa.array(
                [int(s.records.timestamp_ms.max()) if len(s.records) else None for s in batch.slices],
                pa.timestamp("ms", tz="UTC"),
            ),
        }
    )


def _judge(connection: Connection, decoded: Decoded) -> None:
    """Find the accepted events that must not land: duplicates and conflicts, and those too old to be kept.

    Suspects are found by a hash of (source, id) in one narrow relation, pruned to the events' own time, as a
    repeat of an event carries the same, and for facts to the days around it. Only suspects, mostly none, are
    compared in full where they landed.
    """
    connection.execute(statement("landing/keys"))
    for first, last in decoded.spans():
        connection.execute(statement("landing/known"), {"first": first, "last": last})
    fact_keys.look_up(connection, decoded)
    connection.execute(statement("landing/suspect"))
    for table in rows(connection, statement("landing/known_tables")):
        history = statement("landing/history").replace("raw.TABLE", f"raw.{table['name']}")
        connection.execute(history, {"first": table["first"], "last": table["last"]})
    if has_files(connection, "landing", "horizon"):
        connection.execute(statement("landing/aged"))
    connection.execute(statement("landing/unwanted"))


_SHAPES: dict[str, str] = {}


def _insert(connection: Connection, table: str) -> str:
    """The statement that moves a table's judged events into `raw`.

    Its JSON shape is read from the table itself. Identifiers come from the catalogue of events, never from
    data.
    """
    if table not in _SHAPES:
        columns = rows(connection, statement("landing/shape"), {"table": table})
        _SHAPES[table] = json.dumps({c["column_name"]: _json_type(c["data_type"]) for c in columns})
    text = statement("landing/insert").replace("raw.TABLE", f"raw.{table}")
    return text.replace("'TABLE'", f"'{table}'").replace("'SHAPE'", f"'{_SHAPES[table]}'")


def _json_type(type_: str) -> str | list[str]:
    """A DuckDB column type as `json_transform` spells it."""
    return (
        [type_.removesuffix("[]")]
        if type_.endswith("[]")
        else type_.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
    )


def _unlandable(connection: Connection, batch: Batch) -> list[tuple[Any, ...]]:
    """Accepted events that may not land after all, as refused rows."""
    refused = []
    for event in rows(connection, statement("landing/unlandable")):
        slice_ = batch.slices[event["part"]]
        i = int(np.searchsorted(slice_.records.offset, event["offset"]))
        refused.append((*origin(slice_, event["part"], i), *_why(event)))
    return refused


def _why(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """Rule, path and detail for an event that may not land."""
    if event["known_hash"] is None:
        return "retention.passed", "$.time", "occurred before the horizon up to which retention has removed"
    hashes = f"content {event['content_hash']} differs from {event['known_hash']}"
    return "id.conflict", "$.id", f"{hashes}, landed under the same id"


def _advance(connection: Connection, batch: Batch, batch_id: str, landed_at: dt.datetime) -> None:
    """Move the progress by compare-and-set. Raises ProgressLost where it is not at the batch's start."""
    bind = {"batch_id": batch_id, "landed_at": landed_at}
    moved = connection.execute(statement("landing/advance"), bind).fetchall()[0][0]
    if moved != len(batch.slices):
        lost = len(batch.slices) - moved
        raise ProgressLost(f"batch {batch_id}: {lost} of its partitions were landed by another worker")


def _report(
    connection: Connection, batch_id: str, decoded: Decoded, refused: Sequence[tuple[Any, ...]]
) -> Landed:
    batch = decoded.batch
    duplicate = rows(connection, statement("landing/duplicates"))[0]["events"]
    return Landed(
        batch_id=batch_id,
        consumed=batch.events,
        landed=batch.events - duplicate - len(refused),
        duplicate=duplicate,
        quarantined=len(refused),
        by_rule=Counter(row[REFUSED.get_field_index("rule")] for row in refused),
        newest_received={
            s.partition: dt.datetime.fromtimestamp(int(s.records.timestamp_ms.max()) / 1000, dt.UTC)
            for s in batch.slices
            if len(s.records)
        },
        newest_by_clinic=decoded.newest_by_clinic(),
        commit_seconds=0.0,
        next_offsets={s.partition: s.next_offset for s in batch.slices},
    )
