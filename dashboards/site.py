"""The parts of one app that its routes share: who is asking, templates, the audit trail, error pages."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import markupsafe
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from dashboards import accounts, language, live, security, words
from dashboards.accounts import Account, Sessions
from dashboards.assets import Assets
from dashboards.audit import Audit
from dashboards.limits import EXPORT_COST, Limits
from dashboards.queries import Past, Queries, Reader, Row
from dashboards.settings import DashboardSettings
from dashboards.state import State
from dashboards.views import freshness
from dashboards.views.context import Context
from dashboards.warming import Warmer

_TEMPLATES = Path(__file__).parent / "templates"
_ERRORS = {
    400: ("That address does not make sense", "Please start again from the overview."),
    403: (
        "That is not for this account",
        "Or the form is out of date: go back, load the page again and repeat.",
    ),
    404: ("There is nothing here", "Either it does not exist or your account does not reach it."),
    409: (
        "That is not what was issued",
        "The archive's file differs from its checksum, and so does the one made again: tell who runs this.",
    ),
    410: (
        "That moment is not kept any more",
        "The figures of the report itself are in the archive; the overview has today's.",
    ),
    408: ("That took too long", "The form did not arrive in time. Please send it again."),
    413: ("That is too much", "The form was larger than any of ours."),
    422: ("That was refused", "Please go back and correct it."),
    429: ("Too many requests", "Please wait a moment, or close some of your open pages."),
    503: ("There is no warehouse yet", "The dashboard fills as soon as the first events have landed."),
}
_log = structlog.get_logger("dashboards")


class NeedsLogin(Exception):
    """The request has no valid session."""


class Refusal(HTTPException):
    """A form that breaks a rule, 422. `rule` names it in the language of the answer, or in `lang`."""

    def __init__(self, rule: str, lang: str = "") -> None:
        super().__init__(422, rule)
        self.lang = lang


class Site:
    """The parts of one app."""

    def __init__(self, settings: DashboardSettings, clock: Callable[[], dt.datetime]) -> None:
        self.settings = settings
        self.clock = clock
        self.sessions = Sessions(settings.accounts, accounts.read_secret(settings.secret), clock)
        self.session_cookie = security.Cookie("dermastream_session", settings.https)
        self.login_cookie = security.Cookie("dermastream_login", settings.https)
        self.audit = Audit(settings.audit)
        self.limits = Limits()
        self.assets = Assets()
        self.reader = Reader(settings.location)
        self.past = Past(settings.location)
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["asset"] = self.assets.url
        self._templates.globals["words"] = words
        self._templates.globals["_"] = language.say
        self._templates.globals["spoken"] = language.current
        self._templates.globals["languages"] = language.LANGUAGES
        self.warmer = Warmer(clock)
        self.live = live.Live(self.reader, self._freshness_said, clock, self.warmer.warm)

    # ── who is asking ───────────────────────────────────────────────────────────────────────────────────

    def reader_of(self, request: Request) -> Account:
        """The logged-in account. What a page fetches by itself is not activity.

        Raises NeedsLogin without a session, HTTPException 429 for one that asks too often.
        """
        by_itself = "hx-request" in request.headers or request.url.path == "/live"
        token = self.session_cookie.read(request)
        account = self.sessions.find(token, touch=not by_itself)
        if account is None:
            raise NeedsLogin
        request.state.account = account
        cost = EXPORT_COST if request.url.path.startswith("/export/") else 1.0
        if not self.limits.take(token, cost, self.clock().timestamp()):
            raise HTTPException(429, headers={"Retry-After": "5"})
        return account

    def note(self, request: Request, action: str, what: str = "") -> None:
        """Add to the audit trail: the account of the request, its address and what it was about."""
        account: Account | None = getattr(request.state, "account", None)
        self.audit.append(
            action,
            what or address_of(request),
            at=self.clock(),
            account=account.name if account else "",
            role=account.role if account else "",
            address=request.client.host if request.client else "",
        )

    async def to_login(self, request: Request, _: Exception) -> Response:
        if "hx-request" in request.headers:
            return PlainTextResponse("", 401, {"HX-Redirect": "/login"})
        target = security.local_target(address_of(request))
        return RedirectResponse("/login" if target == "/" else f"/login?next={quote(target, safe='')}", 303)

    # ── answers ─────────────────────────────────────────────────────────────────────────────────────────

    def page(self, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(template).render(**shown), status)

    def form_token(self, request: Request) -> str:
        """What a form of the logged-in reader must carry."""
        return self.sessions.form_token(self.session_cookie.read(request))

    async def form(self, request: Request) -> dict[str, str]:
        """The fields of a form of the logged-in reader. Raises HTTPException: 403 without its token."""
        fields = await security.form(request)
        token = self.session_cookie.read(request)
        if not token or not self.sessions.form_token_is_right(token, fields.pop("csrf", "")):
            raise HTTPException(403)
        return fields

    def freshness(self, row: Row | None, now: dt.datetime) -> str:
        """The freshness line as HTML, in UTC: it is about all clinics."""
        with language.speaking(zone="UTC"):
            shown = freshness.of(row, now)
            line = self._templates.get_template("_freshness.html").render(freshness=shown)
        return markupsafe.Markup(line.strip())  # noqa: S704 - the template has escaped it

    def _freshness_said(self, row: Row | None, now: dt.datetime) -> dict[str, str]:
        said = {}
        for name in language.LANGUAGES:
            with language.speaking(name):
                said[name] = self.freshness(row, now)
        return said

    def context(self, account: Account, state: State, queries: Queries) -> Context:
        """What a page of now is built from."""
        return Context(account, state, queries, self.clock(), self.audit, self.settings.accounts)

    # ── errors ──────────────────────────────────────────────────────────────────────────────────────────

    async def error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code in (403, 404, 429) and hasattr(request.state, "account"):
            self.note(request, "denied", f"{error.status_code} {request.method} {address_of(request)}")
        response = self.error_page(error.status_code, error if isinstance(error, Refusal) else None)
        response.headers.update(error.headers or {})
        return response

    async def no_warehouse(self, request: Request, error: Exception) -> Response:
        _log.warning("no warehouse", reason=str(error))
        return self.error_page(503)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Our own fault: outside the middleware, so the headers are set here. The server logs the error."""
        response = self.error_page(500)
        response.headers.update(security.headers(https=self.settings.https))
        return response

    def error_page(self, status: int, refusal: Refusal | None = None) -> HTMLResponse:
        title, hint = _ERRORS.get(status, ("That did not work", "Please try again in a moment."))
        return self.page("error.html", status, title=title, hint=hint, refusal=refusal, waiting=status == 503)


def address_of(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
