"""The door as a process: TLS where there is a certificate, and a clean end."""

import datetime as dt
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from dashboards.door.app import DoorSettings, create_app
from dashboards.patience import KEEP_ALIVE_SECONDS, PromptProtocol
from producers.contracts.errors import SettingsError

MOST_CONNECTIONS = 64


@dataclass(frozen=True)
class Address:
    """Where it listens; port 0 is a free one. Without a certificate there is no TLS."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.certificate else "http"


class _Server(uvicorn.Server):
    """uvicorn that says where it listens."""

    def __init__(self, config: uvicorn.Config, scheme: str, said: Callable[[str], None]) -> None:
        super().__init__(config)
        self._scheme = scheme
        self._said = said

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._said(f"{self._scheme}://{host}:{port}")


def serve(
    settings: DoorSettings, address: Address, clock: Callable[[], dt.datetime], said: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT; `said` is told the address. Raises SettingsError where it cannot."""
    config = uvicorn.Config(
        create_app(settings, clock),
        host=address.host,
        port=address.port,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        http=PromptProtocol,
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=16_384,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"certificate {address.certificate}, key {address.key}: {error.strerror or error}"
        ) from None
    try:
        _Server(config, address.scheme, said).run()
    except SystemExit:
        raise SettingsError(
            f"the door cannot listen on {address.host}:{address.port}: is the port taken?"
        ) from None
