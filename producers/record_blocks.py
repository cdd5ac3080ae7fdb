"""Kafka records packed into blocks by a compiled loop, for senders of hundreds of thousands a second.

A producer runs much Python for each record. Whoever has many packs them here, as record batches hold them
(format 2: length, attributes, time and offset deltas, key, value, no headers), and hands whole blocks to
`Publisher.publish_block`.
"""

from collections.abc import Iterator, Sequence

import numba
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ends = npt.NDArray[np.int64]

BLOCK_BYTES = 400_000
"""Size at which a block is full: well below what a broker takes as one record batch, 1 MB."""


class Blocks:
    """The records of one partition, in order, as blocks of at most `BLOCK_BYTES`."""

    def __init__(self) -> None:
        self._buffer = np.empty(BLOCK_BYTES, np.uint8)
        self._size = 0
        self._count = 0

    def add(
        self, keys: Bytes, key_ends: Ends, values: Bytes, value_ends: Ends
    ) -> Iterator[tuple[Bytes, int]]:
        """Add records, with a key for each or one key for all; gives the blocks that became full.

        Raises ValueError for a record that fits into no block.
        """
        done = 0
        while done < len(value_ends):
            self._size, now = _pack(
                self._buffer, self._size, self._count, keys, key_ends, values, value_ends, done
            )
            self._count += now - done
            done = now
            if done < len(value_ends):
                if not self._count:
                    raise ValueError("a record is larger than a block")
                yield from self.rest()

    def rest(self) -> Iterator[tuple[Bytes, int]]:
        """The block begun, if any: its bytes, and how many records they are."""
        if self._count:
            yield self._buffer[: self._size], self._count
            self._size = self._count = 0


def joined(texts: Sequence[bytes]) -> tuple[Bytes, Ends]:
    """The texts one behind the other, and where each ends."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return np.frombuffer(b"".join(texts), np.uint8), ends


def partitions(keys: Bytes, key_ends: Ends, count: int) -> npt.NDArray[np.int64]:
    """The partition that Kafka's default partitioner gives each key, of `count`."""
    found = np.empty(len(key_ends), np.int64)
    _partitions(keys, key_ends, count, found)
    return found


# ── compiled ────────────────────────────────────────────────────────────────────────────────────────────

_jit = numba.njit(nogil=True, cache=True)


@_jit
def _varint_size(value):  # type: ignore[no-untyped-def]
    """Bytes of a number, not negative, as zig-zag variable-length integer."""
    value *= 2
    size = 1
    while value > 127:
        size += 1
        value >>= 7
    return size


@_jit
def _varint(out, at, value):  # type: ignore[no-untyped-def]
    value *= 2
    while value > 127:
        out[at] = 128 | (value & 127)
        at += 1
        value >>= 7
    out[at] = value
    return at + 1


@_jit
def _bytes(out, at, buffer, start, end):  # type: ignore[no-untyped-def]
    at = _varint(out, at, end - start)
    for k in range(start, end):
        out[at] = buffer[k]
        at += 1
    return at


@_jit
def _pack(out, at, count, keys, key_ends, values, value_ends, first):  # type: ignore[no-untyped-def]
    """(size, next): the records from `first` on that fit, behind `count` others."""
    for i in range(first, value_ends.size):
        start = value_ends[i - 1] if i else 0
        k = 0 if key_ends.size == 1 else i
        key_start = key_ends[k - 1] if k else 0
        key_size, value_size = key_ends[k] - key_start, value_ends[i] - start
        offset = count + i - first
        size = 3 + _varint_size(offset) + key_size + value_size
        size += _varint_size(key_size) + _varint_size(value_size)
        if at + _varint_size(size) + size > out.size:
            return at, i
        at = _varint(out, at, size)
        out[at] = 0  # attributes
        out[at + 1] = 0  # time, as the first record's
        at = _varint(out, at + 2, offset)
        at = _bytes(out, at, keys, key_start, key_ends[k])
        at = _bytes(out, at, values, start, value_ends[i])
        out[at] = 0  # headers
        at += 1
    return at, value_ends.size


@_jit
def _partitions(keys, key_ends, count, found):  # type: ignore[no-untyped-def]
    """Murmur2 with Kafka's seed, sign bit off, modulo `count`."""
    m, mask = np.uint64(0x5BD1E995), np.uint64(0xFFFFFFFF)
    for i in range(key_ends.size):
        start = key_ends[i - 1] if i else 0
        size = key_ends[i] - start
        h = np.uint64(0x9747B28C) ^ np.uint64(size)
        at = start
        while at + 4 <= start + size:
            k = np.uint64(0)
            for b in range(4):
                k |= np.uint64(keys[at + b]) << np.uint64(8 * b)
            k = (k * m) & mask
            k ^= k >> np.uint64(24)
            k = (k * m) & mask
            h = ((h * m) & mask) ^ k
            at += 4
        if at < start + size:
            for b in range(start + size - at):
                h ^= np.uint64(keys[at + b]) << np.uint64(8 * b)
            h = (h * m) & mask
        h ^= h >> np.uint64(13)
        h = (h * m) & mask
        h ^= h >> np.uint64(15)
        found[i] = np.int64(h & np.uint64(0x7FFFFFFF)) % count
