"""A report as the HTML part of a mail, with its pictures beside it; mail readers cut off what is longer."""

from dataclasses import dataclass

from dashboards.report.chart import funnel_svg, png, spark_svg, trend_svg
from dashboards.report.model import ReportData
from dashboards.report.render_html import TEMPLATES
from dashboards.report.view import words
from producers.contracts.errors import CheckFailed

LONGEST = 100_000
"""Bytes of HTML; Gmail cuts off at 102 KB."""

MOST_ROWS = 15
"""Rows of a table in a mail; the rest is in the PDF and the dashboard."""

_FONT = "Arial, Helvetica, sans-serif"


@dataclass(frozen=True)
class MailPage:
    """HTML, and the PNG of each name that it shows by `cid:<name>`."""

    html: str
    images: dict[str, bytes]


def render_mail(data: ReportData) -> MailPage:
    """The same data gives the same page. Raises CheckFailed where it is too long for mail."""
    view = words(data)
    images = {f"spark-{i}": png(spark_svg(tile)) for i, tile in enumerate(data.tiles)}
    images["trend"] = png(trend_svg(data, font=_FONT))
    if drawn := funnel_svg(data, font=_FONT):
        images["funnel"] = png(drawn)
    view["tiles"] = [tile | {"image": f"spark-{i}"} for i, tile in enumerate(view["tiles"])]
    page = TEMPLATES.get_template("mail.html.j2").render(
        **{name: text for name, text in view.items() if name != "heading"},
        heading_text=view["heading"],
        most=MOST_ROWS,
        trend_image="trend",
        funnel_image="funnel" if drawn else "",
        archive_href=_archived(data),
    )
    if len(page.encode()) > LONGEST:
        raise CheckFailed(
            f"report {data.report_id}: {len(page.encode())} bytes of HTML are too many for mail"
        )
    return MailPage(page, images)


def _archived(data: ReportData) -> str:
    if not data.dashboard_url:
        return ""
    return f"{data.dashboard_url}/reports/{data.week}/{data.edition}/{data.report_id}.html"
