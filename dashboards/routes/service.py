"""What is not a page: live updates, assets, health."""

import gzip

from fastapi import Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dashboards import live
from dashboards.assets import Asset
from dashboards.queries import EVERY_CLINIC
from dashboards.site import Site


def add(app: FastAPI, site: Site) -> None:
    def asset(request: Request, version: str, name: str) -> Response:
        found = site.assets.get(name)
        if found is None or site.assets.url(name) != f"/assets/{version}/{name}":
            raise HTTPException(404)
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        return _asset_response(found, zipped, request.headers.get("if-none-match", ""))

    def healthz() -> Response:
        return JSONResponse({"status": "alive"})

    def readyz() -> Response:
        return _ready(site)

    async def events(request: Request) -> Response:
        return _events(site, request)

    app.add_api_route("/healthz", healthz, methods=["GET"], response_model=None)
    app.add_api_route("/readyz", readyz, methods=["GET"], response_model=None)
    app.add_api_route("/assets/{version}/{name}", asset, methods=["GET"], response_model=None)
    app.add_api_route(
        "/live", events, methods=["GET"], response_model=None, dependencies=[Depends(site.reader_of)]
    )


def _events(site: Site, request: Request) -> Response:
    if site.live.listeners >= live.MOST_LISTENERS:
        raise HTTPException(429)
    token = site.session_cookie.read(request)
    seen = request.query_params.get("metrics", "")

    def still_allowed() -> bool:
        return site.sessions.find(token, touch=False) is not None

    return StreamingResponse(
        site.live.messages(seen, still_allowed),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
    )


def _ready(site: Site) -> Response:
    """Whether a page could be shown now: the warehouse is there and can be read."""
    try:
        with site.reader.queries(EVERY_CLINIC) as queries:
            queries.freshness()
    except Exception:  # whatever it is, we are not ready; the log of the page that fails says why
        return JSONResponse({"status": "waiting for the warehouse"}, 503)
    return JSONResponse({"status": "ready"})


def _asset_response(found: Asset, zipped: bool, known: str) -> Response:
    tag = f'"{found.digest}-{"gz" if zipped else "id"}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if known == tag:
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    content = found.compressed if zipped else gzip.decompress(found.compressed)
    return Response(content, media_type=found.media_type, headers=headers)
