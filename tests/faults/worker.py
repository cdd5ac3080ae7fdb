"""A landing worker in a process of its own, without Prefect, to be killed and frozen at a chosen step.

Processes are forked from one that has imported everything, so that a start costs tenths of a second. Nothing
in the product knows of this: the steps of `warehouse.landing.land` are seen from outside, by the statements
that cross the connection and by wrapping the functions before and after.
"""

import datetime as dt
import functools
import multiprocessing
import multiprocessing.context
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flows.prefetch
import warehouse.decoding
import warehouse.maintenance
from flows import record_batches
from flows.event_source import EventSource
from flows.landing import Lander
from flows.settings import Settings
from tests.faults.mutants import MUTANTS
from warehouse import store
from warehouse.maintenance import Policy

assert record_batches.SUPPORTED  # imported here so that no forked worker has to

_AFTER = {
    "BEGIN": "begun",
    store.statement("landing/unwanted"): "judged",
    store.statement("landing/insert_frames"): "frames inserted",
    store.statement("landing/insert_keys"): "keys inserted",
    store.statement("landing/quarantine"): "quarantined",
    store.statement("landing/ledger"): "booked",
    store.statement("landing/advance"): "advanced",
    "COMMIT": "committed",
    store.statement("landing/forget"): "put away",
}
IN_COMMIT = "in commit"
STEPS = (
    "polled", "decoding", "decoded", "laid out", *_AFTER.values(), "before commit", IN_COMMIT, "read back",
    "mirrored",
)  # fmt: skip
"""Where a worker can be hit; `read back` is after the progress was read back, `in commit` at random."""
MAINTENANCE_STEPS = ("merging", "merged", "expired", "cleaned up")
_MAINTENANCE = {
    store.statement("maintenance/merge"): "merged",
    store.statement("maintenance/expire"): "expired",
    store.statement("maintenance/cleanup"): "cleaned up",
}


@dataclass(frozen=True)
class Plan:
    """What a worker does, and what happens to it."""

    settings: Settings
    log: Path
    step: str | None = None
    times: int = 1
    """At which passing of the step it happens."""
    signal: int = signal.SIGKILL
    mutant: str | None = None
    seed: int = 0
    maintain: bool = False


class Tripwire:
    """Sends this process a signal when a step is passed for the n-th time."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def passed(self, step: str) -> None:
        if self._due(step):
            os.kill(os.getpid(), self._plan.signal)

    def entering_commit(self) -> None:
        """At a random moment of the next few hundredths of a second, while the commit is under way."""
        if self._due(IN_COMMIT):
            seconds = self._rng.uniform(0, 0.03)
            hit = functools.partial(os.kill, os.getpid(), self._plan.signal)
            threading.Timer(seconds, hit).start()

    def _due(self, step: str) -> bool:
        with self._lock:
            self._passed[step] += 1
            return step == self._plan.step and self._passed[step] == self._plan.times

    def after(self, step: str, function: Callable[..., Any], *, given: bool = False) -> Callable[..., Any]:
        """The function, tripping when it has returned (and, if asked, only when it gave something)."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if not given or result.slices:
                self.passed(step)
            return result

        return wrapped


class Watched:
    """A DuckDB connection whose statements are seen."""

    def __init__(self, connection: store.Connection, wire: Tripwire) -> None:
        self._connection = connection
        self._wire = wire
        self._last = ""

    def execute(self, sql: str, *args: Any) -> Any:
        if sql == "COMMIT":
            self._wire.passed("before commit")
            self._wire.entering_commit()
        if sql == store.statement("maintenance/merge"):
            self._wire.passed("merging")
        result = self._connection.execute(sql, *args)
        if sql == store.statement("landing/progress") and self._last == "COMMIT":
            self._wire.passed("read back")
        self._last = sql
        step = _AFTER.get(sql) or _MAINTENANCE.get(sql)
        if step:
            self._wire.passed(step)
        return result

    def register(self, name: str, table: Any) -> None:
        self._connection.register(name, table)
        if name == "parts":
            self._wire.passed("laid out")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def run(plan: Plan) -> None:
    """Land until SIGTERM, or until what is planned happens."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = os.open(plan.log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    wire = Tripwire(plan)
    EventSource.poll = wire.after("polled", EventSource.poll, given=True)  # type: ignore[method-assign]
    EventSource.mirror = wire.after("mirrored", EventSource.mirror)  # type: ignore[method-assign]
    warehouse.decoding._accept = wire.after("decoding", warehouse.decoding._accept)
    decode = wire.after("decoded", flows.prefetch.decode_batch)
    flows.prefetch.decode_batch = decode  # type: ignore[attr-defined]
    with ExitStack() as stack:
        if plan.mutant:
            stack.enter_context(MUTANTS[plan.mutant]())
        connection = store.connect(plan.settings.location)
        watched: Any = Watched(connection, wire)
        if plan.maintain:
            keeper: Any = Watched(store.cursor(connection), wire)
            threading.Thread(target=_maintain, args=(plan, keeper), daemon=True).start()
        lander = Lander(plan.settings, watched, utc_now)
        lander.run(stop, seconds=3600)
        lander.close()


def _maintain(plan: Plan, connection: store.Connection) -> None:
    """Maintenance without a pause, and without mercy for what is older than a moment."""
    while True:
        policy = Policy(snapshots_for=dt.timedelta(seconds=1), files_for=dt.timedelta(seconds=2))
        warehouse.maintenance.maintain(connection, plan.settings.location, policy, pins=(), now=utc_now())
        time.sleep(0.05)


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@functools.cache
def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.faults.harness"])
    return context


def start(target: Callable[..., None], *args: Any) -> "multiprocessing.context.ForkServerProcess":
    """A process that does this, forked from a server that has imported everything."""
    process = _context().Process(target=target, args=args, daemon=True)
    process.start()
    return process
