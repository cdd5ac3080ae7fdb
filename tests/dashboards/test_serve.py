"""The served process: small, prompt to stop, and patient with a warehouse that is not there yet."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from dashboards.app import DashboardSettings
from dashboards.serve import build_server
from tests.dashboards.conftest import Clock, Lake, login
from warehouse import store

pytestmark = pytest.mark.integration

_PROGRAM = """
import datetime as dt, sys
from pathlib import Path
from dashboards.app import DashboardSettings
from dashboards.serve import serve
from warehouse.store import Location
catalog, data, accounts, secret, archive, port = sys.argv[1:]
settings = DashboardSettings(
    Location(catalog, data), Path(accounts), Path(secret), f"http://127.0.0.1:{port}", Path(archive)
)
serve(settings, "127.0.0.1", int(port), lambda: dt.datetime.now(dt.UTC))
"""


class Process:
    """The dashboard in a process of its own."""

    def __init__(self, settings: DashboardSettings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        given = [settings.location.catalog, settings.location.data_path, settings.accounts, settings.secret]
        command = [sys.executable, "-c", _PROGRAM, *map(str, given), str(settings.archive), str(port)]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=os.environ)
        self.until(lambda: httpx.get(f"{self.url}/healthz").status_code == 200)

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        """Poll until it holds."""
        deadline = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, "the server ended"
            try:
                if holds():
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, "it did not come to hold in time"
            select_nothing(0.1)

    @contextlib.contextmanager
    def logged_in(self) -> Iterator[httpx.Client]:
        """A client logged in as the network's manager."""
        with httpx.Client(base_url=self.url) as client:
            assert login(client, "manager").status_code == 303
            yield client

    def terminate(self) -> float:
        """SIGTERM; seconds until it had ended."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.monotonic() - begun


def select_nothing(seconds: float) -> None:
    """Yield the processor between two looks."""
    import select

    select.select([], [], [], seconds)


@pytest.fixture
def started(settings: DashboardSettings) -> Iterator[Callable[[DashboardSettings], Process]]:
    """Start servers that end with the test."""
    running: list[Process] = []

    def start(other: DashboardSettings = settings) -> Process:
        running.append(Process(other))
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        each.process.wait()


def test_ends_at_once_with_streams_open(started: Callable[[], Process]):
    """SIGTERM ends the process within three seconds although a page is listening."""
    server = started()
    with server.logged_in() as client, client.stream("GET", "/live", timeout=10) as stream:
        lines = stream.iter_lines()
        assert any("Newest event" in line for line in lines)
        assert server.terminate() < 3


def test_keeps_an_idle_connection_longer_than_a_proxy(settings: DashboardSettings, clock: Clock):
    """The other side closes first: else a request may meet our closing, and is lost without an answer."""
    longest_of_proxies = 60
    assert build_server(settings, "127.0.0.1", 0, clock).config.timeout_keep_alive > longest_of_proxies


def test_stays_small(started: Callable[[], Process], lake: Lake):
    """After pages, pictures, the Vega bundle and fifty pages of fifty snapshots it is below 250 MB."""
    server = started()
    with server.logged_in() as client:
        page = client.get("/")
        for name in ("vega.js", "htmx.js"):
            path = page.text.split(f'/{name}"')[0].rsplit('"', 1)[1] + f"/{name}"
            assert client.get(path, timeout=60).status_code == 200
        assert client.get("/export/overview/trend.svg", timeout=60).status_code == 200
        for number in range(50):
            lake.insert("landing.batch", {"batch_id": f"small-{number}", "consumed": 0})
            assert client.get("/?sort=clinics.adverse_event_incidence").status_code == 200
    used = psutil.Process(server.process.pid).memory_info().rss / 2**20
    assert used < 250, f"{used:.0f} MB"


def test_waits_for_the_warehouse(
    started: Callable[..., Process], settings: DashboardSettings, tmp_path: Path
):
    """Started first, it says that there is no warehouse yet and shows it once it is there."""
    location = store.Location.under(tmp_path / "later")
    server = started(DashboardSettings(location, *_the_rest(settings)))
    with server.logged_in() as client:
        assert client.get("/").status_code == 503
        assert client.get("/readyz").status_code == 503
        connection = store.connect(location)
        assert client.get("/").status_code == 503, "open, but nothing migrated"
        store.migrate(connection, location)
        connection.close()
        assert client.get("/readyz").status_code == 200
        assert "No event has been landed yet" in client.get("/").text


def _the_rest(settings: DashboardSettings) -> tuple[Path, Path, str, Path]:
    return settings.accounts, settings.secret, settings.base_url, settings.archive


def test_stream_tells_of_new_metrics(started: Callable[[], Process]):
    """A page rendered at an older computation is told to fetch the numbers as soon as it listens."""
    server = started()
    with server.logged_in() as client, client.stream("GET", "/live?metrics=1", timeout=10) as stream:
        assert next(line for line in stream.iter_lines() if line.startswith("event:")) == "event: metrics"


def test_stream_ends_with_the_session(started: Callable[[], Process]):
    """Logging out ends an open stream; its last word makes the page look again and find the login."""
    server = started()
    with server.logged_in() as client, client.stream("GET", "/live", timeout=40) as stream:
        lines = stream.iter_lines()
        assert any("Newest event" in line for line in lines)
        token = client.get("/").text.split('name="csrf" value="')[1].split('"')[0]
        assert client.post("/logout", data={"csrf": token}).status_code == 303
        rest = list(lines)
    assert "data: ended" in rest
