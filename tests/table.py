"""Tables as text, so that a test reads like the specification it is."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import polars as pl


def table(text: str, **types: pl.DataType | type[pl.DataType]) -> pl.DataFrame:
    """The frame that `text` draws: a row of names, a rule, rows of cells between `|`.

    Empty cells are null. A column becomes integers, floats, booleans, dates or UTC times (`2026-03-02 10:00`)
    where all its cells are; otherwise strings. `types` names the type of a column that cannot tell by itself.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    names, *rows = ([cell.strip() for cell in line.split("|")] for line in lines if not _RULE.match(line))
    for row in rows:
        assert len(row) == len(names), f"a row has {len(row)} cells under {len(names)} names: {row}"
    columns = {name: [row[i] or None for row in rows] for i, name in enumerate(names)}
    return pl.DataFrame([_column(name, cells, types.get(name)) for name, cells in columns.items()])


_RULE = re.compile(r"^[-+]+$")


def _moment(cell: str) -> dt.datetime:
    if len(cell) <= len("2026-03-02"):
        raise ValueError(cell)
    return dt.datetime.fromisoformat(cell).replace(tzinfo=dt.UTC)


def _boolean(cell: str) -> bool:
    return {"true": True, "false": False}[cell]


_PARSERS: tuple[tuple[Callable[[str], Any], pl.DataType], ...] = (
    (int, pl.Int64()),
    (float, pl.Float64()),
    (_boolean, pl.Boolean()),
    (dt.date.fromisoformat, pl.Date()),
    (_moment, pl.Datetime("us", "UTC")),
)


def _column(name: str, cells: list[str | None], asked: pl.DataType | type[pl.DataType] | None) -> pl.Series:
    for parse, dtype in _PARSERS if any(cells) and asked is not pl.String else ():
        try:
            values = [None if cell is None else parse(cell) for cell in cells]
        except (ValueError, KeyError):
            continue
        return pl.Series(name, values, dtype=asked or dtype)
    return pl.Series(name, cells, dtype=pl.String).cast(asked or pl.String())
