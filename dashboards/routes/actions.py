"""What readers may do: forms, each with its token, carried out by `dashboards.acting` in a process of its
own."""

import datetime as dt
import re
import subprocess
import uuid
from typing import Any

import structlog
from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboards import acting, saved
from dashboards.accounts import Account
from dashboards.language import ENGLISH, known, say
from dashboards.site import Refusal, Site

SIGNAL_FIELDS = {
    "acknowledged": (),
    "assigned": ("owner",),
    "commented": ("note",),
    "snoozed": ("until", "note"),
    "closed": ("note",),
}
"""What a person can do to a signal, and the fields its form has."""
_LONGEST = {"owner": 64, "note": 500, "until": 10}
_TITLES = {"owner": "New owner", "note": "Text", "until": "Until"}
_log = structlog.get_logger("dashboards")


def add(app: FastAPI, site: Site) -> None:
    async def on_signal(request: Request, signal: str, action: str) -> Response:
        return await _on_signal(site, request, signal, action)

    async def on_replay(request: Request) -> Response:
        return await _on_replay(site, request)

    async def on_view(request: Request, action: str) -> Response:
        return await _on_view(site, request, action)

    for path, endpoint in (
        ("/signal/{signal}/{action}", on_signal),
        ("/health/replay", on_replay),
        ("/views/{action}", on_view),
    ):
        app.add_api_route(
            path, endpoint, methods=["POST"], response_model=None, dependencies=[Depends(site.reader_of)]
        )


async def _on_view(site: Site, request: Request, action: str) -> Response:
    """Save or forget one of the reader's own views; theirs alone, so no role is asked."""
    fields = await site.form(request)
    wanted = {"save": {"title", "address"}, "forget": {"title"}}.get(action)
    if wanted is None or set(fields) != wanted:
        raise HTTPException(404 if wanted is None else 400)
    name, path = request.state.account.name, site.settings.accounts
    if action == "forget":
        await run_in_threadpool(saved.forget, path, name, fields["title"])
    else:
        view = saved.View(fields["title"].strip(), fields["address"])
        try:
            await run_in_threadpool(saved.save, path, name, view)
        except saved.NotSaved as error:
            raise Refusal(str(error)) from None
    await run_in_threadpool(site.note, request, "act", f"view {action}")
    return RedirectResponse("/views", 303)


async def _on_replay(site: Site, request: Request) -> Response:
    fields = await site.form(request)
    if not request.state.account.rights.replay:
        raise HTTPException(403)
    rule = fields.get("rule", "")
    if set(fields) != {"rule"} or not re.fullmatch(r"[a-z0-9.-]{1,80}", rule):
        raise HTTPException(400)
    key = site.settings.privacy_key
    order = {"kind": "replay", "rule": rule, "batch_id": f"replay-{uuid.uuid4().hex[:12]}"}
    await run_in_threadpool(carry_out, site, request, order | {"privacy_key": str(key) if key else None})
    return RedirectResponse("/health", 303)


async def _on_signal(site: Site, request: Request, signal: str, action: str) -> Response:
    account: Account = request.state.account
    fields = await site.form(request)
    if not account.rights.signals or action not in SIGNAL_FIELDS:
        raise HTTPException(403 if action in SIGNAL_FIELDS else 404)
    if not await run_in_threadpool(_is_theirs, site, account, signal):
        raise HTTPException(404)
    if set(fields) != set(SIGNAL_FIELDS[action]):
        raise HTTPException(400)
    order = {"kind": "signal", "signal": signal, "action": action} | _checked(fields)
    await run_in_threadpool(carry_out, site, request, order)
    return RedirectResponse(f"/signal?signal={signal}", 303)


def _is_theirs(site: Site, account: Account, signal: str) -> bool:
    with site.reader.queries(account.scope) as queries:
        return any(row["signal_id"] == signal for row in queries.read("signal"))


def _checked(fields: dict[str, str]) -> dict[str, str]:
    """The fields without outer spaces. Raises Refusal naming the rule that one breaks."""
    trimmed = {name: re.sub(r"\s+", " ", value).strip() for name, value in fields.items()}
    for name, value in trimmed.items():
        if len(value) > _LONGEST[name] or not value.isprintable():
            field = say(_TITLES[name])
            raise Refusal(say("{field}: at most {n} printable characters", field=field, n=_LONGEST[name]))
    if "until" in trimmed:
        try:
            dt.date.fromisoformat(trimmed["until"])
        except ValueError:
            raise Refusal(say("{field}: a date like 2026-11-30", field=say("Until"))) from None
    return trimmed


def carry_out(site: Site, request: Request, order: dict[str, Any]) -> None:
    """Do it and note it. Raises Refusal with the rule it breaks, HTTPException 500 where it did not end
    well."""
    location = site.settings.location
    who = {"by": request.state.account.name, "at": site.clock().isoformat()}
    place = {"catalog": location.catalog, "data_path": location.data_path}
    try:
        acting.act(order | who | place)
    except acting.Refused as error:
        raise _refusal(str(error), order.get("signal", "")) from None
    except subprocess.SubprocessError as error:
        _log.error("an order failed", order=order["kind"], reason=type(error).__name__)
        raise HTTPException(500) from None
    site.note(
        request,
        "act",
        " ".join(str(order[name]) for name in ("kind", "action", "signal", "rule") if name in order),
    )


def _refusal(message: str, signal: str) -> Refusal:
    """The broken rule in the reader's language; as the warehouse says it, in English, where no catalog has
    it."""
    rule = message.removeprefix(f"signal {signal}: ")
    if not known(rule):
        return Refusal(message, ENGLISH)
    if rule == message:
        return Refusal(say(rule))
    return Refusal(say("signal {name}: {rule}", name=signal, rule=say(rule)))
