"""One web process: pages, live streams and a prompt, clean end."""

import datetime as dt
import socket
import sys
from collections.abc import Callable

import uvicorn

from dashboards.app import DashboardSettings, create_app
from dashboards.patience import KEEP_ALIVE_SECONDS, PromptProtocol
from producers.contracts.errors import SettingsError

GRACE_SECONDS = 2


class Server(uvicorn.Server):
    """Ends the live streams as soon as it is told to stop: uvicorn would wait for them."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.live.close()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def build_server(
    settings: DashboardSettings, host: str, port: int, clock: Callable[[], dt.datetime]
) -> Server:
    """A server that is not running yet. Raises SettingsError for settings it cannot start with."""
    config = uvicorn.Config(
        create_app(settings, clock),
        host=host,
        port=port,
        http=PromptProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        h11_max_incomplete_event_size=16_384,
    )
    return Server(config)


def serve(settings: DashboardSettings, host: str, port: int, clock: Callable[[], dt.datetime]) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError where it cannot listen there."""
    # DuckDB imports pandas, where it is installed, to bind any parameter: 94 MB that nothing here uses.
    sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]
    server = build_server(settings, host, port, clock)
    try:
        server.run()
    except SystemExit:
        raise SettingsError(f"the dashboard cannot listen on {host}:{port}: is the port taken?") from None
