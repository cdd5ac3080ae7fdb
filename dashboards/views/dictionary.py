"""What the numbers and the tables mean: metric cards and the data dictionary."""

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
                text(row["relation_comment"]),
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
            (Cell(row["column"], code=True), Cell(row["type"], code=True), text(row["column_comment"])),
        )
        for row in rows
    ]
    columns = (
        Column("column", "Column"),
        Column("type", "Type"),
        Column("meaning", "Meaning", sortable=False),
    )
    table = Table("columns", f"Columns of {relation}", columns, tuple(lines), "It has no column.", shown=200)
    return Page(
        relation,
        str(rows[0]["relation_comment"] or ""),
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
                Cell(row["title"], f"{row['metric_id']} version {row['version']}"),
                text(row["description"]),
                Cell(f"{row['numerator']}", f"among {row['denominator']}"),
                Cell(row["unit"], f"{row['interval_method']}, {row['level']:.0%}; {row['better']} is better"),
                text(
                    "; ".join(
                        filter(
                            None,
                            (
                                row["flags"],
                                row["signals"],
                                row["baseline"] and f"held against {row['baseline']}",
                            ),
                        )
                    )
                ),
                text(row["source"]),
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
