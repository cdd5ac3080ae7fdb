"""What Kafka no longer holds and was never landed: landing stops there, and a person decides.

Two ways it comes to that: Kafka's retention was shorter than landing was away, so that offsets are gone; or
the topic was deleted and made anew. Accepting the loss books it, with who and why, and landing goes on.
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from producers.contracts import CheckFailed, WarehouseConflict
from warehouse.log import Partition, progress
from warehouse.store import Connection, Location, rows, statement, transaction


@dataclass(frozen=True)
class Loss:
    """A stretch of a partition that was not landed.

    `next_offset` is None where the topic was made anew, under another id than `former_topic_id`: nobody can
    tell how far the former one went.
    """

    partition: Partition
    first_offset: int
    next_offset: int | None
    former_topic_id: str | None = None

    def __str__(self) -> str:
        where = f"{self.partition.topic}/{self.partition.number}"
        if self.next_offset is None:
            return f"{where}: the topic was made anew; the former one was landed up to {self.first_offset}"
        return f"{where}: offsets {self.first_offset} to {self.next_offset - 1} are gone from Kafka"


def losses(
    connection: Connection, bounds: Mapping[Partition, tuple[int, int]], topic_ids: Mapping[str, str]
) -> list[Loss]:
    """What landing would stop for now, given the offsets that Kafka holds and its ids of the topics."""
    known = {row["topic"]: row["topic_id"] for row in rows(connection, statement("landing/topic_ids"))}
    found = []
    for partition, at in sorted(progress(connection).items()):
        former = known.get(partition.topic)
        if former is not None and topic_ids.get(partition.topic, former) != former:
            found.append(Loss(partition, at, None, former))
        elif partition in bounds and at < bounds[partition][0]:
            found.append(Loss(partition, at, bounds[partition][0]))
    return found


def accept(
    connection: Connection, location: Location, lost: Sequence[Loss], *, by: str, reason: str, at: dt.datetime
) -> None:
    """Book these losses and let landing go on behind them, in one transaction.

    Raises CheckFailed without a reason, and WarehouseConflict where landing has moved on meanwhile.
    """
    if not reason.strip():
        raise CheckFailed("accepting a loss needs a reason")
    batch_id = f"loss-{uuid.uuid4().hex[:12]}"
    with transaction(connection, location):
        for loss in lost:
            _book(connection, loss, batch_id=batch_id, by=by, reason=reason, at=at)
        for topic, former in {(x.partition.topic, x.former_topic_id) for x in lost if x.next_offset is None}:
            connection.execute(statement("landing/close_former"), {"topic": topic, "former": former})
            connection.execute(statement("landing/forget_former"), {"topic": topic})


def _book(
    connection: Connection, loss: Loss, *, batch_id: str, by: str, reason: str, at: dt.datetime
) -> None:
    where = {
        "topic": loss.partition.topic,
        "partition": loss.partition.number,
        "first_offset": loss.first_offset,
        "next_offset": loss.next_offset,
        "at": at,
    }
    connection.execute(statement("landing/remember_loss"), where | {"by": by, "reason": reason})
    if loss.next_offset is None:
        return
    moved = connection.execute(statement("landing/accept_gap"), where | {"batch_id": batch_id}).fetchall()
    if moved[0][0] != 1:
        raise WarehouseConflict(f"{loss}: landing is not there any more")
    connection.execute(statement("landing/book_gap"), where | {"batch_id": batch_id, "by": by})
