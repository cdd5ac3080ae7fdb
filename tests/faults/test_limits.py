"""Memory bounded whatever the backlog, and a Prefect server that is gone or hangs: matrix rows 21 and 17."""

import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from flows import bounded
from flows.landing import Lander
from flows.stack import ports
from producers.contracts import encode, partition_key
from producers.publisher import Publisher
from tests.faults.harness import TELEMETRY, World, event
from tests.faults.worker import utc_now
from warehouse import store

pytestmark = pytest.mark.integration

MiB = 2**20


def pile_up(world: World, frames: int) -> None:
    """A backlog of frames of a hundred samples, without the ledger's care: their number is enough here."""
    wide = b"[" + b",".join([b"1.25"] * 100) + b"]"
    with Publisher(world.broker.bootstrap) as publisher:
        for number in range(1, frames + 1):
            one = event(5 * number + 1)
            value = encode(one).replace(b'"id":"e-', b'"id":"w-')
            value = value.replace(b"[7000.0,7000.5]", wide).replace(b"[300.0,301.0]", wide)
            depth = b'"depth_mm":[1.0,%s]' % f"{one.data.depth_mm[1]}".encode()
            publisher.publish_raw(
                TELEMETRY, partition_key(one).encode(), value.replace(depth, b'"depth_mm":' + wide)
            )


def peak_bytes(world: World, frames: int) -> int:
    """The most memory a worker ever held while it landed a backlog of so many frames."""
    pile_up(world, frames)
    worker = world.worker()
    world.until(world.drained, lambda: worker.exitcode is not None)
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    worker.terminate()
    worker.join()
    assert worker.exitcode == 0
    counts = world.connection.execute("SELECT count(*), count(DISTINCT id) FROM raw.telemetry_frame")
    assert counts.fetchall() == [(frames, frames)]
    return int(status["VmHWM"].split()[0]) * 1024


SMALL_BATCHES = {"batch_max_events": 2_000, "batch_max_bytes": 2 * MiB}


def test_memory_is_bounded(worlds: Callable[..., World]):
    """Row 21: a backlog lands in less than 1 GB; that it stays flat as it grows is for the long run."""
    assert peak_bytes(worlds(**SMALL_BATCHES), 8_000) < 1024 * MiB


@contextlib.contextmanager
def hanging_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api"


@contextlib.contextmanager
def no_server() -> Iterator[str]:
    yield f"http://127.0.0.1:{ports.any_free()}/api"


@pytest.mark.parametrize("prefect", [no_server, hanging_server])
def test_landing_goes_on_without_prefect(world: World, prefect: Callable[[], AbstractContextManager[str]]):
    """Row 17: with Prefect's server dead, or hanging, everything lands all the same."""
    stop = threading.Event()
    connection = store.cursor(world.connection)
    lander = Lander(world.settings, connection, utc_now)
    with prefect() as url, world.streaming():
        work = functools.partial(bounded.loop, "landing", lambda s, t: lander.run(s, seconds=t), stop)
        named = {"place": "here", "seconds": 0.5, "prefect_api_url": url}
        loop = threading.Thread(target=work, kwargs=named)
        loop.start()
        world.until(lambda: world.landed_batches() >= 10)
    world.until(world.drained)
    stop.set()
    loop.join()
    lander.close()
    connection.close()
    assert world.violations(duplicates=0) == []
