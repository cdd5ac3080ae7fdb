"""The pictures of a report, as SVG: weekly trend with intervals, funnel of clinics, sparklines of tiles."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert

from dashboards.report.model import FunnelPoint, ReportData, Tile, TrendWeek

_DRAWN_IN = "sans-serif"

INK, MUTED, RULE_GREY = "#0b5563", "#4a5a5e", "#d9e0e1"


def trend_svg(data: ReportData, *, font: str) -> str:
    """The twelve weeks as one SVG without scripts; weeks without a value leave a gap."""
    return _in_font(_trend(data.trend), font)


@functools.lru_cache(maxsize=2)
def _trend(trend: tuple[TrendWeek, ...]) -> str:
    """Drawn once for all of an edition's formats: it is most of the time that an edition takes."""
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
        for point in trend
    ]
    x = alt.X(
        "week:O",
        sort=[point.week for point in trend],
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
    return _svg(alt.layer(bars, line, points).properties(width=640, height=170))


def funnel_svg(data: ReportData, *, font: str) -> str:
    """Clinics by expected number, their ratio, and the limits of chance; empty for fewer than two of them."""
    points = tuple(point for point in data.funnel if point.ratio is not None)
    return _in_font(_funnel(points), font) if len(points) > 1 else ""


@functools.lru_cache(maxsize=2)
def _funnel(points: tuple[FunnelPoint, ...]) -> str:
    limits = [
        {"expected": point.expected, "limit": pair[side], "line": f"{name} {side}", "outer": outer}
        for point in points
        for name, pair, outer in (("95", point.limits_95, False), ("99.8", point.limits_998, True))
        if pair is not None
        for side in (0, 1)
    ]
    x = alt.X("expected:Q", title="events expected", scale=alt.Scale(zero=True, nice=True))
    lines = (
        alt.Chart(alt.Data(values=limits))
        .mark_line(color=MUTED, interpolate="monotone")
        .encode(
            x=x,
            y=alt.Y("limit:Q", title="observed / expected"),
            detail="line:N",
            strokeDash=alt.condition("datum.outer", alt.value([4, 3]), alt.value([1, 0])),
        )
    )
    dots = (
        alt.Chart(alt.Data(values=[_dot(point) for point in points]))
        .mark_point(size=60, strokeWidth=2, color=INK, opacity=1)
        .encode(
            x=x,
            y=alt.Y("ratio:Q", title="observed / expected"),
            fill=alt.condition("datum.outside", alt.value(INK), alt.value("white")),
        )
    )
    one = alt.Chart(alt.Data(values=[{"one": 1}])).mark_rule(color=INK, opacity=0.5).encode(y="one:Q")
    return _svg(alt.layer(one, lines, dots).properties(width=640, height=210))


def _dot(point: FunnelPoint) -> dict[str, float | bool | None]:
    outside = (
        point.ratio is not None
        and point.limits_998 is not None
        and not point.limits_998[0] <= point.ratio <= point.limits_998[1]
    )
    return {"expected": point.expected, "ratio": point.ratio, "outside": outside}


def signal_svg(points: Sequence[Mapping[str, Any]], *, font: str) -> str:
    """The result behind a signal day by day, with its intervals; empty for fewer than two values.

    `points`: rows of sql/signal/series.
    """
    rows = [{**point, "day": str(point["day"])} for point in points if point["value"] is not None]
    if len(rows) < 2:
        return ""
    x = alt.X("day:T", title=None)
    title = "observed / expected"
    base = alt.Chart(alt.Data(values=rows))
    band = base.mark_area(color=INK, opacity=0.15).encode(x=x, y=alt.Y("lower:Q", title=title), y2="upper:Q")
    line = base.mark_line(color=INK, strokeWidth=2).encode(x=x, y=alt.Y("value:Q", title=title))
    one = alt.Chart(alt.Data(values=[{"one": 1}])).mark_rule(color=INK, opacity=0.5).encode(y="one:Q")
    return _in_font(_svg(alt.layer(band, line, one).properties(width=640, height=180)), font)


def spark_svg(tile: Tile) -> str:
    """The tile's weeks as a small line; a gap where a week has no value; a dot on this week. Empty while
    fewer than two weeks have a value: a dot alone is no history."""
    values = [f.value if f is not None and f.estimated else None for f in tile.history]
    known = [value for value in values if value is not None]
    if len(known) < 2:
        values = []
    low, span = min(known, default=0.0), (max(known, default=1.0) - min(known, default=0.0)) or 1.0

    def place(i: int, value: float) -> str:
        return f"{4 + i * 112 / max(len(values) - 1, 1):.1f},{24 - 20 * (value - low) / span:.1f}"

    runs: list[list[str]] = [[]]
    for i, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(place(i, value))
    lines = "".join(
        f'<polyline points="{" ".join(run)}" fill="none" stroke="{INK}" stroke-width="1.5"/>'
        if len(run) > 1
        else f'<circle cx="{run[0].split(",")[0]}" cy="{run[0].split(",")[1]}" r="1.5" fill="{INK}"/>'
        for run in runs
        if run
    )
    if values and values[-1] is not None:
        cx, cy = place(len(values) - 1, values[-1]).split(",")
        lines += f'<circle cx="{cx}" cy="{cy}" r="3" fill="{INK}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="120" height="28" viewBox="0 0 120 28">{lines}</svg>'
    )


def png(svg: str, *, scale: float = 2.0) -> bytes:
    """The picture for mail, whose readers show no SVG; the same SVG gives the same bytes."""
    drawn: bytes = vl_convert.svg_to_png(svg, scale=scale)
    return drawn


def _svg(chart: alt.LayerChart | alt.FacetChart) -> str:
    styled = (
        chart.properties(padding={"left": 4, "right": 8, "top": 6, "bottom": 4})
        .configure(font=_DRAWN_IN, background="white")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=MUTED, titleColor=MUTED, labelFontSize=11, titleFontSize=11, titleFontWeight="normal"
        )
        .configure_axisY(gridColor=RULE_GREY, domain=False, ticks=False, tickCount=5)
    )
    svg: str = vl_convert.vegalite_to_svg(styled.to_dict(validate=False), vl_version="6.4")
    return svg


def _in_font(svg: str, font: str) -> str:
    """The picture with its labels in the reader's font."""
    return svg.replace(f'font-family="{_DRAWN_IN}"', f'font-family="{font}"')
