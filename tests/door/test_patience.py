"""Senders that are slow on purpose, against a real server."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dashboards import patience
from dashboards.door import app as door

pytestmark = pytest.mark.integration

SECONDS = 0.4
WHOLE = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"


def _slow(_: Request) -> Response:
    time.sleep(2 * SECONDS)
    return PlainTextResponse("late")


async def _statement(request: Request) -> Response:
    return PlainTextResponse(await door._statement(request))


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with little patience, answering late or with the statement it was sent."""
    monkeypatch.setattr(patience, "HEAD_SECONDS", SECONDS)
    monkeypatch.setattr(patience, "BODY_SECONDS", SECONDS)
    routes = [Route("/slow", _slow), Route("/query", _statement, methods=["POST"])]
    app = Starlette(routes=routes, exception_handlers={HTTPException: door._one_line})  # type: ignore[dict-item]
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=patience.PromptProtocol, log_level="error"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(5)
    assert not thread.is_alive()


def _said(port: int, *parts: bytes) -> tuple[bytes, float]:
    """What the server says to these bytes until it closes, and how long that takes after the last of them."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        said = b""
        for part in parts:
            connection.sendall(part)
            if part is not parts[-1]:
                said += connection.recv(4096)
        begun = time.monotonic()
        try:
            while got := connection.recv(4096):
                said += got
        except ConnectionError:
            pass
        return said, time.monotonic() - begun


@pytest.mark.parametrize("head", [b"", b"G", WHOLE[:-2]], ids=["nothing", "a letter", "almost all"])
def test_a_head_that_does_not_come_is_not_waited_for(port: int, head: bytes):
    """Neither silence nor half a head keeps a place; nor does half of a second one."""
    for parts in ((head,), (WHOLE, head)) if head else ((head,),):
        said, took = _said(port, *parts)
        assert said.count(b"late") == len(parts) - 1
        assert SECONDS * 0.5 < took < SECONDS * 5


def test_a_slow_answer_is_waited_for(port: int):
    """The limit is for who sends, not for our own work."""
    said, _ = _said(port, WHOLE.replace(b"Host", b"Connection: close\r\nHost"))
    assert said.endswith(b"late")


def test_a_body_that_does_not_come_is_refused(port: int):
    """Half a statement is answered with 408, and the connection closed; a whole one is taken."""
    head = b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\nConnection: close\r\n\r\n"
    said, took = _said(port, head + b"SELE")
    assert said.startswith(b"HTTP/1.1 408 ")
    assert SECONDS * 0.5 < took < SECONDS * 5
    assert _said(port, head + b"SELECT 1")[0].endswith(b"SELECT 1")
