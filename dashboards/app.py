"""The dashboard: pages, login, live updates and the reports' archive.

Every page is whole without scripts; with them it follows the warehouse by itself. The state of a page is its
address. What a reader may see is decided by their account alone and applied in `dashboards.queries`.
"""

import asyncio
import datetime as dt
import gzip
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import jinja2
import markupsafe
import structlog
from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from dashboards import accounts, charts, live, rendering, security, view_models
from dashboards.accounts import Account, Sessions
from dashboards.assets import Asset, Assets
from dashboards.queries import EVERY_CLINIC, Reader, Row
from dashboards.view_models import NETWORK, View
from producers.contracts.errors import SettingsError
from warehouse.store import Location

_TEMPLATES = Path(__file__).parent / "templates"
_REFUSED = "That did not work. Check name and password; after several failures, wait before you try again."
_PRELOGIN_BYTES = 32
_ERRORS = {
    400: ("That address does not make sense", "Please start again from the overview."),
    403: ("That form is out of date", "Please go back, load the page again and repeat."),
    404: ("There is nothing here", "Either it does not exist or your account does not reach it."),
    413: ("That is too much", "The form was larger than any of ours."),
    429: ("Too many open pages", "Please close some and try again."),
    503: ("There is no warehouse yet", "The dashboard fills as soon as the first events have landed."),
}
_log = structlog.get_logger("dashboards")


@dataclass(frozen=True)
class DashboardSettings:
    """All the dashboard is told: where the warehouse, accounts, secret and report archive are.

    `base_url` is how readers reach it; with https, cookies are for https only.
    """

    location: Location
    accounts: Path
    secret: Path
    base_url: str
    archive: Path

    @property
    def https(self) -> bool:
        return self.base_url.startswith("https://")


class NeedsLogin(Exception):
    """The request has no valid session."""


def create_app(settings: DashboardSettings, clock: Callable[[], dt.datetime]) -> FastAPI:
    """The ASGI application. `clock` gives the current time in UTC.

    Raises SettingsError when the secret cannot be read or made.
    """
    site = _Site(settings, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        site.assets.warm()
        watcher = asyncio.create_task(site.live.watch())
        yield
        site.live.close()
        await watcher
        site.reader.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(security.Headers, https=settings.https)
    app.add_exception_handler(NeedsLogin, site.to_login)
    app.add_exception_handler(HTTPException, site.error)
    app.add_exception_handler(SettingsError, site.no_warehouse)
    app.add_exception_handler(Exception, site.failed)
    app.state.live = site.live
    _add_routes(app, site)
    return app


def _add_routes(app: FastAPI, site: "_Site") -> None:
    public: list[tuple[str, Callable[..., Any], str]] = [
        ("/login", site.login_page, "GET"),
        ("/login", site.login, "POST"),
        ("/logout", site.logout, "POST"),
        ("/healthz", site.healthz, "GET"),
        ("/readyz", site.readyz, "GET"),
        ("/assets/{version}/{name}", site.asset, "GET"),
    ]
    for_readers: list[tuple[str, Callable[..., Any], str]] = [
        ("/", site.overview, "GET"),
        ("/chart.svg", site.chart, "GET"),
        ("/live", site.events, "GET"),
        ("/reports", site.reports, "GET"),
        ("/reports/{week}/{edition}/{name}", site.report, "GET"),
    ]
    for path, endpoint, method in public:
        app.add_api_route(path, endpoint, methods=[method], response_model=None)
    for path, endpoint, method in for_readers:
        app.add_api_route(
            path, endpoint, methods=[method], response_model=None, dependencies=[Depends(site.reader_of)]
        )


class _Site:
    """The parts of one app and its endpoints."""

    def __init__(self, settings: DashboardSettings, clock: Callable[[], dt.datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._sessions = Sessions(settings.accounts, accounts.read_secret(settings.secret), clock)
        self._session_cookie = security.Cookie("dermastream_session", settings.https)
        self._login_cookie = security.Cookie("dermastream_login", settings.https)
        self.assets = Assets()
        self.reader = Reader(settings.location)
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["asset"] = self.assets.url
        self.live = live.Live(self.reader, self._freshness, clock)

    # ── who is asking ───────────────────────────────────────────────────────────────────────────────────

    def reader_of(self, request: Request) -> Account:
        """The logged-in account; raises NeedsLogin. What a page fetches by itself is not activity."""
        by_itself = "hx-request" in request.headers or request.url.path == "/live"
        account = self._sessions.find(self._session_cookie.read(request), touch=not by_itself)
        if account is None:
            raise NeedsLogin
        request.state.account = account
        return account

    async def to_login(self, request: Request, _: Exception) -> Response:
        if "hx-request" in request.headers:
            return PlainTextResponse("", 401, {"HX-Redirect": "/login"})
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = security.local_target(wanted)
        return RedirectResponse("/login" if target == "/" else f"/login?next={quote(target, safe='')}", 303)

    def login_page(self, request: Request) -> Response:
        if self._sessions.find(self._session_cookie.read(request), touch=False):
            return RedirectResponse("/", 303)
        return self._login_form(request, security.local_target(request.query_params.get("next")), "", 200)

    async def login(self, request: Request) -> Response:
        fields = await security.form(request)
        cookie = self._login_cookie.read(request)
        if not cookie or not self._sessions.form_token_is_right(cookie, fields.get("csrf", "")):
            raise HTTPException(403)
        target = security.local_target(fields.get("next"))
        address = request.client.host if request.client else ""
        account = await run_in_threadpool(
            accounts.verify,
            self._settings.accounts,
            fields.get("name", ""),
            fields.get("password", ""),
            address=address,
            now=self._clock(),
        )
        if account is None:
            _log.warning("login refused", address=address)
            return await run_in_threadpool(self._login_form, request, target, _REFUSED, 401)
        if old := self._session_cookie.read(request):
            await run_in_threadpool(self._sessions.end, old)
        response = RedirectResponse(target, 303)
        self._session_cookie.write(response, await run_in_threadpool(self._sessions.start, account))
        self._login_cookie.delete(response)
        _log.info("login", account=account.name, role=account.role, address=address)
        return response

    async def logout(self, request: Request) -> Response:
        fields = await security.form(request)
        token = self._session_cookie.read(request)
        if not token or not self._sessions.form_token_is_right(token, fields.get("csrf", "")):
            raise HTTPException(403)
        await run_in_threadpool(self._sessions.end, token)
        response = RedirectResponse("/login", 303)
        self._session_cookie.delete(response)
        return response

    def _login_form(self, request: Request, target: str, message: str, status: int) -> Response:
        cookie = self._login_cookie.read(request) or secrets.token_urlsafe(_PRELOGIN_BYTES)
        response = self._page(
            "login.html", status, target=target, message=message, csrf=self._sessions.form_token(cookie)
        )
        self._login_cookie.write(response, cookie)
        return response

    # ── pages ───────────────────────────────────────────────────────────────────────────────────────────

    def overview(self, request: Request) -> Response:
        return self._page("overview.html", 200, **self._frame(request), **self._overview(request))

    def chart(self, request: Request) -> Response:
        """The trend as a picture, for a page without scripts."""
        theme = request.query_params.get("theme", "light")
        if theme not in ("light", "dark"):
            raise HTTPException(400)
        shown = self._overview(request)
        spec = charts.incidence_trend(shown["trend"], shown["title"], width=760)
        return Response(rendering.svg(spec | {"config": charts.theme(theme)}), media_type="image/svg+xml")

    def reports(self, request: Request) -> Response:
        account: Account = request.state.account
        names = self._clinic_names(account)
        issues = view_models.reports(self._archived(account), names)
        return self._page("reports.html", 200, **self._frame(request), issues=issues)

    def report(self, request: Request, week: str, edition: str, name: str) -> Response:
        wanted = PurePosixPath(week, edition, name)
        if wanted not in set(self._archived(request.state.account)):
            raise HTTPException(404)
        path = self._settings.archive / wanted
        if path.suffix == ".html":
            return FileResponse(
                path,
                media_type="text/html; charset=utf-8",
                headers={"Content-Security-Policy": security.REPORT_POLICY, "Cache-Control": "no-store"},
            )
        return FileResponse(path, filename=name, headers={"Cache-Control": "no-store"})

    def _overview(self, request: Request) -> dict[str, Any]:
        """What the overview shows in the state its address names, within the reader's scope."""
        account: Account = request.state.account
        try:
            view = View.parse(request.query_params.multi_items())
        except view_models.UnknownState:
            raise HTTPException(400) from None
        with self.reader.queries(account.scope) as queries:
            clinics = queries.clinics()
            rows = queries.results()
            protocols = queries.protocols()
            newest = queries.freshness()
        results = view_models.index(rows)
        names = {clinic["clinic_id"]: clinic["display_name"] for clinic in clinics}
        network_seen = account.scope.every_clinic or any(scope == NETWORK for _, scope, _ in results)
        chosen = view.clinic or (NETWORK if account.scope.every_clinic else next(iter(names), ""))
        if chosen not in names and not (chosen == NETWORK and network_seen) and (view.clinic or names):
            raise HTTPException(404)
        scope = NETWORK if chosen == NETWORK else "clinic"
        points = view_models.trend(rows, scope, chosen)
        title = names.get(chosen, "Network") if chosen else "No clinic"
        return {
            "view": view,
            "title": title,
            "chosen": chosen,
            "choices": ([(NETWORK, "Network")] if network_seen else []) + list(names.items()),
            "tiles": view_models.tiles(results, scope, chosen),
            "trend": points,
            "chart": json.dumps(self._chart_of(points, title)) if points else "",
            "description": charts.describe(points, title),
            "columns": view_models.clinic_columns(view),
            "clinics": view_models.clinic_rows(clinics, results, view, chosen),
            "protocols": view_models.protocol_rows(protocols, results),
            "protocol_metrics": [view_models.METRICS[m].title for m in view_models.PROTOCOL_METRICS],
            "metrics": live.revision(newest),
            "as_of": view_models.words.day(newest["newest_as_of"]) if newest["newest_as_of"] else "",
            "freshness": self._freshness(newest, self._clock()),
        }

    @staticmethod
    def _chart_of(points: list[view_models.TrendPoint], title: str) -> dict[str, Any]:
        themes = {name: charts.theme(name) for name in ("light", "dark")}
        return {"spec": charts.incidence_trend(points, title), "themes": themes}

    def _freshness(self, row: Row | None, now: dt.datetime) -> str:
        shown = view_models.freshness(row, now)
        line = self._templates.get_template("_freshness.html").render(freshness=shown)
        return markupsafe.Markup(line.strip())  # noqa: S704 - the template has escaped it

    def _frame(self, request: Request) -> dict[str, Any]:
        token = self._session_cookie.read(request)
        return {
            "account": request.state.account,
            "path": request.url.path,
            "csrf": self._sessions.form_token(token),
        }

    def _page(self, template: str, status: int, **shown: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(template).render(**shown), status)

    # ── the archive ─────────────────────────────────────────────────────────────────────────────────────

    def _archived(self, account: Account) -> Iterator[PurePosixPath]:
        """`<week>/<edition>/<file>` of the reports the account may read; the network's names every clinic."""
        for file in sorted(self._settings.archive.glob("*/*/*")):
            path = PurePosixPath(file.relative_to(self._settings.archive))
            _, edition, name = path.parts
            clinic_id = edition.removeprefix("clinic-") if edition.startswith("clinic-") else None
            mine = account.scope.every_clinic or (clinic_id is not None and account.scope.allows(clinic_id))
            if mine and file.is_file() and re.fullmatch(r"[^.].*\.(html|pdf|csv|json)", name):
                yield path

    def _clinic_names(self, account: Account) -> dict[str, str]:
        """Names of the account's clinics; none while there is no warehouse, for the archive outlives it."""
        try:
            with self.reader.queries(account.scope) as queries:
                return {clinic["clinic_id"]: clinic["display_name"] for clinic in queries.clinics()}
        except SettingsError:
            return {}

    # ── live ────────────────────────────────────────────────────────────────────────────────────────────

    async def events(self, request: Request) -> Response:
        if self.live.listeners >= live.MOST_LISTENERS:
            raise HTTPException(429)
        token = self._session_cookie.read(request)
        seen = request.query_params.get("metrics", "")

        def still_allowed() -> bool:
            return self._sessions.find(token, touch=False) is not None

        return StreamingResponse(
            self.live.messages(seen, still_allowed),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )

    # ── assets and health ───────────────────────────────────────────────────────────────────────────────

    def asset(self, request: Request, version: str, name: str) -> Response:
        found = self.assets.get(name)
        if found is None or self.assets.url(name) != f"/assets/{version}/{name}":
            raise HTTPException(404)
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        return _asset_response(found, zipped, request.headers.get("if-none-match", ""))

    def healthz(self) -> Response:
        return JSONResponse({"status": "alive"})

    def readyz(self) -> Response:
        """Whether a page could be shown now: the warehouse is there and can be read."""
        try:
            with self.reader.queries(EVERY_CLINIC) as queries:
                queries.freshness()
        except Exception:  # whatever it is, we are not ready; the log of the page that fails says why
            return JSONResponse({"status": "waiting for the warehouse"}, 503)
        return JSONResponse({"status": "ready"})

    # ── errors ──────────────────────────────────────────────────────────────────────────────────────────

    async def error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self._error_page(error.status_code)

    async def no_warehouse(self, request: Request, error: Exception) -> Response:
        _log.warning("no warehouse", reason=str(error))
        return self._error_page(503)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Our own fault: outside the middleware, so the headers are set here. The server logs the error."""
        response = self._error_page(500)
        response.headers.update(security.headers(https=self._settings.https))
        return response

    def _error_page(self, status: int) -> Response:
        title, hint = _ERRORS.get(status, ("That did not work", "Please try again in a moment."))
        return self._page("error.html", status, title=title, hint=hint, waiting=status == 503)


def _asset_response(found: Asset, zipped: bool, known: str) -> Response:
    tag = f'"{found.digest}-{"gz" if zipped else "id"}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if known == tag:
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    content = found.compressed if zipped else gzip.decompress(found.compressed)
    return Response(content, media_type=found.media_type, headers=headers)
