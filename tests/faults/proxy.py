"""A TCP proxy of our own that misbehaves on request: cut, reset, slow, half-open, answers lost."""

import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from types import TracebackType


@dataclass(eq=False)
class _Link:
    """One proxied connection, and whether it is still served."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    dead: bool = False


class Proxy:
    """Forwards a loopback port to another, in a thread with an event loop of its own."""

    def __init__(self, port: int, to_port: int) -> None:
        self._port, self._to_port = port, to_port
        self.bytes_per_second: float | None = None
        self.lose_answers = False
        self.requests_while_losing = 0
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self, *, reset: bool = False) -> None:
        """Close every connection; with a reset, so that the other side's data is refused."""
        asyncio.run_coroutine_threadsafe(self._cut(reset), self._loop).result(10)

    def half_open(self) -> None:
        """Nothing passes any more on what is open now, and nobody is told; new connections are served."""
        for link in list(self._links):
            link.dead = True

    async def _cut(self, reset: bool) -> None:
        for link in list(self._links):
            for writer in (link.client, link.server):
                if reset and (sock := writer.get_extra_info("socket")):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.close()
        self._links.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.close()
            return
        link = _Link(writer, to_server)
        self._links.add(link)
        await asyncio.gather(
            self._pump(link, reader, to_server, answers=False),
            self._pump(link, from_server, writer, answers=True),
        )
        self._links.discard(link)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096 if self.bytes_per_second else 65_536):
                while link.dead:
                    await asyncio.sleep(0.05)
                if self.bytes_per_second:
                    await asyncio.sleep(len(data) / self.bytes_per_second)
                if self.lose_answers:
                    self.requests_while_losing += not answers
                    if answers:
                        continue
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
