"""What every answer carries, and what a form must carry: headers, cookies and strict form bodies."""

import asyncio
import re
import urllib.parse
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.patience import BODY_SECONDS

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
# A report's page brings its own styles and pictures and may do nothing else, not even share our origin.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
_LARGEST_FORM_BYTES = 8192
_PAGE = re.compile(r"/(?!log|live|healthz|readyz)[a-z]*")


def headers(*, https: bool) -> dict[str, str]:
    """The headers of every answer; under https also the one that keeps the browser there."""
    always = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }
    return always | ({"Strict-Transport-Security": "max-age=31536000; includeSubDomains"} if https else {})


class Headers:
    """ASGI middleware: security headers on every answer; answers are not stored unless they say otherwise."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = headers(https=https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    given.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


@dataclass(frozen=True)
class Cookie:
    """One cookie of ours; under https its name binds it to this host."""

    name: str
    https: bool

    @property
    def full_name(self) -> str:
        return f"__Host-{self.name}" if self.https else self.name

    def read(self, request: Request) -> str:
        """The cookie's value; empty where there is none."""
        return request.cookies.get(self.full_name, "")

    def write(self, response: Response, value: str) -> None:
        response.set_cookie(self.full_name, value, httponly=True, samesite="lax", secure=self.https, path="/")

    def delete(self, response: Response) -> None:
        response.delete_cookie(self.full_name, httponly=True, samesite="lax", secure=self.https, path="/")


async def form(request: Request) -> dict[str, str]:
    """The fields of a form sent by one of our own pages.

    Raises HTTPException: 403 for one sent from elsewhere, 408 for one that does not come in
    time, 413 for a large one, 400 for a malformed one.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403)
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(400)
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LARGEST_FORM_BYTES:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    try:
        pairs = urllib.parse.parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=10
        )
    except ValueError:
        raise HTTPException(400) from None
    fields = dict(pairs)
    if len(fields) != len(pairs) or any("\x00" in value for value in fields.values()):
        raise HTTPException(400)
    return fields


def local_target(wanted: Any) -> str:
    """Where to go after the login: a page of ours, else the overview."""
    text = wanted if isinstance(wanted, str) else ""
    parts = urllib.parse.urlsplit(text)
    ours = _PAGE.fullmatch(parts.path) is not None and not parts.scheme and not parts.netloc
    return text if ours and text.isprintable() and not text.startswith("//") and "\\" not in text else "/"
