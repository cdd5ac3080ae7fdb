"""The reports' archive: what was issued, as the lake keeps it; each file held against its checksum."""

import base64

import structlog
from fastapi import Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards import choosing, security
from dashboards.pages import navigation
from dashboards.site import Site
from dashboards.state import State
from dashboards.views import archive
from producers.contracts.errors import CheckFailed

MOST = 200
"""Reports a page lists; a search finds the others."""

LONGEST_SEARCH = 100

_TYPES = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
}
_log = structlog.get_logger("dashboards")


def add(app: FastAPI, site: Site) -> None:
    def page(request: Request) -> Response:
        return _listed(site, request)

    def report(request: Request, week: str, edition: str, name: str) -> Response:
        return _file(site, request, week, edition, name)

    for address, endpoint in (("/reports", page), ("/reports/{week}/{edition}/{name}", report)):
        app.add_api_route(
            address, endpoint, methods=["GET"], response_model=None, dependencies=[Depends(site.reader_of)]
        )


def _listed(site: Site, request: Request) -> Response:
    """The newest reports within the reader's scope, or those with the words looked for."""
    account = request.state.account
    wanted = request.query_params.get("words", "").strip()
    if len(wanted) > LONGEST_SEARCH:
        raise HTTPException(400)
    with site.reader.queries(account.scope) as queries:
        rows = queries.read("report", words=wanted or None, most=MOST)
        names = {clinic["clinic_id"]: clinic["display_name"] for clinic in queries.clinics()}
    site.note(request, "view")
    return site.page(
        "reports.html",
        issues=archive.issues(rows, names),
        wanted=wanted,
        more=len(rows) == MOST,
        account=account,
        navigation=navigation(account),
        csrf=site.form_token(request),
        state=State("/reports", lang=choosing.in_address(request.url.query)),
        current="reports",
    )


def _file(site: Site, request: Request, week: str, edition: str, name: str) -> Response:
    """One file as it was issued. Raises HTTPException: 404 for what is not the reader's, or not there; 409
    where neither the file nor the frozen data gives what was issued."""
    from dashboards.report.archive import content  # typesetting takes memory: not before a report is read

    report_id, _, kind = name.rpartition(".")
    with site.reader.queries(request.state.account.scope) as queries:
        rows = queries.read("report_file", report=report_id, kind=kind)
    if not rows or (rows[0]["week"], rows[0]["edition"]) != (week, edition):
        raise HTTPException(404)
    site.note(request, "export")
    try:
        made = content(rows[0], site.settings.archive)
    except CheckFailed as error:
        _log.error("report", reason=str(error))
        raise HTTPException(409) from None
    digest = base64.b64encode(bytes.fromhex(rows[0]["sha256"])).decode()
    headers = {"Cache-Control": "no-store", "Repr-Digest": f"sha-256=:{digest}:"}
    if kind == "html":
        headers["Content-Security-Policy"] = security.REPORT_POLICY
    else:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(made, media_type=_TYPES[kind], headers=headers)
