"""What the numbers and the tables mean: metric cards and the data dictionary.

Both are the warehouse's own texts. Cards are said in the reader's language; what relations and columns mean
is English in every language, and the page says so.
"""

from dataclasses import replace

from dashboards.language import ENGLISH, current, known, percent, say, speaking
from dashboards.page import Cell, Column, Line, Page, Panel, Table, text
from dashboards.queries import Row
from dashboards.views.context import Context, NotThere

TEXTS = (
    "title",
    "description",
    "numerator",
    "denominator",
    "unit",
    "better",
    "flags",
    "signals",
    "baseline",
    "source",
)
"""What a card says in words."""


def build(context: Context) -> Page:
    """All relations, or the columns of one. Raises NotThere for one that does not exist."""
    wanted = context.state.relation
    rows = context.queries.read("dictionary", relation=wanted)
    if wanted and not rows:
        raise NotThere
    if wanted:
        return _columns(context, wanted, rows)
    seen = {row["relation"]: row for row in rows}
    count = {name: sum(row["relation"] == name for row in rows) for name in seen}
    lines = [
        Line(
            name,
            (
                Cell(name, href=context.state.to("/dictionary", relation=name)),
                text(row["kind"]),
                Cell(str(count[name]), raw={"": count[name]}),
                text(row["relation_comment"], lang="en"),
            ),
        )
        for name, row in seen.items()
    ]
    columns = (
        Column("relation", "Relation"),
        Column("kind", "Kind"),
        Column("columns", "Columns", numeric=True),
        Column("meaning", "Meaning", sortable=False),
    )
    table = Table(
        "relations", "Relations", columns, tuple(lines), "The catalog is empty.", shown=200, wide=44
    )
    return Page(
        "Data dictionary",
        "Every relation an analyst can read; `dermastream sql` asks them",
        panels=(Panel("relations", "Relations", table, _in_english()),),
        links=(("Metric cards", context.state.to("/metrics")),),
    )


def _columns(context: Context, relation: str, rows: list[Row]) -> Page:
    lines = [
        Line(
            row["column"],
            (
                Cell(row["column"], code=True),
                Cell(row["type"], code=True),
                text(row["column_comment"], lang="en"),
            ),
        )
        for row in rows
    ]
    columns = (
        Column("column", "Column"),
        Column("type", "Type"),
        Column("meaning", "Meaning", sortable=False),
    )
    table = Table(
        "columns",
        say("Columns of {relation}", relation=relation),
        columns,
        tuple(lines),
        "It has no column.",
        shown=200,
    )
    return Page(
        relation,
        str(rows[0]["relation_comment"] or ""),
        lang="en",
        trail=(("Data dictionary", context.state.to("/dictionary")),),
        panels=(Panel("columns", "Columns", table, _in_english()),),
    )


def _in_english() -> str:
    """What a reader of another language is told of the comments in the catalog."""
    return "" if current() == ENGLISH else "What relations and columns mean is told in English only."


def build_cards(context: Context) -> Page:
    """Every metric's card."""
    rows = context.queries.read("metric_card")
    lines = [_card(row) for row in rows]
    columns = (
        Column("title", "Metric"),
        Column("description", "What it says", sortable=False),
        Column("counted", "Counted", sortable=False),
        Column("unit", "Unit and interval", sortable=False),
        Column("rule", "Flags and signals", sortable=False),
        Column("source", "Source", sortable=False),
    )
    table = Table(
        "cards",
        "Metric cards",
        columns,
        tuple(lines),
        "The cards come with the first metrics.",
        sort="title",
        wide=76,
    )
    return Page(
        "Metric cards",
        "What each number means; a change of meaning is a new version",
        panels=(Panel("cards", "Metric cards", table),),
        links=(("Data dictionary", context.state.to("/dictionary")),),
    )


def _card(row: Row) -> Line:
    """One card in one language: the reader's, or English where the catalog lacks one of its texts."""
    texts = {name: row[name] for name in TEXTS if row[name]}
    spoken = current() if all(known(each) for each in texts.values()) else ENGLISH
    with speaking(spoken):
        cells = _cells({**row, **{name: say(text) for name, text in texts.items()}})
    marked = "" if spoken == current() else spoken
    return Line(row["metric_id"], tuple(replace(cell, lang=marked) for cell in cells))


def _cells(card: Row) -> tuple[Cell, ...]:
    method = card["interval_method"]
    return (
        Cell(
            card["title"],
            say("{name} version {number}", name=card["metric_id"], number=card["version"]),
            raw={"": card["title"]},
        ),
        text(card["description"]),
        Cell(card["numerator"], say("among {what}", what=card["denominator"])),
        Cell(
            card["unit"],
            say(
                "{method}, {level}; {side} is better",
                method=say(method),
                level=percent(card["level"]),
                side=card["better"],
            ),
        ),
        text(_rules(card)),
        text(card["source"]),
    )


def _rules(card: Row) -> str:
    baseline = card["baseline"] and say("held against {what}", what=card["baseline"])
    return "; ".join(filter(None, (card["flags"], card["signals"], baseline)))
