"""Metric results as cells, tables, trends and groups: what several pages share."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashboards import charts, words
from dashboards.language import plural, say
from dashboards.page import FIGURE, Cell, Chart, Column, Key, Line, Panel, Table, text
from dashboards.queries import Row
from dashboards.state import SKIN_TYPES
from dashboards.views.context import NETWORK, Context
from dashboards.words import SETTLING_DAYS

Results = Mapping[tuple[str, str, str], Row]
"""The year's results by metric, scope and scope_id."""

_HAPPENED = {
    "firmware": "firmware {what}",
    "service": "service, {what}",
    "protocol": "protocol {what}",
    "recall": "recall of lot {what}",
}
_FINDINGS = {
    "high": "more than expected",
    "low": "fewer than expected",
    "under": "reports too few",
    "over": "reports too many",
}


def index(rows: Iterable[Row]) -> Results:
    return {(row["metric_id"], row["scope"], row["scope_id"]): row for row in rows if row["period"] == "year"}


def figure(row: Row | None, href: str = "") -> Cell:
    """A figure as a table shows it: value, interval, counts; its file has the numbers."""
    estimated = row is not None and row["value"] is not None
    counts = words.ratio_text(row) if estimated else words.counts_text(row)
    raw = dict.fromkeys(FIGURE) if row is None else {part: row[part or "value"] for part in FIGURE}
    tone = "" if estimated else "missing"
    return Cell(words.value_text(row), words.interval_text(row, bare=True), counts, href, tone, raw)


def figure_column(metric_id: str, title: str = "") -> Column:
    return Column(metric_id, title or words.title(metric_id), numeric=True, parts=FIGURE)


def freshness_of(rows: Sequence[Row], now: dt.datetime) -> dict[str, Any]:
    """`data_to`, `computed_at` and `stale` of a panel that rests on those rows."""
    known = [row for row in rows if row.get("computed_at") is not None]
    if not known:
        return {}
    newest = max(row["computed_at"] for row in known)
    stale = (
        say("not computed anew for {span}", span=words.span(now - newest))
        if now - newest > dt.timedelta(hours=26)
        else ""
    )
    as_of = max(row["as_of"] for row in known)
    return {"data_to": words.moment(as_of), "computed_at": words.moment(newest), "stale": stale}


# ── trends ──────────────────────────────────────────────────────────────────────────────────────────────


def weeks_of(rows: Iterable[Row], metric_id: str, scope: str, scope_id: str, weeks: int) -> list[Row]:
    """That scope's newest weeks, oldest first."""
    own = [
        row
        for row in rows
        if row["period"] == "week"
        and (row["metric_id"], row["scope"], row["scope_id"]) == (metric_id, scope, scope_id)
    ]
    return sorted(own, key=lambda row: row["interval_start"])[-weeks:]


def trend_panel(
    context: Context,
    rows: Sequence[Row],
    metric_id: str,
    *,
    title: str,
    y_title: str,
    events: Sequence[Row] = (),
    limits: Mapping[dt.datetime, Row] | None = None,
) -> Panel:
    """One metric by week for what the page is about, the network dashed beside a clinic."""
    own = weeks_of(rows, metric_id, context.scope_name, context.chosen, int(context.state.weeks))
    data = week_data(rows, own, beside=context.clinic is not None, limits=limits or {})
    beside = any(datum["network"] is not None for datum in data)
    marks = [
        {"on": f"{row['on_day']:%Y-%m-%d}", "day": words.date(row["on_day"]), "note": _happened(row)}
        for row in events
    ]
    legend = [
        Key("own", say("{name}, with 95% interval", name=context.title)),
        Key("own open", "Outcomes still arriving"),
    ]
    legend += [Key("net", "Network")] if beside else []
    legend += [Key("limits", "Limits around the average: 95 of 100 weeks")] if limits else []
    legend += [Key("event", "Protocol, firmware, service or recall")] if marks else []
    spec = charts.trend(data, y_title, network=beside, limits=bool(limits), events=marks)
    columns = [
        Column("week", "Week"),
        Column("value", "Value", numeric=True, parts=FIGURE),
        *([Column("network", "Network", numeric=True)] if beside else []),
        Column("outcomes", "Outcomes"),
    ]
    lines = [_week_line(row, datum, beside, metric_id) for row, datum in zip(own, data, strict=True)]
    table = Table(
        "trend",
        f"{say(title)}, {context.title}",
        tuple(columns),
        tuple(reversed(lines)),
        "No week has been computed yet. Weeks appear here by themselves.",
        shown=60,
    )
    chart = Chart(spec, describe_trend(data, title, context.title), tuple(legend)) if data else None
    return Panel("trend", title, table, chart=chart, **freshness_of(own, context.now))


def week_data(
    rows: Sequence[Row], own: Sequence[Row], *, beside: bool, limits: Mapping[dt.datetime, Row]
) -> list[dict[str, Any]]:
    """The weeks in numbers for the chart and in words for its table; `beside`: with the network's value."""
    metrics = {row["metric_id"] for row in own}
    network = {
        row["interval_start"]: row["value"]
        for row in rows
        if beside and row["period"] == "week" and row["scope"] == NETWORK and row["metric_id"] in metrics
    }
    return [_week(row, network.get(row["interval_start"]), limits) for row in own]


def _happened(row: Row) -> str:
    said = _HAPPENED[row["kind"]]
    what = words.plain(row["what"]) if row["kind"] == "service" else row["what"]
    return f"{say(said, what=what)}: {row['subjects']}"


def _week(row: Row, network: float | None, limits: Mapping[dt.datetime, Row]) -> dict[str, Any]:
    start = row["interval_start"].astimezone(dt.UTC)
    year, week, _ = start.isocalendar()
    provisional = row["interval_end"] + dt.timedelta(days=SETTLING_DAYS) > row["as_of"]
    limit = limits.get(row["interval_start"], {})
    return {
        "week": f"{year}-W{week:02}",
        "on": f"{start:%Y-%m-%d}",
        "value": row["value"],
        "lower": row["lower"],
        "upper": row["upper"],
        "network": network,
        "low_limit": limit.get("lower"),
        "high_limit": limit.get("upper"),
        "provisional": provisional,
        "text": words.value_text(row),
        "interval": words.interval_text(row, bare=True) or say("none"),
        "counts": words.ratio_text(row) or words.counts_text(row),
        "note": say("outcomes still arriving" if provisional else "settled"),
    }


def _week_line(row: Row, datum: Mapping[str, Any], beside: bool, metric_id: str) -> Line:
    network = datum["network"]
    said = "–" if network is None else words.number(metric_id, network)
    cells = [text(datum["week"]), figure(row)]
    cells += [Cell(said, raw={"": network}, tone="missing" if network is None else "")] if beside else []
    return Line(str(datum["week"]), (*cells, text("still arriving" if datum["provisional"] else "settled")))


def describe_trend(data: Sequence[Mapping[str, Any]], title: str, name: str) -> str:
    """The chart in a sentence or two, for those who do not see it."""
    what = say("Line chart: {title}, {name}", title=say(title), name=name)
    known = [each for each in data if each["value"] is not None]
    if not known:
        return f"{what}. {say('No week has a value.')}"
    newest, highest = known[-1], max(known, key=lambda each: each["value"])
    return what + say(
        ", {first} to {last}. Newest {newest} in {newest_week} (interval {interval}); highest {highest} in "
        "{highest_week}. The table below the chart has every week.",
        first=data[0]["week"],
        last=data[-1]["week"],
        newest=newest["text"],
        newest_week=newest["week"],
        interval=newest["interval"],
        highest=highest["text"],
        highest_week=highest["week"],
    )


def spark(rows: Sequence[Row], metric_id: str, scope: str, scope_id: str) -> tuple[str, str]:
    """The newest twelve weeks as an SVG path, and the same in words."""
    weeks = weeks_of(rows, metric_id, scope, scope_id, 12)
    path = charts.sparkline([row["value"] for row in weeks])
    known = [row for row in weeks if row["value"] is not None]
    if not path:
        return "", ""
    first, last = (words.value_text(known[place]) for place in (0, -1))
    return path, say("Last 12 weeks: from {first} to {last}", first=first, last=last)


# ── groups ──────────────────────────────────────────────────────────────────────────────────────────────


def finding(row: Row) -> str:
    """What the rule says of a group: never a judgement, only what crossed what."""
    if row["flag"]:
        return _FINDINGS.get(str(row["flag"]), str(row["flag"]))
    return "not estimable" if row["value"] is None else "within what chance explains"


def group_name(context: Context, row: Row) -> str:
    """A group in words: an operator or device without the clinic's id where one clinic is chosen."""
    if row["scope"] == "clinic":
        return context.name_of(row["scope_id"])
    if row["scope"] == "skin_type":
        return say("Skin type {type}", type=SKIN_TYPES.get(row["scope_id"], row["scope_id"]))
    if row["clinic_id"] is not None:
        return str(row["scope_id"]).partition("/")[2]
    return str(row["scope_id"])


def group_url(context: Context, row: Row) -> str:
    """Where a click on a group leads: one step down the drill path."""
    its = row["scope_id"]
    steps: dict[str, tuple[str, dict[str, str | None]]] = {
        "clinic": ("/clinic", {"clinic": its}),
        "operator": ("/trace", {"operator": its, "device": None}),
        "device": ("/trace", {"device": its}),
        "cartridge_lot": ("/trace", {"lot": its}),
        "protocol": ("/safety", {"protocol": its}),
        "skin_type": ("/safety", {"skin": its}),
    }
    if row["scope"] not in steps:
        return ""
    path, changes = steps[row["scope"]]
    return context.state.to(path, **changes)


def group_data(context: Context, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Groups as a forest or funnel draws them, the highest first; those without a value are left to the
    table."""
    known = [row for row in rows if row["value"] is not None]
    known.sort(key=lambda row: -row["value"])
    return [
        {
            "name": group_name(context, row),
            "value": row["value"],
            "lower": row["lower"],
            "upper": row["upper"],
            "expected": row["expected"],
            "flagged": row["flag"] is not None,
            "order": place,
            "url": group_url(context, row),
            "text": words.value_text(row),
            "interval": words.interval_text(row, bare=True) or say("none"),
            "counts": words.ratio_text(row),
            "finding": say(finding(row)),
            "hint": say("opens what is behind it"),
        }
        for place, row in enumerate(known)
    ]


def describe_groups(data: Sequence[Mapping[str, Any]], what: str) -> str:
    """A forest or funnel in a few sentences, for those who do not see it."""
    if not data:
        return f"{say(what)}: {say('no group has a value.')}"
    flagged = [each["name"] for each in data if each["flagged"]]
    said = say("Flagged: {names}.", names=", ".join(flagged)) if flagged else say("None is flagged.")
    highest = say(
        "Highest {name} with {value} (interval {interval}).",
        name=data[0]["name"],
        value=data[0]["text"],
        interval=data[0]["interval"],
    )
    groups = plural("{n} group", "{n} groups", len(data))
    return f"{say(what)}, {groups}. {highest} {said} {say('The table has every group.')}"
