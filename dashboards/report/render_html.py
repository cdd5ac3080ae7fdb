"""A report as one self-contained HTML page: no script, no request to anywhere."""

import html
from pathlib import Path

import jinja2

from dashboards.report.chart import funnel_svg, spark_svg, trend_svg
from dashboards.report.model import ReportData
from dashboards.report.view import words

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_html(data: ReportData) -> bytes:
    """UTF-8 HTML; the same data gives the same bytes."""
    view = words(data)
    font = "system-ui, sans-serif"
    page = TEMPLATES.get_template("report.html.j2").render(
        **view,
        chart=_accessible(trend_svg(data, font=font), view["trend"]["alt"]),
        funnel_chart=_accessible(funnel_svg(data, font=font), view["funnel"]["alt"])
        if view["funnel"]
        else "",
        sparks=[
            _accessible(spark_svg(tile), shown["alt"])
            for tile, shown in zip(data.tiles, view["tiles"], strict=True)
        ],
    )
    return page.encode()


def _accessible(svg: str, alt: str) -> str:
    """The SVG as one image with a name: its labels are in the table that follows."""
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt)}" ', 1)
