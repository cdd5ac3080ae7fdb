"""The dashboard as one ASGI application.

Every page is whole without scripts; with them it follows the warehouse by itself. The state of a page is its
address. What a reader may see is decided by their account alone and applied in `dashboards.queries`.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from dashboards import accounts, security
from dashboards.choosing import Choosing
from dashboards.routes import actions, login, pages, reports, service
from dashboards.settings import DashboardSettings
from dashboards.site import NeedsLogin, Site
from producers.contracts.errors import SettingsError

__all__ = ["DashboardSettings", "create_app"]


def create_app(settings: DashboardSettings, clock: Callable[[], dt.datetime]) -> FastAPI:
    """The ASGI application. `clock` gives the current time in UTC.

    Raises SettingsError when the secret cannot be read or made.
    """
    site = Site(settings, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        site.assets.warm()
        watcher = asyncio.create_task(site.live.watch())
        with accounts.kept_open(settings.accounts), site.audit.kept_open():
            yield
        site.live.close()
        await watcher
        site.reader.close()
        site.past.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    app.add_middleware(Choosing, https=settings.https)
    app.add_middleware(security.Headers, https=settings.https)
    app.add_exception_handler(NeedsLogin, site.to_login)
    app.add_exception_handler(HTTPException, site.error)
    app.add_exception_handler(SettingsError, site.no_warehouse)
    app.add_exception_handler(Exception, site.failed)
    app.state.live = site.live
    for part in (login, pages, actions, reports, service):
        part.add(app, site)
    if settings.openid is not None:
        from dashboards.routes import provider  # its libraries are 10 MB that nothing else here uses

        provider.add(app, site, settings.openid)
    return app
