"""Tables as CSV and Parquet, charts as SVG and PNG; each says its scope, period and how fresh it is."""

import csv
import datetime as dt
import io
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import Response

from dashboards import charts, rendering, words
from dashboards.language import chart_locale, current, say
from dashboards.page import Page, Panel, Table
from dashboards.state import PERIODS
from dashboards.views.context import Context

PICTURES = {"svg": "image/svg+xml", "png": "image/png"}
FILES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
KINDS = PICTURES | FILES
_PICTURE_WIDTH = 760


@dataclass(frozen=True)
class Label:
    """What every file says of itself."""

    name: str
    title: str
    scope: str
    filters: str
    data_to: str
    computed_at: str

    @classmethod
    def of(cls, context: Context, page: Page, panel: Panel) -> "Label":
        state = context.state
        chosen = [say(PERIODS[state.weeks])]
        chosen += [
            f"{words.heading(name)} {value}"
            for name in ("protocol", "device", "skin", "lot", "operator", "session", "signal")
            if (value := getattr(state, name))
        ]
        newest = context.freshness
        data_to = panel.data_to or (
            words.moment(newest["newest_as_of"]) if newest["newest_as_of"] else say("none")
        )
        computed = panel.computed_at or words.moment(context.now)
        plain = unicodedata.normalize("NFKD", f"{page.title} {panel.id}").encode("ascii", "ignore").decode()
        name = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
        return cls(
            name,
            f"{say(page.title)}: {say(panel.title)}",
            context.title,
            ", ".join(chosen),
            data_to,
            computed,
        )

    def columns(self) -> dict[str, str]:
        return {
            "scope": self.scope,
            "filters": self.filters,
            "data_to": self.data_to,
            "computed_at": self.computed_at,
        }


def response(panel: Panel, kind: str, label: Label, theme: str) -> Response:
    """The panel's table or chart as a file."""
    if kind in PICTURES:
        content = picture(panel, kind, label, theme)
    else:
        content = to_csv(panel.table, label) if kind == "csv" else to_parquet(panel.table, label)
    disposition = f'{"inline" if kind == "svg" else "attachment"}; filename="{label.name}.{kind}"'
    headers = {
        "Content-Disposition": disposition,
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }
    return Response(content, media_type=KINDS[kind], headers=headers)


def records(table: Table, label: Label) -> tuple[list[str], Iterator[list[Any]]]:
    """Column names and rows of a file: each part of each cell, then what the file says of itself."""
    names = [
        f"{column.id}_{part}" if part else column.id for column in table.columns for part in column.parts
    ]
    said = label.columns()
    rows = (
        [
            cell.raw.get(part) if cell.raw else (cell.text if not part else None)
            for column, cell in zip(table.columns, line.cells, strict=True)
            for part in column.parts
        ]
        + list(said.values())
        for line in table.lines
    )
    return [*names, *said], rows


def to_csv(table: Table, label: Label) -> bytes:
    """UTF-8 with a header line; empty where nothing is known."""
    names, rows = records(table, label)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_safe(value) for value in row])
    return out.getvalue().encode()


def _safe(value: Any) -> Any:
    """No text that a spreadsheet would take for a formula: OWASP, CSV injection."""
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return "" if value is None else value


def to_parquet(table: Table, label: Label) -> bytes:
    """One column a part; numbers as DOUBLE where every value is one, else text."""
    import duckdb

    names, rows = records(table, label)
    found = list(rows)
    kinds = (
        ["DOUBLE" if _numbers(column) else "VARCHAR" for column in zip(*found, strict=True)]
        if found
        else ["VARCHAR"] * len(names)
    )
    columns = ", ".join(f'"{name}" {kind}' for name, kind in zip(names, kinds, strict=True))
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        file = Path(folder) / "table.parquet"
        database.execute(f"CREATE TABLE file ({columns})")
        if found:
            marks = ", ".join("?" for _ in names)
            values = [
                [
                    value if kind == "DOUBLE" or value is None else str(value)
                    for value, kind in zip(row, kinds, strict=True)
                ]
                for row in found
            ]
            database.executemany(f"INSERT INTO file VALUES ({marks})", values)  # noqa: S608 - marks only
        database.execute("COPY file TO '" + str(file).replace("'", "''") + "' (FORMAT parquet)")
        return file.read_bytes()


def _numbers(column: tuple[Any, ...]) -> bool:
    known = [value for value in column if value is not None]
    return bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )


def picture(panel: Panel, kind: str, label: Label, theme: str) -> bytes:
    """The chart with its title and what it says of itself below."""
    assert panel.chart is not None
    config = charts.theme(theme)
    ink = config["style"]["label"]["color"]
    muted = config["axis"]["labelColor"]
    fresh = say(
        "data to {data_to} · computed {computed_at}", data_to=label.data_to, computed_at=label.computed_at
    )
    said = f"{label.scope} · {label.filters} · {fresh}"
    title = {"text": label.title, "subtitle": said, "anchor": "start", "color": ink, "subtitleColor": muted}
    background = "#ffffff" if theme == "light" else "#182327"
    spec = panel.chart.spec | {
        "width": _PICTURE_WIDTH,
        "title": title,
        "config": config,
        "background": background,
    }
    draw = rendering.svg if kind == "svg" else rendering.png
    return draw(spec, chart_locale(current()))
