"""Logging in and out."""

import secrets

import structlog
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards import accounts, security
from dashboards.site import Site

_REFUSED = "That did not work. Check name and password; after several failures, wait before you try again."
_PRELOGIN_BYTES = 32
_log = structlog.get_logger("dashboards")


def add(app: FastAPI, site: Site) -> None:
    async def shown(request: Request) -> Response:
        if site.sessions.find(site.session_cookie.read(request), touch=False):
            return RedirectResponse("/", 303)
        return form_page(site, request, security.local_target(request.query_params.get("next")), "", 200)

    async def login(request: Request) -> Response:
        return await _login(site, request)

    async def logout(request: Request) -> Response:
        return await _logout(site, request)

    app.add_api_route("/login", shown, methods=["GET"], response_model=None)
    app.add_api_route("/login", login, methods=["POST"], response_model=None)
    app.add_api_route("/logout", logout, methods=["POST"], response_model=None)


async def _login(site: Site, request: Request) -> Response:
    fields = await security.form(request)
    cookie = site.login_cookie.read(request)
    if not cookie or not site.sessions.form_token_is_right(cookie, fields.get("csrf", "")):
        raise HTTPException(403)
    target = security.local_target(fields.get("next"))
    address = request.client.host if request.client else ""
    name = fields.get("name", "")
    account = await run_in_threadpool(
        accounts.verify,
        site.settings.accounts,
        name,
        fields.get("password", ""),
        address=address,
        now=site.clock(),
    )
    if account is None:
        _log.warning("login refused", address=address)
        await run_in_threadpool(site.note, request, "login refused", f"as {name[:64]}")
        return await run_in_threadpool(form_page, site, request, target, _REFUSED, 401)
    return await run_in_threadpool(start_session, site, request, account, target)


def start_session(site: Site, request: Request, account: accounts.Account, target: str) -> Response:
    """A new session for who has just proved who they are, and on to where they wanted to go.

    The session of this browser before ends.
    """
    if old := site.session_cookie.read(request):
        site.sessions.end(old)
    request.state.account = account
    site.note(request, "login", target)
    response = RedirectResponse(target, 303)
    site.session_cookie.write(response, site.sessions.start(account))
    site.login_cookie.delete(response)
    _log.info("login", account=account.name, role=account.role)
    return response


async def _logout(site: Site, request: Request) -> Response:
    await site.form(request)
    token = site.session_cookie.read(request)
    request.state.account = await run_in_threadpool(site.sessions.find, token, touch=False)
    await run_in_threadpool(site.note, request, "logout")
    await run_in_threadpool(site.sessions.end, token)
    response = RedirectResponse("/login", 303)
    site.session_cookie.delete(response)
    return response


def form_page(site: Site, request: Request, target: str, message: str, status: int) -> Response:
    """The login form, with the way to the provider where there is one."""
    cookie = site.login_cookie.read(request) or secrets.token_urlsafe(_PRELOGIN_BYTES)
    csrf = site.sessions.form_token(cookie)
    provider = site.settings.openid is not None
    response = site.page("login.html", status, target=target, message=message, csrf=csrf, provider=provider)
    site.login_cookie.write(response, cookie)
    return response
