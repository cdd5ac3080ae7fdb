"""The door's child processes: as many as may work at once, each started when it is needed first."""

import contextlib
import dataclasses
import json
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from dashboards.door.worker import Task
from warehouse.limits import GRACE_SECONDS

START_SECONDS = 30.0
LAST_SECONDS = 2.0
"""Beyond the time at which a child ends itself; then it is killed."""


class Refused(Exception):
    """The statement is not answered; the message says why, in one line."""


class Unavailable(Exception):
    """There is no warehouse, or no child free in time; the message says which."""


class Worker:
    """One child process."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._files, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dashboards.door.worker", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a traceback might hold what people asked for
                pass_fds=(theirs.fileno(),),
                text=True,
            )
        try:
            self._tell(dataclasses.asdict(task), START_SECONDS)
        except Refused:
            self.end()
            raise Unavailable("the warehouse cannot be asked just now") from None
        except Unavailable:
            self.end()
            raise

    def check(self, sql: str) -> str:
        """The statement as the log may keep it. Raises Refused."""
        return str(self._tell({"check": sql}, self._task.seconds + LAST_SECONDS)["said"])

    def run(self, sql: str, format_: str, out: BinaryIO) -> dict[str, int]:
        """Fill the file with the result: its `rows`, and the `snapshot` that was read. Raises Refused."""
        with contextlib.suppress(OSError):  # an ended child is found out by the message
            socket.send_fds(self._files, [b"."], [out.fileno()])
        return self._tell({"run": sql, "format": format_}, self._task.seconds + GRACE_SECONDS + LAST_SECONDS)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Kill it, and forget what it held."""
        self._process.kill()
        self._process.wait()
        for opened in (self._process.stdin, self._process.stdout, self._files):
            with contextlib.suppress(OSError):
                opened.close()  # type: ignore[union-attr]

    def _tell(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        last = threading.Timer(seconds, self._process.kill)
        last.start()
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            last.cancel()
        if not line:
            self.end()
            raise Refused(f"stopped: over {self._task.seconds:g} s, the time limit, or out of memory")
        answer: dict[str, Any] = json.loads(line)
        if "unavailable" in answer:
            raise Unavailable(answer["unavailable"])
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer


class Pool:
    """At most `workers` children; whoever comes when all are busy waits `patience` seconds."""

    def __init__(self, task: Task, workers: int, patience: float) -> None:
        self._task = task
        self._patience = patience
        self._places: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._places.put(None)
        self._workers = workers

    @contextlib.contextmanager
    def worker(self) -> Iterator[Worker]:
        """A child of one's own meanwhile. Raises Unavailable."""
        try:
            found = self._places.get(timeout=self._patience)
        except queue.Empty:
            raise Unavailable("too many statements at once: come back") from None
        try:
            if found is None or not found.alive:
                found = None
                found = Worker(self._task)
            yield found
        finally:
            self._places.put(found)

    def close(self) -> None:
        """End every child, once nobody uses it."""
        for _ in range(self._workers):
            with contextlib.suppress(queue.Empty):
                if (found := self._places.get(timeout=LAST_SECONDS)) is not None:
                    found.end()
