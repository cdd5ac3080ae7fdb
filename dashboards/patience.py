"""How long a connection may keep us waiting."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

KEEP_ALIVE_SECONDS = 75
"""Longer than a proxy keeps an idle connection (nginx and AWS: 60). A request that meets our closing is lost
without a word; with uvicorn's 5 seconds that was one of two thousand."""

HEAD_SECONDS = 20.0
"""From the connection, or a request's first byte, to the end of its head [assumption: a phone on a bad line
needs 5]. uvicorn would wait for ever, and so few senders of one byte a minute could take every place."""

BODY_SECONDS = 20.0
"""From the end of its head to the end of its body [the same]."""


class PromptProtocol(H11Protocol):
    """Closes a connection on which a request's head does not come in time."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._come()

    def connection_lost(self, exc: Exception | None) -> None:
        self._come()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _come(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
