"""Landing one batch: every event becomes landed, duplicate or quarantined, and the books balance.

This module knows nothing of Kafka: a `Batch` is what anyone read from any log with offsets.
"""

import base64
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from producers.contracts import CODEC_VERSION, EVENTS, ContractViolation, Retryable, clinic_of, decode
from warehouse.store import Connection, Location, rows, statement, transaction


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


@dataclass
class Slice:
    """Consecutive events of one partition: records from `first_offset` up to, not including, `next_offset`.

    A record has `offset`, `timestamp` (broker's, milliseconds), `key`, `value` and `headers`.
    """

    partition: Partition
    first_offset: int
    next_offset: int = -1
    records: list[Any] = field(default_factory=list)

    def extend(self, records: Iterable[Any]) -> None:
        self.records.extend(records)


@dataclass
class Batch:
    """What one poll brought, over any number of partitions."""

    slices: list[Slice]

    @property
    def events(self) -> int:
        return sum(len(s.records) for s in self.slices)


@dataclass(frozen=True)
class Landed:
    """The outcome of one batch. consumed = landed + duplicate + quarantined."""

    batch_id: str
    consumed: int
    landed: int
    duplicate: int
    quarantined: int
    by_rule: Mapping[str, int]
    newest_received_at: dt.datetime | None
    next_offsets: Mapping[Partition, int]


class ProgressLost(Retryable):
    """Another worker has landed these offsets: drop the batch, read the progress again, seek."""


# ── progress ────────────────────────────────────────────────────────────────────────────────────────────


def progress(connection: Connection) -> dict[Partition, int]:
    """The first offset not yet landed, per partition that was ever landed."""
    found = rows(connection, statement("landing/progress"))
    return {Partition(r["topic"], r["partition"]): r["next_offset"] for r in found}


def claim(
    connection: Connection,
    location: Location,
    bounds: Mapping[Partition, tuple[int, int]],
    *,
    at: dt.datetime,
) -> dict[Partition, int]:
    """Where to read on: the stored progress, or for a partition never seen its first offset, now stored."""
    with transaction(connection, location):
        known = progress(connection)
        for partition, (first, _) in bounds.items():
            if partition not in known:
                connection.execute(
                    statement("landing/begin"),
                    {"topic": partition.topic, "partition": partition.number, "next_offset": first, "at": at},
                )
    held = progress(connection)
    return {partition: held[partition] for partition in bounds}


# ── one batch ───────────────────────────────────────────────────────────────────────────────────────────


def land(
    connection: Connection,
    location: Location,
    batch: Batch,
    *,
    batch_id: str,
    worker: str,
    started_at: dt.datetime,
    landed_at: dt.datetime,
) -> Landed:
    """Land one polled batch exactly once. The order, of which the caller does 1 and 5:

    1. poll a batch, bounded by count, bytes and time;
    2. decode and validate: each event is accepted in canonical form, or refused with rule and path;
    3. one transaction: accepted events not seen before into `raw`, refused ones into the quarantine, one
       ledger row per partition, and the progress moved by compare-and-set from this batch's first offset to
       its next; a progress row that is not where the batch began means that somebody else landed it;
    4. commit, and read the progress back before believing it;
    5. mirror the offsets to Kafka, for lag tools only.

    Raises ProgressLost, or WarehouseConflict when the same call may work again; nothing was stored then.
    """
    incoming, refused = _decode(batch)
    connection.register("incoming", incoming)
    connection.register("parts", _parts(batch))
    bind = {"batch_id": batch_id, "landed_at": landed_at, "worker": worker, "started_at": started_at}
    try:
        with transaction(connection, location):
            _judge(connection, incoming)
            for table in _tables_in(incoming):
                connection.execute(_insert(connection, table), {"batch_id": batch_id, "landed_at": landed_at})
            refused = refused + _conflicts(connection, batch)
            connection.register("refused", _table(refused, _REFUSED))
            if refused:
                connection.execute(
                    statement("landing/quarantine"),
                    {"batch_id": batch_id, "landed_at": landed_at, "codec_version": CODEC_VERSION},
                )
            connection.execute(statement("landing/ledger"), bind)
            _advance(connection, batch, batch_id, landed_at)
        report = _report(connection, batch_id, batch)
        if any(progress(connection)[p] != offset for p, offset in report.next_offsets.items()):
            raise ProgressLost(f"batch {batch_id}: progress is not what was committed")
        return report
    finally:
        for name in ("incoming", "refused", "parts"):
            connection.unregister(name)
        connection.execute("DROP TABLE IF EXISTS temp.judged")


_INCOMING = pa.schema(
    [
        ("part", pa.int32()),
        ("offset", pa.int64()),
        ("received_at", pa.timestamp("ms", tz="UTC")),
        ("table", pa.dictionary(pa.int32(), pa.string())),
        ("source", pa.string()),
        ("id", pa.string()),
        ("clinic_id", pa.string()),
        ("occurred_at", pa.timestamp("us", tz="UTC")),
        ("supersedes", pa.string()),
        ("value", pa.string()),
    ]
)
_REFUSED = pa.schema(
    [
        ("part", pa.int32()),
        ("offset", pa.int64()),
        ("received_at", pa.timestamp("ms", tz="UTC")),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.string()),
        ("rule", pa.string()),
        ("path", pa.string()),
        ("detail", pa.string()),
    ]
)


def _decode(batch: Batch) -> tuple[pa.Table, list[tuple[Any, ...]]]:
    """Step 2. Accepted events as columns with their canonical text; refused ones as they came."""
    accepted: list[tuple[Any, ...]] = []
    refused: list[tuple[Any, ...]] = []
    for part, slice_ in enumerate(batch.slices):
        topic = slice_.partition.topic
        for record in slice_.records:
            received_at = dt.datetime.fromtimestamp(record.timestamp / 1000, dt.UTC)
            try:
                event, canonical = decode(record.value, topic=topic, key=record.key, now=received_at)
            except ContractViolation as violation:
                refused.append((*_origin(part, record), violation.rule, violation.path, violation.detail))
                continue
            accepted.append(
                (
                    part,
                    record.offset,
                    record.timestamp,
                    EVENTS[event.type].table,
                    event.source,
                    event.id,
                    clinic_of(event.source),
                    event.time,
                    event.supersedes,
                    canonical,
                )
            )
    return _table(accepted, _INCOMING), refused


def _table(found: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*found, strict=True) if found else ([] for _ in schema)
    return pa.table(
        [pa.array(list(c), type=f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
    )


def _origin(part: int, record: Any) -> tuple[Any, ...]:
    return part, record.offset, record.timestamp, record.key, record.value, _headers(record)


def _headers(record: Any) -> str | None:
    """Kafka headers as JSON, values in base64: they may hold any bytes."""
    if not record.headers:
        return None
    return json.dumps([[k, None if v is None else base64.b64encode(v).decode()] for k, v in record.headers])


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
                [max((r.timestamp for r in s.records), default=None) for s in batch.slices],
                pa.timestamp("ms", tz="UTC"),
            ),
        }
    )


def _judge(connection: Connection, incoming: pa.Table) -> None:
    """Mark each accepted event `land`, `duplicate` or `conflict` against the batch and all history.

    History is pruned to the events' own days: a repeat of an event carries the same time.
    """
    occurred = incoming.column("occurred_at")
    first, last = (pc.min(occurred).as_py(), pc.max(occurred).as_py())
    nothing = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    connection.execute(
        statement("landing/judge"),
        {"first": first or nothing, "last": last or nothing},
    )


def _tables_in(incoming: pa.Table) -> list[str]:
    return sorted(pc.unique(incoming.column("table")).to_pylist())


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


def _conflicts(connection: Connection, batch: Batch) -> list[tuple[Any, ...]]:
    """Events whose (source, id) is taken by other content, as refused rows with both hashes."""
    found = rows(connection, statement("landing/conflicts"))
    records = {(c["part"], c["offset"]): c for c in found}
    return [
        (
            *_origin(part, record),
            "id.conflict",
            "$.id",
            f"content {taken['content_hash']} differs from {taken['known_hash']}, landed under the same id",
        )
        for part, slice_ in enumerate(batch.slices if found else [])
        for record in slice_.records
        if (taken := records.get((part, record.offset)))
    ]


def _advance(connection: Connection, batch: Batch, batch_id: str, landed_at: dt.datetime) -> None:
    """Move the progress by compare-and-set. Raises ProgressLost where it is not at the batch's start."""
    bind = {"batch_id": batch_id, "landed_at": landed_at}
    moved = connection.execute(statement("landing/advance"), bind).fetchall()[0][0]
    if moved != len(batch.slices):
        lost = len(batch.slices) - moved
        raise ProgressLost(f"batch {batch_id}: {lost} of its partitions were landed by another worker")


def _report(connection: Connection, batch_id: str, batch: Batch) -> Landed:
    totals = rows(connection, statement("landing/totals"), {"batch_id": batch_id})[0]
    by_rule = rows(connection, statement("landing/by_rule"), {"batch_id": batch_id})
    return Landed(
        batch_id=batch_id,
        by_rule={r["rule"]: r["events"] for r in by_rule},
        next_offsets={s.partition: s.next_offset for s in batch.slices},
        **totals,
    )
