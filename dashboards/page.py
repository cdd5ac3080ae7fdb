"""What a page is made of: tiles, panels, tables and charts in words, ready to be shown, drawn or downloaded.

A page module builds one `Page`; the templates show it, `dashboards.exports` writes its tables as files and
its
charts as pictures. So every table can be downloaded and every chart has a table, whatever page it is on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

Spec = dict[str, Any]
"""A Vega-Lite specification without colours."""

FIGURE = ("", "lower", "upper", "numerator", "denominator", "reason")
"""What a figure is in a file: its value under the column's own name, then the rest."""


@dataclass(frozen=True)
class Column:
    """One column: `parts` are what a cell gives to a file; `numeric` aligns right and sorts by number."""

    id: str
    title: str
    numeric: bool = False
    sortable: bool = True
    parts: tuple[str, ...] = ("",)
    hint: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell in words.

    `interval` and `counts` stand below `text` and are empty where there are none. `raw` is what files and
    sorting take, by part; null for the unknown. `tone` is one of "", missing, alert, warn, good: it is also
    said in words, never by colour alone. `lang` names the language of words that no catalog has.
    """

    text: str
    interval: str = ""
    counts: str = ""
    href: str = ""
    tone: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)
    code: bool = False
    lang: str = ""

    @property
    def estimated(self) -> bool:
        return self.tone != "missing"

    @property
    def value(self) -> Any:
        return self.raw.get("", self.text or None)


@dataclass(frozen=True)
class Line:
    """One row of a table. `key` names it in the page."""

    key: str
    cells: tuple[Cell, ...]
    chosen: bool = False


class Lines(Sequence[Line]):
    """Lines made when they are asked for: a page shows the first few of what a file has thousands of."""

    def __init__(self, rows: Sequence[Any], make: Callable[[Any], Line]) -> None:
        self._rows = rows
        self._make = make

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Line: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Line]: ...
    def __getitem__(self, place: int | slice) -> Line | Sequence[Line]:
        if isinstance(place, slice):
            return Lines(self._rows[place], self._make)
        return self._make(self._rows[place])


@dataclass(frozen=True)
class Table:
    """`sort` is the column a table is sorted by when nobody chose one; "" leaves the rows as they come.

    `shown` rows stand on the page, the rest only in the file. `head` is whether the first cell names the row.
    """

    id: str
    title: str
    columns: tuple[Column, ...]
    lines: Sequence[Line]
    empty: str
    sort: str = ""
    order: str = "asc"
    shown: int = 100
    head: bool = True
    wide: int = 0

    def sorted_by(self, column_id: str, order: str) -> "Table":
        """The same with its lines in that order; what is unknown comes last either way."""
        places = [place for place, column in enumerate(self.columns) if column.id == column_id]
        if not places:
            return self
        lines = list(self.lines)
        known = [line for line in lines if line.cells[places[0]].value is not None]
        unknown = [line for line in lines if line.cells[places[0]].value is None]
        known.sort(key=lambda line: _sortable(line.cells[places[0]].value), reverse=order == "desc")
        return replace(self, lines=(*known, *unknown), sort=column_id, order=order)


def _sortable(value: Any) -> tuple[int, Any]:
    return (1, value.casefold()) if isinstance(value, str) else (0, value)


@dataclass(frozen=True)
class Key:
    """One entry of a chart's legend: how the mark looks (a class of the style sheet) and what it means."""

    mark: str
    text: str


@dataclass(frozen=True)
class Chart:
    """A drawing of what a table says: `description` is for those who do not see it."""

    spec: Spec
    description: str
    legend: tuple[Key, ...] = ()
    height: int = 290


@dataclass(frozen=True)
class Panel:
    """One panel: a chart, a table, or a chart over its table (then the table is folded away).

    `data_to` and `computed_at` say how fresh it is; empty where that is the page's own.
    """

    id: str
    title: str
    table: Table
    note: str = ""
    chart: Chart | None = None
    data_to: str = ""
    computed_at: str = ""
    stale: str = ""
    link: tuple[str, str] | None = None


@dataclass(frozen=True)
class Tile:
    """One headline; texts are empty where there is nothing to say. `spark` is an SVG path in a 96 by 24
    box."""

    id: str
    title: str
    explanation: str
    value: str
    interval: str = ""
    counts: str = ""
    change: str = ""
    network: str = ""
    estimated: bool = True
    spark: str = ""
    spark_text: str = ""
    href: str = ""


@dataclass(frozen=True)
class Field:
    """One field of a form. `kind` is text, date, textarea, select or hidden."""

    name: str
    title: str
    kind: str = "text"
    value: str = ""
    options: tuple[tuple[str, str], ...] = ()
    required: bool = True
    hint: str = ""


@dataclass(frozen=True)
class Form:
    """Something a reader may do: posted to `action` with the page's form token."""

    id: str
    title: str
    action: str
    button: str
    fields: tuple[Field, ...] = ()
    note: str = ""
    method: str = "post"


@dataclass(frozen=True)
class Page:
    """One page.

    `facts` are (name, value) pairs below the heading; `trail` leads back up the drill path; `tabs` are (name,
    address, whether it is the one shown); so many `leading` panels stand before the tiles; `asking` is the
    heading of the forms; `lang` is the language of a subtitle that no catalog has.
    """

    title: str
    subtitle: str = ""
    tiles: tuple[Tile, ...] = ()
    panels: tuple[Panel, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    trail: tuple[tuple[str, str], ...] = ()
    forms: tuple[Form, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    tabs: tuple[tuple[str, str, bool], ...] = ()
    asking: str = ""
    leading: int = 0
    lang: str = ""

    def panel(self, panel_id: str) -> Panel | None:
        return next((panel for panel in self.panels if panel.id == panel_id), None)


def text(value: Any, **given: Any) -> Cell:
    """A cell of plain words; null is said as a dash and stays unknown."""
    if value is None or value == "":
        return Cell("–", tone="missing", raw={"": None}, **given)
    return Cell(str(value), raw={"": value}, **given)


def table_of(
    table_id: str, title: str, columns: Sequence[Column], lines: Sequence[Line], empty: str, **given: Any
) -> Table:
    return Table(table_id, title, tuple(columns), tuple(lines), empty, **given)
