"""The reports' archive: what was issued, and the files themselves."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from fastapi import Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from dashboards import security
from dashboards.accounts import Account
from dashboards.pages import navigation
from dashboards.site import Site
from dashboards.state import State
from dashboards.views import archive
from producers.contracts.errors import SettingsError


def add(app: FastAPI, site: Site) -> None:
    def page(request: Request) -> Response:
        account: Account = request.state.account
        issues = archive.issues(_archived(site, account), _clinic_names(site, account))
        site.note(request, "view")
        return site.page(
            "reports.html",
            issues=issues,
            account=account,
            navigation=navigation(account),
            csrf=site.form_token(request),
            state=State("/reports"),
            current="reports",
        )

    def report(request: Request, week: str, edition: str, name: str) -> Response:
        wanted = PurePosixPath(week, edition, name)
        if wanted not in set(_archived(site, request.state.account)):
            raise HTTPException(404)
        site.note(request, "export")
        path = site.settings.archive / wanted
        if path.suffix == ".html":
            return FileResponse(
                path,
                media_type="text/html; charset=utf-8",
                headers={"Content-Security-Policy": security.REPORT_POLICY, "Cache-Control": "no-store"},
            )
        return FileResponse(path, filename=name, headers={"Cache-Control": "no-store"})

    for address, endpoint in (("/reports", page), ("/reports/{week}/{edition}/{name}", report)):
        app.add_api_route(
            address, endpoint, methods=["GET"], response_model=None, dependencies=[Depends(site.reader_of)]
        )


def _archived(site: Site, account: Account) -> Iterator[PurePosixPath]:
    """`<week>/<edition>/<file>` of the reports the account may read; the network's names every clinic."""
    for file in sorted(site.settings.archive.glob("*/*/*")):
        path = PurePosixPath(file.relative_to(site.settings.archive))
        _, edition, name = path.parts
        clinic_id = edition.removeprefix("clinic-") if edition.startswith("clinic-") else None
        mine = account.scope.every_clinic or (clinic_id is not None and account.scope.allows(clinic_id))
        if mine and file.is_file() and re.fullmatch(r"[^.].*\.(html|pdf|csv|json)", name):
            yield path


def _clinic_names(site: Site, account: Account) -> dict[str, str]:
    """Names of the account's clinics; none while there is no warehouse, for the archive outlives it."""
    try:
        with site.reader.queries(account.scope) as queries:
            return {clinic["clinic_id"]: clinic["display_name"] for clinic in queries.clinics()}
    except SettingsError:
        return {}
