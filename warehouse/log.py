"""What we read from a log with offsets, and how far: batches of records, and the progress kept with the rows.

Nothing here knows Kafka, and nothing here is heavy: status and tests use it without the landing itself.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from producers.contracts import CheckFailed
from warehouse.store import Connection, Location, naming_failures, rows, statement, transaction

Ints = npt.NDArray[np.int64]
Headers = list[tuple[str, bytes | None]]


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


@dataclass(frozen=True)
class Records:
    """Consecutive records of a log, as places in one buffer; nothing is copied out of it.

    Arrays have one entry per record. A size of -1 is a null key or value. `headers` has an entry only for
    records that carry some.
    """

    buffer: npt.NDArray[np.uint8]
    offset: Ints
    timestamp_ms: Ints
    key_at: Ints
    key_size: Ints
    value_at: Ints
    value_size: Ints
    headers: Mapping[int, Headers] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Sequence[Any]) -> "Records":
        """From objects with `offset`, `timestamp` (milliseconds), `key`, `value` and `headers`."""
        texts = [text for r in records for text in (r.key, r.value)]
        sizes = np.array([-1 if text is None else len(text) for text in texts], np.int64)
        ends = np.cumsum(np.maximum(sizes, 0))
        starts = ends - np.maximum(sizes, 0)
        return cls(
            buffer=np.frombuffer(b"".join(text or b"" for text in texts), np.uint8),
            offset=np.array([r.offset for r in records], np.int64),
            timestamp_ms=np.array([r.timestamp for r in records], np.int64),
            key_at=starts[0::2],
            key_size=sizes[0::2],
            value_at=starts[1::2],
            value_size=sizes[1::2],
            headers={i: list(r.headers) for i, r in enumerate(records) if r.headers},
        )

    @classmethod
    def joined(cls, parts: Sequence["Records"], *, first_offset: int) -> "Records":
        """One after the other, without what lies before `first_offset`: a fetch may begin inside a batch."""
        shift = np.cumsum([0, *(len(p.buffer) for p in parts)])
        rows = np.cumsum([0, *(len(p) for p in parts)])

        def places(name: str) -> Ints:
            return np.concatenate([getattr(p, name) + at for p, at in zip(parts, shift[:-1], strict=True)])

        def column(name: str) -> Ints:
            return np.concatenate([getattr(p, name) for p in parts])

        columns = {name: column(name) for name in ("offset", "timestamp_ms", "key_size", "value_size")}
        columns |= {name: places(name) for name in ("key_at", "value_at")}
        wanted = np.flatnonzero(columns["offset"] >= first_offset)
        headers = {}
        if any(p.headers for p in parts):  # mostly none: the look-up is not worth its making
            row_of = {int(old): new for new, old in enumerate(wanted)}
            headers = {
                row_of[int(base) + i]: found
                for part, base in zip(parts, rows[:-1], strict=True)
                for i, found in part.headers.items()
                if int(base) + i in row_of
            }
        return cls(
            buffer=np.concatenate([p.buffer for p in parts]),
            headers=headers,
            **{name: values[wanted] for name, values in columns.items()},
        )

    def __len__(self) -> int:
        return len(self.offset)

    def key(self, i: int) -> bytes | None:
        return self._text(self.key_at[i], self.key_size[i])

    def value(self, i: int) -> bytes | None:
        return self._text(self.value_at[i], self.value_size[i])

    def _text(self, at: int, size: int) -> bytes | None:
        return None if size < 0 else self.buffer[at : at + size].tobytes()


@dataclass(frozen=True)
class Slice:
    """The records of one partition from `first_offset` up to, not including, `next_offset`."""

    partition: Partition
    first_offset: int
    next_offset: int
    records: Records


@dataclass(frozen=True)
class Batch:
    """What one poll brought, over any number of partitions."""

    slices: Sequence[Slice]

    @property
    def events(self) -> int:
        return sum(len(s.records) for s in self.slices)


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
    topic_ids: Mapping[str, str] | None = None,
) -> dict[Partition, int]:
    """Where to read on: the stored progress, or for a partition never seen its first offset, now stored.

    `topic_ids` are Kafka's own ids of the topics. Raises CheckFailed where a topic has another one than when
    landing began to read it: it was deleted and made anew, and the offsets we hold mean nothing in it.
    """
    ids = topic_ids or {}
    with transaction(connection, location):
        known = progress(connection)
        _refuse_made_anew(connection, ids)
        for partition, (first, _) in bounds.items():
            if partition not in known:
                begin = {
                    "topic": partition.topic,
                    "partition": partition.number,
                    "next_offset": first,
                    "at": at,
                }
                connection.execute(statement("landing/begin"), begin | {"topic_id": ids.get(partition.topic)})
    with naming_failures(location):
        held = progress(connection)
    return {partition: held[partition] for partition in bounds}


def _refuse_made_anew(connection: Connection, ids: Mapping[str, str]) -> None:
    known = {row["topic"]: row["topic_id"] for row in rows(connection, statement("landing/topic_ids"))}
    for topic, topic_id in ids.items():
        if known.get(topic, topic_id) != topic_id:
            raise CheckFailed(
                f"{topic}: Kafka's topic is another one than before, deleted and made anew; "
                "what its first form held past our progress was never landed; see `dermastream topics losses`"
            )
    if new := ids.keys() - known.keys():
        for row in rows(connection, statement("landing/progress")):
            if row["topic"] in new:
                new -= {row["topic"]}
                connection.execute(
                    statement("landing/name_topic"), {"topic": row["topic"], "topic_id": ids[row["topic"]]}
                )
