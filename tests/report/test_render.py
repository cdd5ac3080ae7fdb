"""HTML, PDF and CSV say the same, from the same frozen data, and people can read them."""

import csv
import dataclasses
import html.parser
import io
import re
import xml.etree.ElementTree as ET

import pypdf
import pytest

from dashboards.report import ReportData
from dashboards.report.render_csv import render_csv
from dashboards.report.render_html import render_html
from dashboards.report.render_pdf import render_pdf
from dashboards.report.render_text import render_text
from dashboards.report.view import words
from dashboards.report.words import SUPPRESSED, counts_text, interval_text, value_text
from tests.report.conftest import Freeze
from tests.report.world import WEEK, result

pytestmark = pytest.mark.integration

AWKWARD = (
    result("maintenance_on_time", 0, 0),
    result("adverse_event_incidence", 1, 3, week=WEEK),
    result("adverse_event_incidence", 1, 2, scope="clinic", scope_id="north", week=WEEK),
)
"""A zero denominator and small cells, so that what is not a number is compared too."""


class _Text(html.parser.HTMLParser):
    """The visible text of a page, without its chart."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in ("svg", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("svg", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def squeezed(text: str) -> str:
    """`text` without any space: line breaks differ between a page and a PDF."""
    return re.sub(r"\s+", "", text)


def html_text(data: ReportData) -> str:
    page = _Text()
    page.feed(render_html(data).decode())
    return squeezed("".join(page.parts))


def pdf_text(data: ReportData) -> str:
    """All pages' text, without the running foot, which may stand in the middle of a paragraph."""
    pages = pypdf.PdfReader(io.BytesIO(render_pdf(data))).pages
    text = squeezed("".join(page.extract_text() for page in pages))
    return re.sub(
        re.escape(squeezed(f"{data.scope_name} · {data.week} · {data.report_id}")) + r"Page\dof\d", "", text
    )


def printed(value: object) -> list[str]:
    """Every string in a nest of dictionaries and lists that stands on the page."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, dict):
        read = [each for name, each in value.items() if name not in ("href", "alt", "paper")]
        return [text for each in read for text in printed(each)]
    return [text for each in value for text in printed(each)] if isinstance(value, list) else []


@pytest.mark.parametrize("clinic", [None, "north"])
@pytest.mark.parametrize("rows", [(), AWKWARD], ids=["usual", "awkward"])
def test_html_pdf_and_text_print_the_same_words(frozen: Freeze, rows, clinic: str | None):
    """Every text of the report, thus every number, is in the page and in the PDF."""
    data = frozen(*rows, clinic=clinic)
    view = words(data)
    del view["title"]
    expected = [squeezed(text) for text in printed(view)]
    assert len(expected) > 80
    for text in (html_text(data), pdf_text(data)):
        assert [each for each in expected if each not in text] == []
    text = squeezed(render_text(data).decode())
    about_the_picture = squeezed(view["trend"]["caption"])
    assert [each for each in expected if each not in text] == [about_the_picture]


@pytest.mark.parametrize("rows", [(), AWKWARD], ids=["usual", "awkward"])
def test_the_csv_has_the_printed_numbers_and_the_stored_ones(frozen: Freeze, rows):
    """Each headline, week, clinic and protocol figure is a CSV row: what was printed, and the raw numbers."""
    data = frozen(*rows)
    table = list(csv.DictReader(io.StringIO(render_csv(data).decode(), newline="")))
    by_key = {
        (r["section"], r["metric_id"], r["scope_id"], r["period"], r["interval_start"]): r for r in table
    }
    figures = [("headline", tile.figure) for tile in data.tiles]
    figures += [("trend", point.figure) for point in data.trend if point.figure]
    for clinic in data.clinics:
        values = [getattr(clinic, field.name) for field in dataclasses.fields(clinic)[2:]]
        figures += [("clinic", figure) for figure in values if figure]
    for protocol in data.protocols:
        figures += [("protocol", figure) for figure in (protocol.incidence, protocol.improvement) if figure]
    assert len(figures) == 6 + 12 + 5 * 3 + 2 * 2
    for section, figure in figures:
        start = f"{figure.interval_start:%Y-%m-%dT%H:%M:%SZ}"
        row = by_key[section, figure.metric_id, figure.scope_id, figure.period, start]
        assert row["printed_value"] == value_text(figure)
        assert row["printed_interval"] == interval_text(figure)
        assert row["printed_counts"] == counts_text(figure)
        for name in ("numerator", "denominator", "value", "lower", "upper"):
            number = getattr(figure, name)
            assert row[name] == ("" if number is None else repr(number))


@pytest.mark.parametrize("clinic", [None, "west"])
def test_the_csv_has_every_other_row_of_the_frozen_set(frozen: Freeze, clinic: str | None):
    """Funnel, people due, devices, signals and checks: as many rows as were frozen, each number as it was
    frozen, an empty cell for what is suppressed; and beside the figures nothing else."""
    few = result("adverse_event_incidence", 1, 3, scope="clinic", scope_id="north")
    data = frozen(few, clinic=clinic)
    table = list(csv.DictReader(io.StringIO(render_csv(data).decode(), newline="")))
    rows: dict[str, list[dict[str, str]]] = {}
    for row in table:
        assert row["report_id"] == data.report_id
        rows.setdefault(row["section"], []).append(row)
    figures = {"headline", "last week", "trend", "clinic", "protocol"}
    assert set(rows) - figures == {"funnel", "patients due", "device", "signal", "check"}
    assert [
        _values(row, "numerator", "denominator", "value", "lower", "upper") for row in rows["funnel"]
    ] == [
        _texts(point.observed, point.expected, point.ratio, point.lower, point.upper) for point in data.funnel
    ]
    assert [(row["scope_id"], row["reason"], row["suppressed"]) for row in rows["funnel"]] == [
        (point.clinic_id, point.flag or "", str(point.suppressed).lower()) for point in data.funnel
    ]
    assert [(row["scope_id"], row["metric_id"], row["value"]) for row in rows["patients due"]] == [
        (row.clinic_id, f"patients_{state}", *_texts(getattr(row, state)))
        for row in data.due or ()
        for state in ("due", "at_risk", "overdue")
    ]
    assert all((row["suppressed"] == "true") == (row["value"] == "") for row in rows["patients due"])
    assert [(row["scope_id"], row["value"], row["interval_start"]) for row in rows["device"]] == [
        (f"{each.clinic_id}/{each.device_id}", *_texts(each.days_overdue, each.last_calibrated_on))
        for each in data.devices
    ]
    assert [_values(row, "metric_id", "scope", "scope_id", "value") for row in rows["signal"]] == [
        (each.rule, each.scope, f"{each.scope_id} {each.signal_id}", *_texts(each.value))
        for each in data.signals
    ]
    for row, signal in zip(rows["signal"], data.signals, strict=True):
        assert row["interval_start"] == f"{signal.since:%Y-%m-%dT%H:%M:%SZ}"
        assert row["reason"] == f"{signal.state}, {signal.status}, owner {signal.owner or 'nobody yet'}"
    assert [(row["scope_id"], row["numerator"], row["denominator"]) for row in rows["check"]] == [
        (each.check_id, *_texts(each.subjects, each.events)) for each in data.checks
    ]
    assert [row["value"] for row in rows.get("last week", [])] == [
        *[text for tile in data.tiles if tile.last_week for text in _texts(tile.last_week.value)]
    ]
    assert {row["suppressed"] for row in rows["funnel"]} >= ({"true"} if clinic is None else set())


def _values(row: dict[str, str], *names: str) -> tuple[str, ...]:
    return tuple(row[name] for name in names)


def _texts(*values: object) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in values)


def test_what_is_suppressed_is_in_no_format(frozen: Freeze):
    """A small cell's count appears nowhere, not even in the JSON that the archive keeps."""
    data = frozen(result("adverse_event_incidence", 3.25, 4, week=WEEK))
    assert value_text(data.tiles[0].figure) == SUPPRESSED
    assert squeezed(SUPPRESSED) in html_text(data)
    for document in (render_html(data), render_csv(data), data.to_json()):
        assert not re.search(rb"3\.25|81\.2|3 of 4\b", document)
    assert not re.search(r"3\.25|81\.2|3of4\b", pdf_text(data))


def test_the_same_data_give_the_same_bytes(frozen: Freeze):
    """Rendering depends on nothing but the frozen data, which survives its own JSON."""
    data = frozen(*AWKWARD)
    again = ReportData.from_json(data.to_json())
    assert again == data
    for render in (ReportData.to_json, render_html, render_text, render_pdf, render_csv):
        assert render(again) == render(data)


def test_the_pdf_is_tagged_and_titled(frozen: Freeze):
    """The PDF claims PDF/UA-1 and has what that needs: tags, a title that is shown, a language, alt text."""
    data = frozen()
    document = pypdf.PdfReader(io.BytesIO(render_pdf(data)))
    root = document.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] is True or root["/MarkInfo"]["/Marked"].value is True
    assert root["/Lang"].startswith("en")
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert document.metadata.title == words(data)["title"] + ", Whole network"
    assert b"<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_data()
    tags = _structure(root["/StructTreeRoot"])
    kinds = [tag.get("/S") for tag in tags]
    assert {"/H1", "/H2", "/H3", "/Table", "/TH", "/Figure", "/L", "/LI"} <= set(kinds)
    assert words(data)["trend"]["alt"] in [tag.get("/Alt") for tag in tags if tag.get("/S") == "/Figure"]
    box = document.pages[0].mediabox
    assert (round(box.width), round(box.height)) == (595, 842)
    assert len(document.pages) == 3


def _structure(node: pypdf.generic.DictionaryObject) -> list[pypdf.generic.DictionaryObject]:
    children = node.get("/K", [])
    children = children if isinstance(children, list) else [children]
    found = [child.get_object() for child in children]
    elements = [child for child in found if isinstance(child, dict) and "/S" in child]
    return [each for element in elements for each in [element, *_structure(element)]]


def test_the_page_needs_nothing_from_elsewhere(frozen: Freeze):
    """The HTML has a language, a title and one first heading, no script, and asks no server for anything."""
    page = render_html(frozen()).decode()
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert page.count("<h1>") == 1
    assert not re.search(r"<script|<link|<iframe|<img|@import|url\(|\bsrc=|\bhref=", page)


def test_the_chart_has_a_name_and_a_point_for_each_value(frozen: Freeze):
    """The inline SVG is one image with a text alternative; a suppressed week has no point."""
    for rows, points in (((), 12), (AWKWARD, 11)):
        data = frozen(*rows)
        page = render_html(data).decode()
        charts = [ET.fromstring(svg) for svg in re.findall(r"<svg .*?</svg>", page, re.DOTALL)]  # noqa: S314
        assert {chart.get("role") for chart in charts} == {"img"}
        assert all(chart.get("aria-label") for chart in charts)
        (chart,) = [c for c in charts if c.get("aria-label") == words(data)["trend"]["alt"]]
        groups = [node for node in chart.iter() if "mark-symbol" in (node.get("class") or "")]
        assert sum(len(list(group)) for group in groups) == points


def test_names_are_text_and_never_markup(frozen: Freeze):
    """A clinic may be called anything: its name is escaped in HTML and set as plain text in the PDF."""
    name = 'A <b>& "B" $x_1$ #let *c* `d`'
    data = dataclasses.replace(frozen(), scope_name=name)
    assert "A &lt;b&gt;&amp; &#34;B&#34;" in render_html(data).decode()
    assert squeezed(name) in pdf_text(data)
