"""Decoding one batch: canonical frames by a compiled reader, everything else one by one, strictly.

Each event comes out accepted in canonical form, as a row of an Arrow table, or refused with rule and path.
Needs no warehouse, so the thread that reads the log can do it while another one lands.
"""

import base64
import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from producers.contracts import EVENTS, ContractViolation, clinic_of, decode, route
from producers.contracts.codec import EARLIEST, MAX_CLOCK_AHEAD
from warehouse.columnar import Frames, content_hash, read_frames
from warehouse.log import Batch, Headers, Ints, Records, Slice


@dataclass(frozen=True)
class Decoded:
    """A batch after decoding: events with canonical text, frames as columns, and what was refused."""

    batch: Batch
    events: pa.Table
    frames: pa.Table
    refused: list[tuple[Any, ...]]

    def tables(self) -> list[str]:
        return sorted(pc.unique(self.events.column("table")).to_pylist())

    def newest_by_clinic(self) -> dict[str, dt.datetime]:
        """The newest moment that each clinic's accepted events speak of."""
        columns = ["clinic_id", "occurred_at"]
        both = pa.concat_tables([table.select(columns) for table in (self.events, self.frames)])
        newest = both.group_by("clinic_id").aggregate([("occurred_at", "max")])
        return dict(
            zip(*(newest.column(c).to_pylist() for c in ("clinic_id", "occurred_at_max")), strict=True)
        )

    def spans(self) -> list[tuple[dt.datetime, dt.datetime]]:
        """The stretches of time that the accepted events speak of, at most `MOST_SPANS`, earliest first.

        A stretch ends where the next event is more than an hour away, so that one late event does not turn
        the look-up of its batch into a look-up of all days since.
        """
        columns = [table.column("occurred_at") for table in (self.events, self.frames) if len(table)]
        if not columns:
            return []
        moments = np.unique(np.concatenate([c.cast(pa.int64()).to_numpy() for c in columns]))
        gaps = np.diff(moments)
        widest = np.argsort(gaps)[::-1][: MOST_SPANS - 1]
        cuts = np.sort(widest[gaps[widest] > HOUR_US])
        firsts, lasts = moments[np.r_[0, cuts + 1]], moments[np.r_[cuts, len(moments) - 1]]
        return [(_moment(a), _moment(b)) for a, b in zip(firsts, lasts, strict=True)]

    def fact_days(self) -> list[dt.date]:
        """The UTC days that the accepted events other than frames speak of."""
        if not len(self.events):
            return []
        moments = self.events.column("occurred_at").cast(pa.int64()).to_numpy()
        return [_moment(day * DAY_US).date() for day in np.unique(moments // DAY_US)]


MOST_SPANS = 8
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def _moment(microseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=int(microseconds))


INCOMING = pa.schema(
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
REFUSED = pa.schema(
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
    """Every record of the batch, accepted or refused."""
    accepted: list[tuple[Any, ...]] = []
    refused: list[tuple[Any, ...]] = []
    frames: list[pa.Table] = []
    for part, slice_ in enumerate(batch.slices):
        left: Iterable[int] = range(len(slice_.records))
        shared, owner = route(slice_.partition.topic)
        if shared == FRAME_TOPIC:
            found = _frames(slice_.records)
            table, row = _of_owner(frame_table(found, part, slice_.records), found.row, owner)
            frames.append(table)
            left = np.setdiff1d(np.arange(len(slice_.records)), row, assume_unique=True).tolist()
        for i in left:
            try:
                accepted.append(_accept(slice_, part, i))
            except ContractViolation as violation:
                refused.append((*origin(slice_, part, i), violation.rule, violation.path, violation.detail))
    joined = pa.concat_tables(frames).combine_chunks() if frames else _NO_FRAMES
    chunked = pa.Table.from_batches(joined.to_batches(max_chunksize=CHUNK_ROWS), schema=joined.schema)
    return Decoded(batch, arrow_table(accepted, INCOMING), chunked, refused)


def _of_owner(table: pa.Table, row: Ints, owner: str | None) -> tuple[pa.Table, Ints]:
    """The frames that may lie on a topic of this owner; the strict decoder refuses the others by name."""
    if owner is None:
        return table, row
    allowed = pc.equal(table.column("clinic_id"), owner)
    return table.filter(allowed), row[allowed.to_numpy()]


def _accept(slice_: Slice, part: int, i: int) -> tuple[Any, ...]:
    """One event in its canonical form, as a row of `incoming`. Raises ContractViolation."""
    records = slice_.records
    timestamp_ms = int(records.timestamp_ms[i])
    received_at = dt.datetime.fromtimestamp(timestamp_ms / 1000, dt.UTC)
    event, canonical = decode(
        records.value(i),
        topic=slice_.partition.topic,
        key=records.key(i),
        headers=records.headers.get(i),
        now=received_at,
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
        buffers = [_validity(present), pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(pa.string(), n, buffers)

    def samples(values: Any) -> pa.Array:
        return pa.ListArray.from_arrays(_numbers(ends), _numbers(values))

    return pa.table(
        {
            "part": _numbers(np.full(n, part, np.int32)),
            "offset": _numbers(records.offset[frames.row]),
            "received_at": _instants(records.timestamp_ms[frames.row], "ms"),
            "source": text(frames.source),
            "id": text(frames.id),
            "clinic_id": text(frames.clinic_id),
            "occurred_at": _instants(frames.occurred_us, "us"),
            "content_hash": _numbers(frames.content_hash),
            "device_id": text(frames.device_id),
            "sequence": _numbers(frames.sequence),
            "sample_interval_ms": _numbers(frames.sample_interval_ms.astype(np.int32)),
            "depth_mm": samples(frames.depth_mm),
            "stroke_rate_per_min": samples(frames.stroke_rate_per_min),
            "motor_current_ma": samples(frames.motor_current_ma),
            "battery_percent": _numbers(frames.battery_percent),
            "session_id": text(frames.session_id, frames.has_session),
            "temperature_celsius": _numbers(
                frames.temperature_celsius, present=~np.isnan(frames.temperature_celsius)
            ),
        }
    )


def _instants(values: Ints, unit: str) -> pa.Array:
    return _numbers(values).cast(pa.timestamp(unit)).cast(pa.timestamp(unit, tz="UTC"))


def _numbers(values: Any, present: Any = None) -> pa.Array:
    """The numbers as an Arrow array over the same memory. `pa.array`, and a compute function that is given a
    Python value, would import pandas, to ask it whether that is one of its own: most of a second of a
    restarted worker's time, and 33 MB."""
    type_ = pa.from_numpy_dtype(values.dtype)
    buffers = [_validity(present), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(type_, len(values), buffers)


def _validity(present: Any) -> pa.Buffer | None:
    """Arrow's bits for the values that are there; none where all are."""
    return None if present is None else pa.py_buffer(np.packbits(present, bitorder="little").tobytes())


def arrow_table(found: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*found, strict=True) if found else ([] for _ in schema)
    return pa.table(
        [pa.array(list(c), type=f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
    )


_NO_RECORDS = Records.of([])
_NO_FRAMES = frame_table(_frames(_NO_RECORDS), 0, _NO_RECORDS)


def origin(slice_: Slice, part: int, i: int) -> tuple[Any, ...]:
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
