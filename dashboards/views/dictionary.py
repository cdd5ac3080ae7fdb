"""What the numbers and the tables mean: metric cards and the data dictionary.

Their long texts are the warehouse's own and English in every language; the page says so (`lang`).
"""

from dashboards.language import percent, say
from dashboards.page import Cell, Column, Line, Page, Panel, Table, text
from dashboards.queries import Row
from dashboards.views.context import Context, NotThere


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
        panels=(Panel("relations", "Relations", table),),
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
        panels=(Panel("columns", "Columns", table),),
    )


def build_cards(context: Context) -> Page:
    """Every metric's card."""
    rows = context.queries.read("metric_card")
    lines = [
        Line(
            row["metric_id"],
            (
                Cell(
                    row["title"],
                    say("{name} version {number}", name=row["metric_id"], number=row["version"]),
                    raw={"": row["title"]},
                ),
                text(row["description"], lang="en"),
                Cell(row["numerator"], f"among {row['denominator']}", lang="en"),
                Cell(
                    row["unit"],
                    say(
                        "{method}, {level}; {side} is better",
                        method=row["interval_method"],
                        level=percent(row["level"]),
                        side=say(row["better"]),
                    ),
                ),
                text(_rules(row), lang="en"),
                text(row["source"], lang="en"),
            ),
        )
        for row in rows
    ]
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


def _rules(card: Row) -> str:
    baseline = card["baseline"] and f"held against {card['baseline']}"
    return "; ".join(filter(None, (card["flags"], card["signals"], baseline)))
