"""Which language an answer is in: the address says, else what the reader chose before, else the browser."""

import urllib.parse

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards import language

COOKIE = "dermastream_language"
_A_YEAR = 365 * 24 * 3600


class Choosing:
    """Sets the language of each answer. A choice made on one of our pages is remembered; a link from
    elsewhere
    holds for as long as the language stands in the address."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._secure = "; Secure" if https else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = in_address(scope["query_string"].decode("latin-1"))
        chosen = asked and headers.get("sec-fetch-site") == "same-origin" and asked != remembered(headers)

        async def answer(message: Message) -> None:
            if chosen and message["type"] == "http.response.start":
                kept = f"{COOKIE}={asked}; Path=/; Max-Age={_A_YEAR}; HttpOnly; SameSite=Lax{self._secure}"
                MutableHeaders(scope=message).append("Set-Cookie", kept)
            await send(message)

        with language.speaking(
            asked or remembered(headers) or language.best(headers.get("accept-language", ""))
        ):
            await self._app(scope, receive, answer)


def in_address(query: str) -> str | None:
    """The language an address names; null where none that there is."""
    return _known(urllib.parse.parse_qs(query).get("lang", [""])[0])


def remembered(headers: Headers) -> str | None:
    """The language of the reader's cookie; null where none that there is."""
    return _known(cookie_parser(headers.get("cookie", "")).get(COOKIE, ""))


def _known(name: str) -> str | None:
    return name if name in language.LANGUAGES else None
