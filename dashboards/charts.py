"""Charts as Vega-Lite specifications: pure functions, colours apart so that one chart serves light and dark.

Every series differs by form as well as by colour; the blues and oranges stay apart for colour-blind readers.
A test holds every specification against Altair's schema.
"""

from collections.abc import Sequence
from typing import Any

from dashboards.language import say
from dashboards.page import Spec

_PALETTES = {
    "light": {
        "ink": "#1d2b2f",
        "muted": "#54666b",
        "grid": "#e3e9ea",
        "own": "#0b6478",
        "network": "#b4530a",
        "alert": "#a3261f",
        "quiet": "#8a9a9e",
    },
    "dark": {
        "ink": "#e6edee",
        "muted": "#a3b4b8",
        "grid": "#2b3a3f",
        "own": "#5cc4da",
        "network": "#f0a35e",
        "alert": "#ff9b92",
        "quiet": "#7b8d92",
    },
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

Rows = Sequence[dict[str, Any]]


def theme(name: str) -> Spec:
    """The Vega-Lite config of `light` or `dark`: every colour there is."""
    colour = _PALETTES[name]
    return {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": colour["muted"],
            "titleColor": colour["muted"],
            "gridColor": colour["grid"],
            "domainColor": colour["muted"],
            "tickColor": colour["muted"],
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
        },
        "style": {
            "own-interval": {"color": colour["own"], "opacity": 0.18},
            "own-line": {"color": colour["own"], "strokeWidth": 2},
            "own-settled": {"color": colour["own"], "filled": True, "opacity": 1, "size": 44},
            "own-provisional": {"color": colour["own"], "filled": False, "opacity": 1, "size": 44},
            "own-bar": {"color": colour["own"], "opacity": 0.85},
            "network-line": {"color": colour["network"], "strokeWidth": 1.5, "strokeDash": [5, 4]},
            "second-line": {"color": colour["network"], "strokeWidth": 2},
            "second-bar": {"color": colour["network"], "opacity": 0.85},
            "limit-line": {"color": colour["muted"], "strokeWidth": 1.25, "strokeDash": [2, 3]},
            "outer-line": {"color": colour["muted"], "strokeWidth": 1.25},
            "reference": {"color": colour["muted"], "strokeWidth": 1},
            "event-line": {"color": colour["network"], "strokeWidth": 1, "strokeDash": [1, 3]},
            "event-mark": {"color": colour["network"], "filled": True, "opacity": 1, "size": 60},
            "own-range": {"color": colour["own"], "strokeWidth": 2},
            "quiet-range": {"color": colour["quiet"], "strokeWidth": 2},
            "quiet-point": {"color": colour["quiet"], "filled": True, "opacity": 0.9, "size": 40},
            "alert-point": {"color": colour["alert"], "filled": True, "opacity": 1, "size": 110},
            "label": {"color": colour["ink"], "fontSize": 12},
            "hover": {"color": colour["own"], "filled": True, "opacity": 0, "size": 500},
        },
    }


def _spec(layers: list[Spec], rows: Rows, *, height: int | Spec = 240, **rest: Any) -> Spec:
    return {
        "$schema": _SCHEMA,
        "data": {"values": list(rows)},
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": layers,
        **rest,
    }


def _mark(kind: str, style: str, **given: Any) -> Spec:
    # The chart as a whole has a name and a table; a hundred marks that each speak help nobody.
    return {"type": kind, "style": style, "aria": False, **given}


def _y(field: str, title: str | None = None, **given: Any) -> Spec:
    return {"field": field, "type": "quantitative", "title": title and say(title), **given}


def _by_name() -> Spec:
    """One line a name, in the order of the rows' `order`."""
    return {
        "field": "name",
        "type": "nominal",
        "title": None,
        "sort": {"field": "order"},
        "axis": {"labelLimit": 220, "domain": False, "ticks": False},
    }


def _tooltip(titles: dict[str, str]) -> list[Spec]:
    return [{"field": field, "type": "nominal", "title": say(title)} for field, title in titles.items()]


def _days() -> Spec:
    return {
        "field": "on",
        "type": "temporal",
        "title": None,
        "scale": {"type": "utc"},
        "axis": {"format": say("%-d %b %y"), "labelOverlap": True, "grid": False},
    }


def trend(
    rows: Rows, y_title: str, *, network: bool = False, limits: bool = False, events: Rows = ()
) -> Spec:
    """Values over weeks with their intervals; dashed the network, dotted the limits, and marks for `events`.

    `rows`: on, value, lower, upper, network, centre, low_limit, high_limit, provisional, week, text,
    interval,
    counts, note. `events`: on, note.
    """
    y = _y("value", y_title, scale={"zero": True}, axis={"tickCount": 5, "domain": False})
    layers: list[Spec] = [
        {
            "mark": _mark("area", "own-interval"),
            "encoding": {"x": _days(), "y": _y("lower", y_title), "y2": {"field": "upper"}},
        },
    ]
    if limits:
        layers += [
            {
                "mark": _mark("line", "limit-line", interpolate="step"),
                "encoding": {"x": _days(), "y": _y(field, y_title)},
            }
            for field in ("low_limit", "high_limit")
        ]
    if network:
        layers.append(
            {"mark": _mark("line", "network-line"), "encoding": {"x": _days(), "y": _y("network", y_title)}}
        )
    if events:
        shown = {"data": {"values": list(events)}}
        layers += [
            {**shown, "mark": _mark("rule", "event-line"), "encoding": {"x": _days()}},
            {
                **shown,
                "mark": _mark("point", "event-mark", shape="triangle-down"),
                "encoding": {
                    "x": _days(),
                    "y": {"value": 6},
                    "tooltip": _tooltip({"day": "Day", "note": "What happened"}),
                },
            },
        ]
    points = {"Week": "week", "Value": "text", "Interval": "interval", "Counts": "counts", "Note": "note"}
    layers += [
        {"mark": _mark("line", "own-line"), "encoding": {"x": _days(), "y": y}},
        *(
            {
                "transform": [{"filter": test}],
                "mark": _mark("point", style),
                "encoding": {"x": _days(), "y": y},
            }
            for provisional, test, style in (
                (False, "!datum.provisional", "own-settled"),
                (True, "datum.provisional", "own-provisional"),
            )
            if any(row["provisional"] is provisional for row in rows)
        ),
        {
            "mark": _mark("point", "hover"),
            "encoding": {"x": _days(), "y": y, "tooltip": _tooltip({v: k for k, v in points.items()})},
        },
    ]
    return _spec(layers, rows)


_GROUP_TIPS = {
    "name": "Group",
    "text": "Observed / expected",
    "interval": "95% interval",
    "counts": "Counts",
    "finding": "Finding",
    "hint": "Click",
}


def _flagged_apart(rows: Rows, encoding: Spec) -> list[Spec]:
    """Circles, and diamonds for the flagged; no layer without a row, which Vega would warn of."""
    forms = (
        (False, "!datum.flagged", "own-settled", "circle"),
        (True, "datum.flagged", "alert-point", "diamond"),
    )
    return [
        {"transform": [{"filter": test}], "mark": _mark("point", style, shape=shape), "encoding": encoding}
        for flagged, test, style, shape in forms
        if any(bool(row["flagged"]) is flagged for row in rows)
    ]


def forest(rows: Rows, title: str, *, reference: float = 1.0, log: bool = True) -> Spec:
    """One line a group: value and interval; flagged ones are diamonds. The rule stands at `reference`.

    `rows`: name, value, lower, upper, flagged, order, url, text, interval, counts, finding.
    """
    scale = {"type": "log", "nice": False, "clamp": True} if log else {"zero": False, "nice": True}
    x = {
        "field": "value",
        "type": "quantitative",
        "title": say(title),
        "scale": scale,
        "axis": {"tickCount": 6},
    }
    y = _by_name()
    tips = _tooltip(_GROUP_TIPS)
    href = {"field": "url", "type": "nominal"}
    layers: list[Spec] = [
        {"mark": _mark("rule", "reference"), "encoding": {"x": {"datum": reference, "type": "quantitative"}}},
        {
            "mark": _mark("rule", "own-range"),
            "encoding": {"x": {**x, "field": "lower"}, "x2": {"field": "upper"}, "y": y},
        },
        *_flagged_apart(rows, {"x": x, "y": y, "tooltip": tips, "href": href}),
    ]
    return _spec(layers, rows, height=22 * max(2, len(rows)))


def funnel(rows: Rows, limits: Rows) -> Spec:
    """Observed over expected against the expected number, within limits that chance leaves 5 and 0.2 in 100
    outside of. `rows` as in `forest`, with expected; `limits`: expected, level, lower, upper."""
    x = {
        "field": "expected",
        "type": "quantitative",
        "title": say("expected events (more to the right is more certain)"),
        "scale": {"zero": True, "nice": False},
    }
    top = max([2.0, *(1.25 * row["value"] for row in rows)])
    scale = {"domain": [0, round(top, 2)], "nice": False}
    y = _y("value", "observed / expected", scale=scale, axis={"tickCount": 6, "domain": False})
    shown = {"data": {"values": list(limits)}}
    layers: list[Spec] = [
        {"mark": _mark("rule", "reference"), "encoding": {"y": {"datum": 1, "type": "quantitative"}}},
    ]
    for level, style in ((0.95, "limit-line"), (0.998, "outer-line")):
        layers += [
            {
                **shown,
                "transform": [{"filter": f"datum.level === {level}"}],
                "mark": _mark("line", style, clip=True),
                "encoding": {"x": x, "y": {**y, "field": side}},
            }
            for side in ("lower", "upper")
        ]
    href = {"field": "url", "type": "nominal"}
    tips = _tooltip(_GROUP_TIPS)
    layers += _flagged_apart(rows, {"x": x, "y": y, "tooltip": tips, "href": href})
    return _spec(layers, rows, height=320)


def surveillance(rows: Rows) -> Spec:
    """The sequential statistic of each watched lot or firmware as a share of its critical value: at 1 it
    signals.

    `rows`: on, name, share, text, interval, counts, last.
    """
    y = _y(
        "share", "share of the critical value", scale={"domainMin": 0}, axis={"tickCount": 5, "domain": False}
    )
    detail = {"field": "name", "type": "nominal"}
    tips = _tooltip({"name": "Watched", "day": "Look", "text": "Statistic", "counts": "Events"})
    layers: list[Spec] = [
        {"mark": _mark("rule", "second-line"), "encoding": {"y": {"datum": 1, "type": "quantitative"}}},
        {
            "mark": _mark("line", "own-line", interpolate="step-after"),
            "encoding": {"x": _days(), "y": y, "detail": detail},
        },
        {"mark": _mark("point", "own-settled"), "encoding": {"x": _days(), "y": y, "tooltip": tips}},
        {
            "transform": [{"filter": "datum.last"}],
            "mark": _mark("text", "label", align="right", dx=-6, dy=-9),
            "encoding": {"x": _days(), "y": y, "text": {"field": "name", "type": "nominal"}},
        },
    ]
    return _spec(layers, rows)


def curves(rows: Rows, y_title: str) -> Spec:
    """Cumulative incidence in steps: solid the clinic (or the network alone), dashed the network beside it.

    `rows`: days, value, second, note.
    """
    x = {
        "field": "days",
        "type": "quantitative",
        "title": say("days since the session before"),
        "axis": {"values": [0, 30, 60, 90, 120, 150, 183, 240, 300, 364], "grid": False},
    }
    y = _y("value", y_title, scale={"zero": True}, axis={"format": "%", "tickCount": 5, "domain": False})
    tips = _tooltip({"days": "Days", "text": "Back", "note": "Network"})
    window = {"data": {"values": [{"from": 90, "to": 183}]}}
    layers: list[Spec] = [
        {
            **window,
            "mark": _mark("rect", "own-interval"),
            "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "to"}},
        },
        {"mark": _mark("line", "own-line", interpolate="step-after"), "encoding": {"x": x, "y": y}},
        {"mark": _mark("point", "hover", size=120), "encoding": {"x": x, "y": y, "tooltip": tips}},
    ]
    if any(row["second"] is not None for row in rows):
        second = {"x": x, "y": {**y, "field": "second"}}
        layers.append({"mark": _mark("line", "network-line", interpolate="step-after"), "encoding": second})
    return _spec(layers, rows)


def bars(rows: Rows, y_title: str, *, time: bool) -> Spec:
    """Bars, one a row: `on` (a time) or `name`, `value`; on top, in the other form, `second`."""
    x: Spec = (
        {
            "field": "on",
            "type": "temporal",
            "title": None,
            "timeUnit": "utcyearmonthdatehours",
            "band": 0.8,
            "axis": {"format": say("%-d %b %H:%M"), "labelOverlap": True, "grid": False},
        }
        if time
        else {"field": "name", "type": "nominal", "title": None, "sort": None, "axis": {"labelAngle": 0}}
    )
    x.pop("band", None)
    y = _y("value", y_title, axis={"tickCount": 5, "domain": False})
    tips = _tooltip({"name": "When" if time else "What", "text": y_title, "note": "Also"})
    layers: list[Spec] = [
        {"mark": _mark("bar", "own-bar"), "encoding": {"x": x, "y": y, "tooltip": tips}},
    ]
    if any(row["second"] for row in rows):
        layers.append(
            {
                "transform": [{"filter": "datum.second > 0"}],
                "mark": _mark("point", "event-mark", shape="triangle-down"),
                "encoding": {"x": x, "y": {"value": 6}, "tooltip": tips},
            }
        )
    return _spec(layers, rows, height=180)


def telemetry(rows: Rows, set_to: float | None, y_title: str) -> Spec:
    """What was measured through a session, mean and spread of each slice; dashed what was set.

    `rows`: seconds, value, lower, upper.
    """
    x = {
        "field": "minutes",
        "type": "quantitative",
        "title": say("minutes since the first sample"),
        "axis": {"grid": False},
    }
    y = _y("value", y_title, scale={"zero": False}, axis={"tickCount": 5, "domain": False})
    layers: list[Spec] = [
        {
            "mark": _mark("area", "own-interval"),
            "encoding": {"x": x, "y": {**y, "field": "lower"}, "y2": {"field": "upper"}},
        },
        {"mark": _mark("line", "own-line", strokeWidth=1.25), "encoding": {"x": x, "y": y}},
    ]
    if set_to is not None:
        layers.append(
            {
                "mark": _mark("rule", "network-line"),
                "encoding": {"y": {"datum": set_to, "type": "quantitative"}},
            }
        )
    return _spec(layers, rows, height=190)


def benefit_and_harm(rows: Rows) -> Spec:
    """Improvement against adverse events, one protocol a cross of two intervals: up and to the left is
    better.

    `rows`: name, value, lower, upper (improvement), harm, harm_lower, harm_upper, text, interval, counts.
    """
    x = {
        "field": "harm",
        "type": "quantitative",
        "title": say("adverse events per 100 sessions"),
        "scale": {"zero": True},
    }
    y = _y(
        "value", "improvement in GAIS grades", scale={"zero": False}, axis={"tickCount": 5, "domain": False}
    )
    tips = _tooltip(
        {"name": "Protocol", "text": "Improvement", "interval": "Adverse events", "counts": "Counts"}
    )
    layers: list[Spec] = [
        {
            "mark": _mark("rule", "own-range"),
            "encoding": {"x": x, "y": {**y, "field": "lower"}, "y2": {"field": "upper"}},
        },
        {
            "mark": _mark("rule", "own-range"),
            "encoding": {"x": {**x, "field": "harm_lower"}, "x2": {"field": "harm_upper"}, "y": y},
        },
        {"mark": _mark("point", "own-settled", size=80), "encoding": {"x": x, "y": y, "tooltip": tips}},
        {
            "mark": _mark("text", "label", align="left", dx=8, dy=-8),
            "encoding": {"x": x, "y": y, "text": {"field": "name", "type": "nominal"}},
        },
    ]
    return _spec(layers, rows, height=280)


def balance(rows: Rows) -> Spec:
    """How far groups differ in each covariate: open before weighting, filled after, and the line at 0.1.

    `rows`: name, order, before, after, before_text, after_text.
    """
    x: Spec = {
        "type": "quantitative",
        "title": say("standardised difference, either side"),
        "scale": {"zero": True},
        "axis": {"tickCount": 6},
    }
    y = _by_name()
    tips = _tooltip({"name": "Covariate", "before_text": "Before", "after_text": "After"})
    layers: list[Spec] = [
        {"mark": _mark("rule", "limit-line"), "encoding": {"x": {"datum": 0.1, "type": "quantitative"}}},
        *(
            {
                "transform": [{"filter": f"isValid(datum.{field})"}],
                "mark": _mark("point", style),
                "encoding": {"x": x | {"field": field}, "y": y, "tooltip": tips},
            }
            for field, style in (("before", "own-provisional"), ("after", "own-settled"))
            if any(row[field] is not None for row in rows)
        ),
    ]
    return _spec(layers, rows, height=22 * max(2, len(rows)))


def sparkline(values: Sequence[float | None], *, width: float = 96, height: float = 24) -> str:
    """An SVG path through the values, with a gap where one is null; empty when there are fewer than two."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    step = width / (len(values) - 1)
    parts, pen = [], "M"
    for place, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        y = height / 2 if high == low else height - 2 - (value - low) / (high - low) * (height - 4)
        parts.append(f"{pen}{place * step:.1f} {y:.1f}")
        pen = "L"
    return "".join(parts)
