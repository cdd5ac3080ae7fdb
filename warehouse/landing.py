"""Landing one batch: every event becomes landed, duplicate or quarantined, and the books balance.

This module knows nothing of Kafka: a `Batch` is what anyone read from any log with offsets.
"""

import base64
import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from producers.contracts import CODEC_VERSION, EVENTS, ContractViolation, Retryable, clinic_of, decode
from producers.contracts.codec import EARLIEST, MAX_CLOCK_AHEAD
from warehouse.columnar import Frames, content_hash, read_frames
from warehouse.log import Batch, Headers, Ints, Partition, Records, Slice, progress
from warehouse.store import Connection, Location, rows, statement, transaction


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
    decoded = decode_batch(batch)
    connection.register("incoming", decoded.events)
    connection.register("frames", decoded.frames)
    connection.register("parts", _parts(batch))
    bind = {"batch_id": batch_id, "landed_at": landed_at}
    try:
        with transaction(connection, location):
            _judge(connection, decoded)
            for table in decoded.tables():
                connection.execute(_insert(connection, table), bind)
            if len(decoded.frames):
                connection.execute(statement("landing/insert_frames"), bind)
            refused = [*decoded.refused, *_conflicts(connection, batch)]
            connection.register("refused", _table(refused, _REFUSED))
            if refused:
                connection.execute(statement("landing/quarantine"), bind | {"codec_version": CODEC_VERSION})
            connection.execute(
                statement("landing/ledger"), bind | {"worker": worker, "started_at": started_at}
            )
            _advance(connection, batch, batch_id, landed_at)
            report = _report(connection, batch_id, batch, refused)
        if any(progress(connection)[p] != offset for p, offset in report.next_offsets.items()):
            raise ProgressLost(f"batch {batch_id}: progress is not what was committed")
        return report
    finally:
        for name in ("incoming", "frames", "refused", "parts"):
            connection.unregister(name)
        connection.execute("DROP TABLE IF EXISTS temp.unwanted")


@dataclass(frozen=True)
class Decoded:
    """A batch after step 2: events with canonical text, frames as columns, and what was refused."""

    events: pa.Table
    frames: pa.Table
    refused: list[tuple[Any, ...]]

    def tables(self) -> list[str]:
        return sorted(pc.unique(self.events.column("table")).to_pylist())

    def span(self) -> tuple[dt.datetime, dt.datetime]:
        """First and last moment that the accepted events speak of; the epoch where there are none."""
        found = [
            limit
            for table in (self.events, self.frames)
            if len(table)
            for limit in pc.min_max(table.column("occurred_at")).as_py().values()
        ] or [dt.datetime(1970, 1, 1, tzinfo=dt.UTC)]
        return min(found), max(found)


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
        ("content_hash", pa.uint64()),
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


FRAME_TOPIC = "clinic.device-telemetry"
CHUNK_ROWS = 12_288
"""Rows per Arrow chunk: DuckDB gives chunks to threads, so one chunk would keep one thread busy."""


def decode_batch(batch: Batch) -> Decoded:
    """Step 2: canonical frames by the compiled reader, everything else by the strict decoder."""
    accepted: list[tuple[Any, ...]] = []
    refused: list[tuple[Any, ...]] = []
    frames: list[pa.Table] = []
    for part, slice_ in enumerate(batch.slices):
        left: Iterable[int] = range(len(slice_.records))
        if slice_.partition.topic == FRAME_TOPIC:
            found = _frames(slice_.records)
            frames.append(frame_table(found, part, slice_.records))
            left = np.setdiff1d(np.arange(len(slice_.records)), found.row, assume_unique=True).tolist()
        for i in left:
            try:
                accepted.append(_accept(slice_, part, i))
            except ContractViolation as violation:
                refused.append((*_origin(slice_, part, i), violation.rule, violation.path, violation.detail))
    joined = pa.concat_tables(frames).combine_chunks() if frames else _NO_FRAMES
    chunked = pa.Table.from_batches(joined.to_batches(max_chunksize=CHUNK_ROWS), schema=joined.schema)
    return Decoded(_table(accepted, _INCOMING), chunked, refused)


def _accept(slice_: Slice, part: int, i: int) -> tuple[Any, ...]:
    """One event in its canonical form, as a row of `incoming`. Raises ContractViolation."""
    records = slice_.records
    timestamp_ms = int(records.timestamp_ms[i])
    received_at = dt.datetime.fromtimestamp(timestamp_ms / 1000, dt.UTC)
    event, canonical = decode(
        records.value(i), topic=slice_.partition.topic, key=records.key(i), now=received_at
    )
    return (
        part,
        int(records.offset[i]),
        timestamp_ms,
        EVENTS[event.type].table,
        event.source,
        event.id,
        clinic_of(event.source),
        event.time,
        event.supersedes,
        content_hash(canonical),
        canonical,
    )


def _frames(records: Records) -> Frames:
    return read_frames(
        records.buffer,
        records.value_at,
        records.value_size,
        records.key_at,
        records.key_size,
        records.timestamp_ms * 1000,
        earliest_us=int(EARLIEST.timestamp() * 1_000_000),
        ahead_us=int(MAX_CLOCK_AHEAD.total_seconds() * 1_000_000),
    )


def frame_table(frames: Frames, part: int, records: Records) -> pa.Table:
    """Frames as an Arrow table with the columns of raw.telemetry_frame; buffers are shared, not copied."""
    n = len(frames.row)
    ends = np.concatenate([[0], np.cumsum(frames.samples)]).astype(np.int32)

    def text(column: tuple[Any, Ints], present: Any = None) -> pa.Array:
        data, last = column
        offsets = np.concatenate([[0], last]).astype(np.int32)
        valid = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
        return pa.Array.from_buffers(pa.string(), n, [valid, pa.py_buffer(offsets), pa.py_buffer(data)])

    def samples(values: Any) -> pa.Array:
        return pa.ListArray.from_arrays(pa.array(ends), pa.array(values))

    return pa.table(
        {
            "part": pa.array(np.full(n, part, np.int32)),
            "offset": pa.array(records.offset[frames.row]),
            "received_at": _instants(records.timestamp_ms[frames.row], "ms"),
            "source": text(frames.source),
            "id": text(frames.id),
            "clinic_id": text(frames.clinic_id),
            "occurred_at": _instants(frames.occurred_us, "us"),
            "content_hash": pa.array(frames.content_hash),
            "device_id": text(frames.device_id),
            "sequence": pa.array(frames.sequence),
            "sample_interval_ms": pa.array(frames.sample_interval_ms.astype(np.int32)),
            "depth_mm": samples(frames.depth_mm),
            "stroke_rate_per_min": samples(frames.stroke_rate_per_min),
            "motor_current_ma": samples(frames.motor_current_ma),
            "battery_percent": pa.array(frames.battery_percent),
            "session_id": text(frames.session_id, frames.has_session),
        }
    )


def _instants(values: Ints, unit: str) -> pa.Array:
    return pa.array(values).cast(pa.timestamp(unit)).cast(pa.timestamp(unit, tz="UTC"))


def _table(found: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*found, strict=True) if found else ([] for _ in schema)
    return pa.table(
        [pa.array(list(c), type=f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
    )


_NO_RECORDS = Records.of([])
_NO_FRAMES = frame_table(_frames(_NO_RECORDS), 0, _NO_RECORDS)


def _origin(slice_: Slice, part: int, i: int) -> tuple[Any, ...]:
    """Where a refused event came from, and all of it."""
    records = slice_.records
    return (
        part,
        int(records.offset[i]),
        int(records.timestamp_ms[i]),
        records.key(i),
        records.value(i),
        _headers(records.headers.get(i)),
    )


def _headers(headers: Headers | None) -> str | None:
    """Kafka headers as JSON, values in base64: they may hold any bytes."""
    if not headers:
        return None
    return json.dumps([[k, None if v is None else base64.b64encode(v).decode()] for k, v in headers])


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
    """Find the accepted events that must not land again: duplicates and conflicts, in batch and history.

    History is pruned to the events' own time: a repeat of an event carries the same.
    """
    first, last = decoded.span()
    connection.execute(statement("landing/judge"), {"first": first, "last": last})


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
    refused = []
    for taken in rows(connection, statement("landing/conflicts")):
        slice_ = batch.slices[taken["part"]]
        i = int(np.searchsorted(slice_.records.offset, taken["offset"]))
        hashes = f"content {taken['content_hash']} differs from {taken['known_hash']}"
        refused.append(
            (*_origin(slice_, taken["part"], i), "id.conflict", "$.id", f"{hashes}, landed under the same id")
        )
    return refused


def _advance(connection: Connection, batch: Batch, batch_id: str, landed_at: dt.datetime) -> None:
    """Move the progress by compare-and-set. Raises ProgressLost where it is not at the batch's start."""
    bind = {"batch_id": batch_id, "landed_at": landed_at}
    moved = connection.execute(statement("landing/advance"), bind).fetchall()[0][0]
    if moved != len(batch.slices):
        lost = len(batch.slices) - moved
        raise ProgressLost(f"batch {batch_id}: {lost} of its partitions were landed by another worker")


def _report(
    connection: Connection, batch_id: str, batch: Batch, refused: Sequence[tuple[Any, ...]]
) -> Landed:
    duplicate = rows(connection, statement("landing/duplicates"))[0]["events"]
    newest_ms = max((int(s.records.timestamp_ms.max()) for s in batch.slices if len(s.records)), default=None)
    return Landed(
        batch_id=batch_id,
        consumed=batch.events,
        landed=batch.events - duplicate - len(refused),
        duplicate=duplicate,
        quarantined=len(refused),
        by_rule=Counter(row[_REFUSED.get_field_index("rule")] for row in refused),
        newest_received_at=None if newest_ms is None else dt.datetime.fromtimestamp(newest_ms / 1000, dt.UTC),
        next_offsets={s.partition: s.next_offset for s in batch.slices},
    )
