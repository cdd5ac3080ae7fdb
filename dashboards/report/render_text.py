"""A report as plain text: for mail readers without HTML, and for ears."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dashboards.report.model import ReportData
from dashboards.report.view import words

_WIDTH = 78


def render_text(data: ReportData) -> bytes:
    """UTF-8 text, every word of the report but for the pictures; the same data gives the same bytes."""
    return ("\n".join(_lines(words(data))) + "\n").encode()


def _lines(view: Mapping[str, Any]) -> Iterator[str]:
    yield f"{view['heading']}, {view['week']}"
    yield from _wrapped(f"{view['scope']} · {view['edition']} · {view['period']}")
    if view["revised"]:
        yield from _headed(view["revised"]["heading"])
        yield from _wrapped(view["revised"]["reason"])
        yield from _listed(view["revised"]["differences"])
    yield from _headed("What changed since last week")
    yield from _listed(view["changes"])
    for note in (*view["notes"], view["rule"]):
        yield from _wrapped(note)
    yield from _headed(view["signals"]["heading"])
    yield from _wrapped(view["signals"]["summary"])
    yield from _table(view["signals"])
    yield from _headed("Figures")
    for tile in view["tiles"]:
        yield from _wrapped(f"{tile['title']} ({tile['span']}): {tile['value']}")
        for name in ("interval", "counts", "last_week", "explanation"):
            yield from _wrapped(tile[name], "  ")
        yield from _address(tile["href"])
    yield from _headed(view["trend"]["heading"])
    yield from _wrapped("  ".join(view["trend"]["columns"]))
    for row in view["trend"]["rows"]:
        yield from _wrapped("  ".join(cell for cell in row["cells"] if cell))
    for table in ([view["funnel"]] if view["funnel"] else []) + view["tables"]:
        yield from _headed(table["heading"])
        yield from _table(table)
    yield from _headed(view["quality"]["heading"])
    yield from _wrapped(view["quality"]["coverage"])
    yield from _wrapped(view["quality"]["books"])
    yield from _listed(view["quality"]["checks"])
    yield from _wrapped(view["suppression"])
    yield from _headed("Words")
    for term, meaning in view["glossary"]:
        yield from _wrapped(f"{term}: {meaning}")
    yield ""
    for name, fact in view["facts"]:
        yield from _wrapped(f"{name}: {fact}")


def _headed(heading: str) -> list[str]:
    return ["", heading, "-" * len(heading)]


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )


def _listed(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(f"* {text}", _WIDTH, subsequent_indent="  ")]


def _table(table: Mapping[str, Any]) -> Iterator[str]:
    """One row a paragraph, each cell after its column's name: tables are no use to those who listen."""
    yield from _wrapped(table["caption"])
    for row in table["rows"]:
        cells = [" ".join(part for part in cell if part) for cell in row["cells"]]
        named = [
            f"{column}: {cell}" for column, cell in zip(table["columns"][1:], cells, strict=True) if cell
        ]
        yield from _wrapped(f"* {row['name']}")
        yield from _wrapped("; ".join(named), "  ")
        yield from _address(row["href"])


def _address(href: str) -> list[str]:
    return [f"  {href}"] if href else []
