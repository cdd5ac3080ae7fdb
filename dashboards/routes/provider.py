"""Logging in through the OpenID provider; there are no such routes where none is set.

Who the provider names gets in only where an admin has added an account without a password for them; role and
clinics are the account's. Nothing that the provider says widens them.
"""

import hmac

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards import accounts, security
from dashboards.oidc import Attempt, Identity, Provider, Refused, Unreachable
from dashboards.routes import login
from dashboards.settings import OpenId
from dashboards.site import Site

BACK = "/login/provider/back"
_COST = 6.0
"""Of `dashboards.limits`: some twenty steps at once from one address, then about one a second."""
_NO_ACCESS = "Signing in there gives no access here. Ask who runs this dashboard for an account."
_AWAY = "The sign-in service does not answer. Please try again in a moment."
_log = structlog.get_logger("dashboards")


def add(app: FastAPI, site: Site, settings: OpenId) -> None:
    provider = Provider(settings, site.settings.base_url.rstrip("/") + BACK, site.clock)
    cookie = security.Cookie("dermastream_provider", site.settings.https)

    def begin(request: Request) -> Response:
        _limited(site, request)
        attempt = Attempt.begin(security.local_target(request.query_params.get("next")), site.clock())
        try:
            address = provider.login_url(**_secrets(site, attempt.cookie))
        except Unreachable as error:
            return _unreachable(site, request, error)
        response = RedirectResponse(address, 303)
        cookie.write(response, attempt.cookie)
        return response

    def back(request: Request) -> Response:
        kept = cookie.read(request)
        response = _answered(site, request, provider, settings.issuer, kept)
        cookie.delete(response)
        return response

    def out(request: Request) -> Response:
        _limited(site, request)
        return RedirectResponse(provider.logout_url() or "/login", 303)

    app.add_api_route("/login/provider", begin, methods=["GET"], response_model=None)
    app.add_api_route(BACK, back, methods=["GET"], response_model=None)
    app.add_api_route("/login/provider/out", out, methods=["GET"], response_model=None)


def _answered(site: Site, request: Request, provider: Provider, issuer: str, kept: str) -> Response:
    """The session of who came back from the provider, or the login form saying that it did not work."""
    _limited(site, request)
    attempt = Attempt.parse(kept, site.clock())
    if attempt is None:
        return _refused(site, request, "no attempt of this browser")
    try:
        identity = _identity(site, request, provider, issuer, attempt)
    except Refused as error:
        return _refused(site, request, str(error))
    except Unreachable as error:
        return _unreachable(site, request, error)
    account = accounts.signed_on(site.settings.accounts, identity.issuer, identity.subject, identity.name)
    if account is None:
        return _refused(site, request, f"no account as {identity.name[:64]}")
    return login.start_session(site, request, account, security.local_target(attempt.target))


def _identity(site: Site, request: Request, provider: Provider, issuer: str, attempt: Attempt) -> Identity:
    given = request.query_params
    secrets = _secrets(site, attempt.cookie)
    if not hmac.compare_digest(given.get("state", "").encode(), secrets["state"].encode()):
        raise Refused("the state is not this browser's")
    if given.get("iss", issuer) != issuer:
        raise Refused("the answer is another provider's")
    if not (code := given.get("code")):
        raise Refused("the provider let nobody in")
    return provider.identity(code, nonce=secrets["nonce"], verifier=secrets["verifier"])


def _secrets(site: Site, cookie: str) -> dict[str, str]:
    """What goes to the provider and back; each follows from the whole cookie, and none tells another."""
    return {name: site.sessions.derived(name, cookie) for name in ("state", "nonce", "verifier")}


def _limited(site: Site, request: Request) -> None:
    address = request.client.host if request.client else ""
    if not site.limits.take(f"provider {address}", _COST, site.clock().timestamp()):
        raise HTTPException(429, headers={"Retry-After": "5"})


def _refused(site: Site, request: Request, why: str) -> Response:
    _log.warning("login refused", reason=why.partition(" as ")[0])
    site.note(request, "login refused", f"provider: {why}")
    return login.form_page(site, request, "/", _NO_ACCESS, 401)


def _unreachable(site: Site, request: Request, error: Unreachable) -> Response:
    _log.warning("the sign-in service does not answer", reason=str(error))
    return login.form_page(site, request, "/", _AWAY, 503)
