"""What other people's SQL may take of its process: memory, which the kernel holds, and time."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from warehouse import store

GRACE_SECONDS = 1.5
"""After an interrupt; some functions of DuckDB do not look for one, then the process ends."""


def limit_memory(memory_mb: int) -> None:
    """Let this process take no more than twice that and 512 MB beyond what it has. DuckDB's own limit does
    not hold for single long strings; the kernel's does. Linux only."""
    if sys.platform != "linux":
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (2 * memory_mb + 512) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


@contextlib.contextmanager
def time_limit(connection: store.Connection, seconds: float) -> Iterator[None]:
    """Interrupt what runs too long, and end the process where it does not listen."""

    def end() -> None:
        print(f"dermastream: stopped after {seconds:g} s, the time limit", file=sys.stderr, flush=True)
        os._exit(2)

    last = threading.Timer(seconds + GRACE_SECONDS, end)
    last.daemon = True
    last.start()
    try:
        with store.time_limit(connection, seconds):
            yield
    finally:
        last.cancel()
