"""The worker that empties the send ledger: each delivery at most once, none forgotten."""

import datetime as dt
import hashlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from flows.delivery.smtp import NotNow, Unknown
from producers.contracts import Terminal
from warehouse.deliveries import Delivery, Ledger, LostClaim

log = structlog.get_logger("delivery")

FIRST_WAIT = dt.timedelta(minutes=1)
LONGEST_WAIT = dt.timedelta(hours=1)
GIVE_UP_AFTER = dt.timedelta(days=2)
"""How long a server may put us off: RFC 5321, 4.5.4.1 says four to five days; a report is stale earlier."""


class Withheld(Exception):
    """Not to be sent, and why."""


class Channel(Protocol):
    """One way to send.

    `make` gives the bytes, the same each time, or raises Withheld. `send` hands them over, calling
    `before_final` right before they may arrive; it gives the answer or raises NotNow, Refused, Unknown.
    """

    def make(self, delivery: Delivery) -> bytes: ...

    def send(self, delivery: Delivery, made: bytes, before_final: Callable[[], None]) -> str: ...


@dataclass
class Tally:
    """What one run did."""

    accepted: int = 0
    failed: int = 0
    unknown: int = 0
    put_off: int = 0
    withheld: int = 0


class Sender:
    """Works at one ledger. Any number of them may, in any number of processes on its machine."""

    def __init__(
        self,
        ledger: Ledger,
        channels: dict[str, Channel],
        clock: Callable[[], dt.datetime],
        *,
        lease: dt.timedelta,
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`lease` is longer than any attempt can take. `step` is told each step's name before it is done."""
        self._ledger = ledger
        self._channels = channels
        self._clock = clock
        self._lease = lease
        self._step = step
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def run(self, *, most: int | None = None) -> Tally:
        """Deliver what is due; gives what became of it. Raises WarehouseUnavailable."""
        tally = Tally()
        tally.unknown += self._ledger.give_up_on_dead(at=self._clock())
        while most is None or most > 0:
            self._step("claim")
            delivery = self._ledger.claim(self._name, self._channels, at=self._clock(), lease=self._lease)
            if delivery is None:
                break
            outcome = self._deliver(delivery)
            setattr(tally, outcome, getattr(tally, outcome) + 1)
            most = None if most is None else most - 1
        return tally

    def _deliver(self, delivery: Delivery) -> str:
        """One attempt, in this order, so that a crash anywhere neither repeats nor loses it:

        1. make the bytes (the same as in any attempt before) and write `rendered` with their digest;
        2. connect and send all but the last byte that could make it arrive: a failure here is safe to repeat;
        3. write `handed over`, if the claim still holds;
        4. send the rest;
        5. write the answer: accepted, failed, or planned again. No answer: unknown, and a person decides.

        A crash between 3 and 5 leaves `handed over`; once its lease is over it becomes unknown.
        """
        channel = self._channels[delivery.key.channel]

        def before_final() -> None:
            self._step("hand over")
            self._ledger.hand_over(delivery, at=self._clock())
            self._step("final")

        try:
            self._step("make")
            made = channel.make(delivery)
            self._ledger.rendered(delivery, hashlib.sha256(made).hexdigest(), at=self._clock())
            self._step("send")
            answer = channel.send(delivery, made, before_final)
            self._step("answered")
            return self._settle(delivery, "accepted", answer)
        except Withheld as reason:
            return self._settle(delivery, "withheld", str(reason))
        except Unknown as error:
            return self._settle(delivery, "unknown", str(error))
        except NotNow as error:
            return self._again(delivery, str(error))
        except LostClaim as error:
            log.warning("claim lost", delivery=delivery.id, reason=str(error))
            return "put_off"
        except Terminal as error:  # one that is refused or cannot be made must not stop the rest
            return self._settle(delivery, "failed", str(error))

    def _settle(self, delivery: Delivery, state: str, detail: str) -> str:
        self._ledger.settle(delivery, state, detail, at=self._clock())
        self._step("settled")
        log.info("delivery", delivery=delivery.id, kind=delivery.key.kind, state=state)
        return state

    def _again(self, delivery: Delivery, detail: str) -> str:
        now = self._clock()
        if now - delivery.planned_at > GIVE_UP_AFTER:
            return self._settle(delivery, "failed", f"given up after {GIVE_UP_AFTER.days} days: {detail}")
        wait = min(FIRST_WAIT * 2 ** min(delivery.attempts - 1, 10), LONGEST_WAIT)
        self._ledger.put_off(delivery, detail, at=now, until=now + wait)
        log.warning("delivery put off", delivery=delivery.id, reason=detail)
        return "put_off"
