"""Charts as Vega-Lite specifications: pure functions, colours apart so that one chart serves light and dark.

Every series differs by form as well as by colour; the blues and oranges stay apart for colour-blind readers.
"""

import functools
from collections.abc import Sequence
from typing import Any

from dashboards.view_models import TrendPoint

Spec = dict[str, Any]

_PALETTES = {
    "light": {
        "muted": "#54666b",
        "grid": "#e3e9ea",
        "own": "#0b6478",
        "network": "#b4530a",
    },
    "dark": {
        "muted": "#a3b4b8",
        "grid": "#2b3a3f",
        "own": "#5cc4da",
        "network": "#f0a35e",
    },
}
_Y_TITLE = "per 100 sessions"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def theme(name: str) -> Spec:
    """The Vega-Lite config of `light` or `dark`."""
    colours = _PALETTES[name]
    return {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": colours["muted"],
            "titleColor": colours["muted"],
            "gridColor": colours["grid"],
            "domainColor": colours["muted"],
            "tickColor": colours["muted"],
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
        },
        "style": {
            "own-interval": {"color": colours["own"], "opacity": 0.18},
            "own-line": {"color": colours["own"], "strokeWidth": 2},
            "own-settled": {"color": colours["own"], "filled": True, "opacity": 1, "size": 44},
            "own-provisional": {"color": colours["own"], "filled": False, "opacity": 1, "size": 44},
            "network-line": {"color": colours["network"], "strokeWidth": 1.5, "strokeDash": [5, 4]},
            "hover": {"color": colours["own"], "filled": True, "opacity": 0, "size": 500},
        },
    }


def incidence_trend(points: Sequence[TrendPoint], name: str, *, width: int | str = "container") -> Spec:
    """Weekly adverse events per 100 sessions of `name`, with interval; dashed the network, where given.

    `width` is in pixels or `container`. The specification carries no colours: add `theme(...)` as its config.
    """
    return _trend(any(point.network is not None for point in points)) | {
        "data": {"values": [_datum(point) for point in points]},
        "description": describe(points, name),
        "width": width,
    }


@functools.cache
def _trend(with_network: bool) -> Spec:
    """The chart without its data."""
    import altair as alt  # 30 MB and half a second: only once somebody looks at a chart

    x = alt.X(
        "starts_on:T",
        title=None,
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format="%-d %b %y", labelOverlap=True, grid=False, tickCount="month"),
    )
    y = alt.Y("value:Q", title=_Y_TITLE, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5, domain=False))
    base = alt.Chart(alt.Data(values=[])).encode(x=x)
    network = [base.mark_line(style="network-line").encode(alt.Y("network:Q"))] if with_network else []
    tooltips = [alt.Tooltip(f"{field}:N", title=title) for field, title in _TOOLTIP.items()]
    layers = [
        base.mark_area(style="own-interval").encode(alt.Y("lower:Q", title=_Y_TITLE), alt.Y2("upper")),
        *network,
        base.mark_line(style="own-line").encode(y),
        base.transform_filter("!datum.provisional").mark_point(style="own-settled").encode(y),
        base.transform_filter("datum.provisional").mark_point(style="own-provisional").encode(y),
        base.mark_point(style="hover").encode(y, tooltip=tooltips),
    ]
    spec: Spec = alt.layer(*layers).properties(height=240).to_dict()
    return spec


_TOOLTIP = {
    "week": "Week",
    "text": "Per 100 sessions",
    "interval": "95% interval",
    "counts": "Counts",
    "note": "Note",
}


def _datum(point: TrendPoint) -> Spec:
    return {
        "week": point.week,
        "starts_on": point.starts_on,
        "value": point.value,
        "lower": point.lower,
        "upper": point.upper,
        "network": point.network,
        "provisional": point.provisional,
        "text": point.cell.value,
        "interval": point.cell.interval or "none",
        "counts": point.cell.counts,
        "note": "outcomes still arriving" if point.provisional else "settled",
    }


def describe(points: Sequence[TrendPoint], name: str) -> str:
    """The chart in one sentence, for those who do not see it."""
    what = f"Line chart of adverse events per 100 sessions by week, {name}"
    known = [point for point in points if point.value is not None]
    if not known:
        return f"{what}: no week has a value."
    newest, highest = known[-1], max(known, key=lambda point: point.value or 0.0)
    return (
        f"{what}, {points[0].week} to {points[-1].week}. Newest {newest.cell.value} in {newest.week} "
        f"(interval {newest.cell.interval}); highest {highest.cell.value} in {highest.week}. "
        "The table below the chart has every week."
    )
