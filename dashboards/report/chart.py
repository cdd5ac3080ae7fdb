"""The trend chart of a report: weekly adverse-event incidence with intervals, as SVG."""

import altair as alt
import vl_convert

from dashboards.report.model import ReportData

INK, MUTED, RULE_GREY = "#0b5563", "#4a5a5e", "#d9e0e1"


def trend_svg(data: ReportData, *, font: str) -> str:
    """The twelve weeks as one SVG without scripts; weeks without a value leave a gap."""
    rows = [
        {
            "week": point.week,
            "value": point.figure.value,
            "lower": point.figure.lower,
            "upper": point.figure.upper,
            "provisional": point.provisional,
        }
        if point.figure is not None and point.figure.estimated
        else {
            "week": point.week,
            "value": None,
            "lower": None,
            "upper": None,
            "provisional": point.provisional,
        }
        for point in data.trend
    ]
    x = alt.X(
        "week:O",
        sort=[point.week for point in data.trend],
        axis=alt.Axis(
            title=None, labelAngle=0, labelExpr="slice(datum.value, 5)", domainColor=MUTED, ticks=False
        ),
    )
    y = alt.Y("value:Q", title="per 100 sessions", scale=alt.Scale(zero=True, nice=True))
    base = alt.Chart(alt.Data(values=rows))
    bars = base.mark_rule(color=INK, strokeWidth=2, opacity=0.35).encode(x=x, y=y.copy(), y2="upper:Q")
    bars = bars.encode(y=alt.Y("lower:Q", title="per 100 sessions"))
    line = base.mark_line(color=INK, strokeWidth=1.5, opacity=0.6).encode(x=x, y=y)
    points = base.mark_point(size=52, strokeWidth=2, color=INK, opacity=1).encode(
        x=x,
        y=y,
        fill=alt.condition("datum.provisional", alt.value("white"), alt.value(INK)),
    )
    chart = (
        alt.layer(bars, line, points)
        .properties(width=640, height=170, padding={"left": 4, "right": 8, "top": 6, "bottom": 4})
        .configure(font=font, background="white")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=MUTED, titleColor=MUTED, labelFontSize=11, titleFontSize=11, titleFontWeight="normal"
        )
        .configure_axisY(gridColor=RULE_GREY, domain=False, ticks=False, tickCount=5)
    )
    svg: str = vl_convert.vegalite_to_svg(chart.to_dict(), vl_version="6.4")
    return svg
