"""Crash the delivery worker again and again, against a mail server that misbehaves; then count.

Lives are processes of their own, killed by `kill -9` at a named step or at a random moment, one to three at a
time. Between lives an hour of their clock goes by, so that leases end and back-offs are over.
"""

import collections
import datetime as dt
import multiprocessing
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboards.accounts import add_user
from flows.stack import ports
from tests.delivery import worker
from tests.delivery.server import Mailbox, running
from warehouse.deliveries import Key, Ledger, Recipient

BEGAN = dt.datetime(2026, 11, 16, 7, tzinfo=dt.UTC)
BETWEEN = dt.timedelta(minutes=61)
PEOPLE = 6
LIFE_SECONDS = 30.0

WEIGHTS = {
    "slow": 0.15, "421 at greeting": 0.03, "451 at recipient": 0.04, "550 at recipient": 0.01,
    "451 at data": 0.03, "451 at end": 0.04, "554 at end": 0.02, "dropped before end": 0.04,
    "taken then dropped": 0.03, "dropped at end": 0.03, "odd answer": 0.02,
}  # fmt: skip
DOWN = 0.08
"""Share of lives in which the server does not listen at all."""


@dataclass
class Counted:
    """What was done and what came of it."""

    seed: int
    crashes: int = 0
    lives: int = 0
    by_step: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    deliveries: int = 0
    states: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    doubles: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    misdirected: list[str] = field(default_factory=list)
    wrong_books: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def right(self) -> bool:
        return not (self.doubles or self.lost or self.misdirected or self.wrong_books)


def address(account: str) -> str:
    return f"{account}@{worker.DOMAIN}"


def prepare(home: Path) -> Ledger:
    """Accounts and recipients: one manager for each of some clinics."""
    ledger = Ledger(home / "delivery.sqlite")
    for i in range(PEOPLE):
        name = f"manager-{i}"
        add_user(home / "accounts.sqlite", name, "a long enough password", "clinic_manager", [f"c{i}"])
        ledger.remember(Recipient(name, address(name)))
    return ledger


def keys(week: int) -> tuple[Key, ...]:
    """What is due in one week: something for everybody."""
    return tuple(
        Key("mail", "delayed" if i % 2 else "signal", f"2026-W{week:03}", f"clinic-c{i}", f"manager-{i}", 1)
        for i in range(PEOPLE)
    )


def crash(home: Path, *, crashes: int, seed: int, mutant: bool = False, seconds: float = 1200) -> Counted:
    """Lives until so many were killed, then undisturbed ones until nothing waits; and the account."""
    began = time.monotonic()
    dice = random.Random(seed)
    counted = Counted(seed)
    mailbox = Mailbox(faults=WEIGHTS, dice=random.Random(seed + 1))
    ledger = prepare(home)
    port, nowhere = ports.any_free(), ports.any_free()
    now, planned = BEGAN, []
    start = multiprocessing.get_context("forkserver")
    multiprocessing.set_forkserver_preload(["tests.delivery.worker"])
    with running(mailbox, home, port=port):
        while counted.crashes < crashes and time.monotonic() - began < seconds:
            if counted.lives % 2 == 0:
                planned.append(keys(len(planned)))
            _lives(
                start, dice, counted, home, nowhere if dice.random() < DOWN else port, now, planned, mutant
            )
            _mend(ledger)
            now += BETWEEN
        mailbox.faults = {}
        while any(row["state"] in ("planned", "rendered", "handed over") for row in ledger.listed()):
            life = worker.Life(home, port, now, tuple(key for week in planned for key in week), None, mutant)
            process = start.Process(target=worker.live, args=(life,))
            process.start()
            process.join()
            assert process.exitcode == 0, "an undisturbed worker failed"
            now += BETWEEN
    counted.faults = mailbox.met
    _account(counted, ledger, mailbox, [key for week in planned for key in week])
    counted.seconds = round(time.monotonic() - began, 1)
    return counted


def _lives(
    start: Any,
    dice: random.Random,
    counted: Counted,
    home: Path,
    port: int,
    now: dt.datetime,
    planned: list[tuple[Key, ...]],
    mutant: bool,
) -> None:
    """One to three workers at the same time, each to be killed somewhere."""
    lives = []
    for _ in range(dice.choice((1, 1, 2, 3))):
        step = dice.choice(("plan", *worker.STEPS, "random", "random"))
        die_at = None if step == "random" else (step, dice.randrange(4))
        life = worker.Life(home, port, now, planned[-1], die_at, mutant)
        process = start.Process(target=worker.live, args=(life,))
        process.start()
        lives.append((process, step, time.monotonic() + dice.uniform(0.02, 0.5)))
    for process, step, at in sorted(lives, key=lambda life: life[2]):
        if step == "random":
            process.join(max(0.0, at - time.monotonic()))
            process.kill()
        process.join(LIFE_SECONDS)
        assert process.exitcode is not None, "a worker hangs"
        assert process.exitcode in (0, -signal.SIGKILL), f"a worker failed with {process.exitcode}"
        counted.lives += 1
        if process.exitcode == -signal.SIGKILL:
            counted.crashes += 1
            counted.by_step[step] = counted.by_step.get(step, 0) + 1


def _mend(ledger: Ledger) -> None:
    """A person looks at refused addresses."""
    for recipient in ledger.recipients():
        if recipient.bounced:
            ledger.remember(Recipient(recipient.account, recipient.address))


def _account(counted: Counted, ledger: Ledger, mailbox: Mailbox, planned: list[Key]) -> None:
    rows = {row["id"]: row for row in ledger.listed()}
    arrived = collections.Counter(message.delivery for message in mailbox.taken)
    counted.deliveries, counted.taken = len(rows), len(mailbox.taken)
    counted.states = dict(collections.Counter(row["state"] for row in rows.values()))
    counted.doubles = sorted(name for name, times in arrived.items() if times > 1)
    counted.lost = [key.id for key in planned if key.id not in rows]
    counted.lost += [name for name, row in rows.items() if row["state"] == "accepted" and not arrived[name]]
    counted.lost += [name for name, row in rows.items() if row["state"] in ("planned", "rendered")]
    counted.wrong_books = [name for name in arrived if name not in rows]
    counted.wrong_books += [
        name for name, row in rows.items() if row["state"] in ("failed", "withheld") and arrived[name]
    ]
    meant = {name: address(row["recipient"]) for name, row in rows.items()}
    counted.misdirected = [m.delivery for m in mailbox.taken if meant.get(m.delivery) != m.recipient]
    counted.wrong_books += [
        m.delivery for m in mailbox.taken if m.message_id != f"<{m.delivery}@network.example>"
    ]
