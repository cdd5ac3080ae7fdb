"""The reader's saved views: open one, forget one, and keep the one just looked at."""

from dashboards.page import Cell, Column, Field, Form, Line, Page, Panel, Table
from dashboards.views.context import Context


def build(context: Context) -> Page:
    lines = [
        Line(str(place), (Cell(view.title, href=view.address), Cell(view.address, code=True)))
        for place, view in enumerate(context.saved)
    ]
    columns = (Column("title", "View"), Column("address", "Address"))
    empty = "None yet. “Save this view” stands at the end of every page."
    table = Table("views", "Saved views", columns, tuple(lines), empty, sort="title")
    return Page(
        "Saved views",
        "Your own names for what you look at often; each opens with today's data",
        panels=(Panel("views", "Saved views", table),),
        forms=_forms(context),
        asking="Keep and forget",
    )


def _forms(context: Context) -> tuple[Form, ...]:
    forms = []
    if context.state.address:
        address = Field("address", "", "hidden", context.state.address)
        title = Field("title", "Name of the view")
        forms.append(Form("save", "Save", "/views/save", "Save", (title, address), context.state.address))
    if context.saved:
        options = tuple((view.title, view.title) for view in context.saved)
        forms.append(
            Form(
                "forget",
                "Forget",
                "/views/forget",
                "Forget",
                (Field("title", "View", "select", options=options),),
            )
        )
    return tuple(forms)
