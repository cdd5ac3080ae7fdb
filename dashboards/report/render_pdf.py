"""A report as a tagged PDF (PDF/UA-1, A4 or Letter), set by typst with its built-in fonts only."""

import json
from pathlib import Path

import typst

from dashboards.report.chart import funnel_svg, spark_svg, trend_svg
from dashboards.report.model import ReportData
from dashboards.report.view import words

_TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
_FONT = "Libertinus Serif"


def render_pdf(data: ReportData) -> bytes:
    """PDF bytes; the same data gives the same bytes on every machine: no system fonts, no clock."""
    return typst.compile(
        _TEMPLATE,
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={
            "report": json.dumps(words(data)),
            "chart": trend_svg(data, font=_FONT),
            "funnel": funnel_svg(data, font=_FONT),
            "sparks": json.dumps([spark_svg(tile) for tile in data.tiles]),
        },
        pdf_standards=["ua-1"],
        timestamp=int(data.issued_at.timestamp()),
    )
