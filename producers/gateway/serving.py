"""The gateway as a process: one outbox, a thread that sends, a thread per inbox, and the HTTP door."""

import contextlib
import fcntl
import signal
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from producers.contracts import SettingsError
from producers.gateway.folder import InboxWatcher
from producers.gateway.forwarder import Forwarder
from producers.gateway.http import Gateway, Problem, create_app
from producers.gateway.opening import open_intake, open_outbox
from producers.gateway.settings import GatewaySettings
from producers.gateway.tokens import Tokens

STOP_SECONDS = 5
"""How long a stop waits for the page under way; what is not acknowledged by then is sent again later [A]."""


def run(
    settings: GatewaySettings,
    clock: Callable[[], datetime],
    *,
    accept_new_key: bool = False,
    said: Callable[[str], None] = print,
) -> None:
    """Take in and send until SIGTERM or SIGINT; `said` is told the address once it listens.

    Raises SettingsError where it cannot start.
    """
    if not settings.kafka_bootstrap_servers:
        raise SettingsError("kafka_bootstrap_servers is empty: name the network's brokers in gateway.toml")
    security = settings.kafka_security
    with _alone(settings.home), open_outbox(settings) as outbox:
        intake = open_intake(settings, outbox, accept_new_key=accept_new_key)
        forwarder = Forwarder(outbox, settings.kafka_bootstrap_servers, security, settings.retention, clock)
        watchers = [InboxWatcher(settings, clinic, intake, clock) for clinic in settings.clinics]
        gateway = Gateway(settings, intake, outbox, Tokens(settings.tokens_file), forwarder, clock)
        server = _Server(settings, gateway, said)
        threads: list[Forwarder | InboxWatcher] = [forwarder, *watchers]
        for thread in threads:
            thread.start()
        try:
            server.run_while(lambda: all(thread.alive for thread in threads))
        finally:
            for thread in threads:
                thread.stop()
            for thread in threads:
                thread.join(STOP_SECONDS)
    if server.broken:
        raise AssertionError("a thread of the gateway ended by itself: see the log")


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two forwarders on one outbox would send everything twice."""
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "gateway.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(f"another gateway runs in {home}") from None
        yield


class _Server(uvicorn.Server):
    """uvicorn that says where it listens, and stops when a part of the gateway has died."""

    def __init__(self, settings: GatewaySettings, gateway: Gateway, said: Callable[[str], None]) -> None:
        bounds = {"header_seconds": settings.request_seconds, "max_connections": settings.max_connections}
        protocol = type("Protocol", (PromptProtocol,), bounds)
        super().__init__(
            uvicorn.Config(
                create_app(gateway),
                host=settings.host,
                port=settings.port,
                http=protocol,
                ws="none",
                lifespan="off",
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=STOP_SECONDS,
                h11_max_incomplete_event_size=32_768,
            )
        )
        self._said = said
        self.broken = False

    def run_while(self, healthy: Callable[[], bool]) -> None:
        """Serve until a signal, or until it is no longer healthy. Raises SettingsError."""
        self._healthy = healthy
        try:
            with _unmoved_by_signals():
                self.run()
        except SystemExit:
            raise SettingsError(
                f"cannot listen on {self.config.host}:{self.config.port}: is the port taken?"
            ) from None

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._said(f"http://{host}:{port}")

    async def on_tick(self, counter: int) -> bool:
        if not self.broken and not self._healthy():
            self.broken = self.should_exit = True
        return await super().on_tick(counter)


@contextlib.contextmanager
def _unmoved_by_signals() -> Iterator[None]:
    """uvicorn stops on a signal and then raises it again, which would end us before our threads are done."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class PromptProtocol(H11Protocol):
    """HTTP/1.1 with bounds that uvicorn does not have: time for the head of a request, and connections."""

    header_seconds: float = 10
    max_connections: int = 32
    _patience: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()
        if len(self.connections) > self.max_connections:
            transport.write(_BUSY)
            transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._patience and self.cycle is not None and not self.cycle.response_complete:
            self._patience.cancel()
            self._patience = None

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience:
            self._patience.cancel()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._patience:
            self._patience.cancel()
        seconds = max(self.header_seconds, self.timeout_keep_alive if self.cycle else 0)
        self._patience = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def _busy() -> bytes:
    """The answer to one connection too many, which is not listened to."""
    response = Problem(503, "gateway.busy", "too many connections at once: come back").response()
    headers = [*response.raw_headers, (b"connection", b"close")]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + head + b"\r\n" + bytes(response.body)


_BUSY = _busy()
