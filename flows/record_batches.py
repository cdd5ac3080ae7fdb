"""Kafka's record batches, read whole: arrays of places instead of an object per record.

kafka-python spends most of its time building one object per record. Here each record batch that it has
fetched, checked and decompressed is walked once by a compiled loop, which notes where keys and values lie;
nothing is copied. Transactions, control batches, CRCs and positions stay kafka-python's business.

The seam is `Fetcher.PartitionRecords._unpack_records`, which iterates each `DefaultRecordBatch`; ours hands
it one stand-in record per batch, whose value holds the arrays. It is guarded by version, and a test holds it
against the record-by-record path.
"""

from typing import Any

import numba
import numpy as np

from producers.contracts import CheckFailed
from warehouse.columnar import Bytes
from warehouse.log import Headers, Records

SUPPORTED = "3.0.12"
"""The version of kafka-python whose fetcher this was written against."""


class WholeBatch:
    """Stands in for a record batch while the fetcher iterates it: yields itself once, as a record."""

    timestamp_type = 1
    key = None
    headers: tuple[()] = ()
    checksum = None

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self.offset = batch.last_offset
        self.timestamp = batch.max_timestamp
        self.value = self
        self.size_in_bytes = batch.size_in_bytes
        self._given = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __len__(self) -> int:
        return int(self._batch.records_count)

    def __iter__(self) -> "WholeBatch":
        return self

    def __next__(self) -> "WholeBatch":
        if self._given:
            raise StopIteration
        self._given = True
        return self

    def validate_crc(self) -> bool:
        """The batch's own, before it is iterated; there is none per record."""
        return True if self._given else bool(self._batch.validate_crc())

    def records(self) -> Records:
        """The batch's records. Raises CheckFailed where its structure is broken."""
        batch = self._batch
        batch._maybe_uncompress()
        buffer = np.frombuffer(batch._buffer, np.uint8)
        count = batch.records_count
        table = np.empty((7, count), np.int64)
        if _split(buffer, batch._pos, count, table) != 0:
            raise CheckFailed(f"the record batch at offset {batch.base_offset} is broken")
        append_time = batch.timestamp_type == 1
        timestamps = (
            np.full(count, batch.max_timestamp, np.int64) if append_time else batch.first_timestamp + table[1]
        )
        return Records(
            buffer=buffer,
            offset=batch.base_offset + table[0],
            timestamp_ms=timestamps,
            key_at=table[2],
            key_size=table[3],
            value_at=table[4],
            value_size=table[5],
            headers={int(i): _headers(buffer, table[6, i]) for i in np.flatnonzero(table[6] >= 0)},
        )


def _headers(buffer: Bytes, at: int) -> Headers:
    """The headers that begin at this place; few events carry any, so this is not compiled as a whole."""
    count, at = _varint(buffer, at)
    found: Headers = []
    for _ in range(count):
        start, size, at = _bytes(buffer, at)
        name = buffer[start : start + size].tobytes().decode("utf-8", "replace")
        start, size, at = _bytes(buffer, at)
        if at < 0:
            raise CheckFailed("a record's headers are broken")
        found.append((name, None if size < 0 else buffer[start : start + size].tobytes()))
    return found


class WholeBatches:
    """Wraps the fetched memory records, so that the fetcher sees `WholeBatch` for each data batch."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        if batch is None or batch.magic != 2 or batch.is_control_batch:
            return batch
        return WholeBatch(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


def install(consumer: Any) -> None:
    """Make this consumer, and no other, give whole batches."""
    fetcher = consumer._fetcher
    original = fetcher.PartitionRecords

    class PartitionRecords(original):  # type: ignore[misc, valid-type]
        def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Any:
            return super()._unpack_records(tp, WholeBatches(records), *deserializers)

    fetcher.PartitionRecords = PartitionRecords


@numba.njit(nogil=True, cache=True)
def _varint(buffer, at):  # type: ignore[no-untyped-def]
    """(value, next) of a zig-zag variable-length integer; next is -1 when the buffer ends in it."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while True:
        if at >= buffer.size or shift > 63:
            return np.int64(0), -1
        byte = buffer[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 128:
            break
        shift += np.uint64(7)
    return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), at


@numba.njit(nogil=True, cache=True)
def _bytes(buffer, at):  # type: ignore[no-untyped-def]
    """(start, size, next) of nullable bytes; size is -1 for null, next is -1 when they do not fit."""
    size, at = _varint(buffer, at)
    if at < 0 or size > buffer.size - at:
        return 0, -1, -1
    if size < 0:
        return at, -1, at
    return at, size, at + size


@numba.njit(nogil=True, cache=True)
def _split(buffer, at, count, table):  # type: ignore[no-untyped-def]
    """Fill the table's rows (offset and time deltas, key, value, headers); non-zero when broken."""
    for i in range(count):
        length, at = _varint(buffer, at)
        end = at + length
        if at < 0 or length < 0 or end > buffer.size:
            return 1
        at += 1  # attributes, unused by Kafka
        table[1, i], at = _varint(buffer, at)
        if at < 0:
            return 1
        table[0, i], at = _varint(buffer, at)
        if at < 0:
            return 1
        table[2, i], table[3, i], at = _bytes(buffer, at)
        if at < 0:
            return 1
        table[4, i], table[5, i], at = _bytes(buffer, at)
        if at < 0:
            return 1
        headers, after = _varint(buffer, at)
        if after < 0 or headers < 0:
            return 1
        table[6, i] = at if headers > 0 else -1
        if headers == 0 and after != end:
            return 1
        at = end
    return 0 if at == buffer.size else 1
