"""Pages, their tables as files and their charts as pictures: one route a page, one route for all files."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from typing import Any

from fastapi import Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards import charts, exports, live
from dashboards.accounts import Account
from dashboards.language import MACHINES, Speech, chart_locale, current, say, speaking
from dashboards.page import Page, Panel
from dashboards.pages import BY_NAME, PAGES, Definition, navigation
from dashboards.queries import NotKept, Row
from dashboards.routes import filters
from dashboards.site import Site
from dashboards.state import State, UnknownState
from dashboards.views.context import Context, NotThere

_THEMES = json.dumps({name: charts.theme(name) for name in ("light", "dark")})


def add(app: FastAPI, site: Site) -> None:
    for definition in PAGES:
        app.add_api_route(
            definition.path,
            _shown(site, definition),
            methods=["GET"],
            response_model=None,
            dependencies=[Depends(site.reader_of)],
        )
    app.add_api_route(
        "/export/{name}/{file}",
        _exported(site),
        methods=["GET"],
        response_model=None,
        dependencies=[Depends(site.reader_of)],
    )


def _shown(site: Site, definition: Definition) -> Callable[..., Response]:
    def show(request: Request) -> Response:
        return render(site, request, definition)

    return show


def render(site: Site, request: Request, definition: Definition) -> Response:
    """The page in the state its address names."""
    state = parse(request, definition)
    with _context(site, request, state) as (context, then), speaking(zone=_clock(context)):
        page = _built(definition, context)
        if then:  # nothing can be done about what was
            page = replace(page, forms=())
        newest = context.freshness
        response = site.page(
            "page.html",
            page=page,
            panels=[_shown_panel(panel, state) for panel in page.panels],
            definition=definition,
            state=state,
            bar=filters.bar(context, definition),
            account=request.state.account,
            navigation=navigation(request.state.account),
            csrf=site.form_token(request),
            metrics=live.revision(newest),
            freshness=site.freshness(newest, context.now),
            then=then,
            now_url=state.url(snapshot=None),
            themes=_THEMES,
            chart_locale=json.dumps(chart_locale(current())),
            acting=(acting := any(form.method == "post" for form in page.forms)),
            live=state.live == "on" and not acting and not then,
        )
    site.note(request, "view")
    if not then:
        account: Account = request.state.account
        seen = (account.scope, account.role, definition.name, state)
        site.warmer.note(seen, lambda: _ask(site, account, definition, state))
    return response


def _ask(site: Site, account: Account, definition: Definition, state: State) -> None:
    """Read all that a page rests on, and show nothing."""
    with site.reader.queries(account.scope) as queries:
        context = site.context(account, state, queries)
        with speaking(zone=_clock(context)):
            _built(definition, context)
            filters.bar(context, definition)


@contextmanager
def _context(site: Site, request: Request, state: State) -> Iterator[tuple[Context, Row]]:
    """What a page is built from; and the report whose moment the address names, empty for now.

    Only a snapshot that a report of the reader's names may be gone back to. Raises HTTPException: 404 for
    another, 410 where it is not kept any more.
    """
    account: Account = request.state.account
    with site.reader.queries(account.scope) as queries:
        if state.snapshot is None:
            yield site.context(account, state, queries), {}
            return
        named = queries.read("report_snapshot", snapshot=int(state.snapshot))
    if not named:
        raise HTTPException(404)
    (then,) = named
    try:
        with site.past.queries(int(state.snapshot), account.scope) as queries:
            yield (
                Context(account, state, queries, then["issued_at"], site.audit, site.settings.accounts),
                then,
            )
    except NotKept:
        raise HTTPException(410) from None


def parse(request: Request, definition: Definition) -> State:
    """The state in the address. Raises HTTPException: 403 for a page not of this role, 400 for no state of
    ours."""
    account: Account = request.state.account
    if not definition.allowed(account):
        raise HTTPException(403)
    try:
        return State.parse(definition.path, request.query_params.multi_items())
    except UnknownState:
        raise HTTPException(400) from None


def _clock(context: Context) -> str:
    """The clock the page goes by. Raises HTTPException 404 for a clinic that is not the reader's, whatever
    the
    page."""
    try:
        return context.time_zone
    except NotThere:
        raise HTTPException(404) from None


def _built(definition: Definition, context: Context) -> Page:
    try:
        return definition.build(context)
    except NotThere:
        raise HTTPException(404) from None


def _shown_panel(panel: Panel, state: State) -> dict[str, Any]:
    """A panel with its table sorted as the address says, and its chart for the browser."""
    column, order = state.sorting(panel.table.id) or (panel.table.sort, panel.table.order)
    table = panel.table.sorted_by(column, order) if column else panel.table
    chart = ""
    if panel.chart is not None:
        chart = json.dumps(panel.chart.spec | {"description": say(panel.chart.description)})
    return {"panel": panel, "table": table, "chart": chart}


def _file(context: Context, definition: Definition, panel_id: str, kind: str, theme: str) -> Response:
    page = _built(definition, context)
    panel = page.panel(panel_id)
    if panel is None:
        raise HTTPException(404)
    if theme not in ("light", "dark") or (kind in exports.PICTURES and panel.chart is None):
        raise HTTPException(400)
    return exports.response(panel, kind, exports.Label.of(context, page, panel), theme)


def _exported(site: Site) -> Callable[..., Response]:
    def export(request: Request, name: str, file: str) -> Response:
        definition = BY_NAME.get(name)
        panel_id, _, kind = file.partition(".")
        if definition is None or kind not in exports.KINDS:
            raise HTTPException(404)
        state = parse(request, definition)
        with _context(site, request, state) as (context, _):
            seen = Speech(current(), _clock(context))
            with speaking(*astuple(seen if kind in exports.PICTURES else MACHINES)):
                response = _file(
                    context, definition, panel_id, kind, request.query_params.get("theme", "light")
                )
        site.note(request, "export")
        return response

    return export
