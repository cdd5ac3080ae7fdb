"""The audit trail, for admins: who looked at, took out, changed or was denied what."""

from typing import Any

from dashboards.language import count, say
from dashboards.page import Column, Line, Page, Panel, Table, text
from dashboards.views.context import Context

NEWEST = 1_000


def build(context: Context) -> Page:
    entries: list[dict[str, Any]] = context.audit.newest(NEWEST)
    broken = context.audit.broken()
    names = ("at", "account", "role", "action", "what", "address")
    lines = [Line(str(entry["number"]), tuple(text(entry[name]) for name in names)) for entry in entries]
    titles = ("When, UTC", "Account", "Role", "Did", "What", "From")
    columns = tuple(Column(name, title) for name, title in zip(names, titles, strict=True))
    table = Table(
        "entries",
        "Audit trail",
        columns,
        tuple(lines),
        "Nobody has been here yet.",
        shown=200,
        head=False,
        wide=56,
    )
    return Page(
        "Audit trail",
        "Who looked at, took out, changed or was denied what; entries are only ever added",
        facts=(("Chain of seals", broken or "holds from the first entry to the newest"),),
        panels=(Panel("entries", say("The newest {n} entries", n=count(NEWEST)), table),),
    )
