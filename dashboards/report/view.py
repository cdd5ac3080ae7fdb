"""The words of a report, in reading order: what HTML, PDF and CSV all print."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from dashboards.report import parts
from dashboards.report.model import Figure, ReportData, Tile, TrendWeek
from dashboards.report.parts import cell, link
from dashboards.report.words import (
    GLOSSARY,
    METRICS,
    NO_RESULT,
    SMALLEST_SHOWN,
    count,
    counts_text,
    day,
    in_full,
    interval_text,
    moment,
    ratio_text,
    value_text,
)


def words(data: ReportData) -> dict[str, Any]:
    """Every text of the report, JSON-ready: strings, lists and dictionaries only. `href`: where it leads in
    the dashboard, empty without one; `alt`: what a picture shows."""
    week = data.iso_week
    return {
        "title": f"Weekly safety and quality report, {data.week}",
        "heading": "Weekly safety and quality report",
        "paper": data.paper,
        "scope": data.scope_name,
        "edition": "Network edition" if data.scope == "network" else f"Clinic edition ({data.scope_id})",
        "week": data.week,
        "period": f"{day(week.start)} to {day(week.last_day)} (ISO week, Monday to Sunday, UTC)",
        "facts": _facts(data),
        "revised": _revised(data),
        "changes": list(data.changes),
        "rule": data.rule,
        "notes": list(data.notes),
        "signals": parts.signals(data),
        "tiles": [_tile(data, tile) for tile in data.tiles],
        "trend": {
            "heading": "Adverse events per 100 sessions, last 12 weeks",
            "href": link(data, "panel-trend", clinic=data.scope_id),
            "alt": chart_alt(data.trend),
            "caption": (
                "Points are weekly values, bars their 95% intervals; hollow points are provisional. "
                "A gap is a week with too few sessions or no result."
            ),
            "columns": ["Week", "Per 100 sessions", "95% interval", "Events of sessions"],
            "rows": [_trend_row(point) for point in data.trend],
        },
        "funnel": parts.funnel(data),
        "tables": [
            table
            for table in (_clinics(data), _protocols(data), parts.due(data), parts.devices(data))
            if table is not None
        ],
        "quality": _quality(data),
        "glossary": [[term, text] for term, text in GLOSSARY],
        "suppression": (
            f"Figures about fewer than {SMALLEST_SHOWN} patients or sessions are suppressed; where that "
            "leaves one gap in a column, the next smallest is suppressed too. Patients appear in no edition."
        ),
    }


def _revised(data: ReportData) -> dict[str, Any] | None:
    if not data.reason:
        return None
    return {
        "heading": f"Revision {data.revision}: what is other than before",
        "reason": f"Reason: {data.reason}.",
        "differences": list(data.differences) or ["No figure of the report is other than before."],
    }


def fingerprint(data: ReportData) -> str:
    """SHA-256 of what a reader learns: equal where two issues differ only in their time and number."""
    plain = dataclasses.replace(data, dashboard_url="", reason="", differences=())
    learnt = {name: text for name, text in words(plain).items() if name != "facts"}
    return hashlib.sha256(json.dumps(learnt, sort_keys=True).encode()).hexdigest()


def chart_alt(trend: Sequence[TrendWeek]) -> str:
    """What the chart shows, for those who cannot see it."""
    shown = [(point, point.figure) for point in trend if point.figure is not None and point.figure.estimated]
    span = f"{trend[0].week} to {trend[-1].week}"
    if not shown:
        return f"Chart of weekly adverse-event incidence, {span}: no week has a value to show."
    low = min(shown, key=lambda pair: pair[1].value or 0.0)
    high = max(shown, key=lambda pair: pair[1].value or 0.0)
    return (
        f"Chart of weekly adverse events per 100 sessions with 95% intervals, {span}. {len(shown)} of "
        f"{len(trend)} weeks have a value; lowest {value_text(low[1])} in {low[0].week}, highest "
        f"{value_text(high[1])} in {high[0].week}. The table that follows has every number."
    )


def _facts(data: ReportData) -> list[list[str]]:
    return [
        ["Scope", f"{data.scope_name} ({data.scope_id})"],
        ["Period", f"{data.week}, {data.iso_week.start:%Y-%m-%d} to {data.iso_week.last_day:%Y-%m-%d}, UTC"],
        ["Data landed to", moment(data.data_to)],
        ["Metrics as of", moment(data.as_of)],
        ["Issued", moment(data.issued_at)],
        ["Snapshot", str(data.snapshot_id)],
        ["Metric versions", ", ".join(f"{metric} v{version}" for metric, version in data.metric_versions)],
        ["Report", data.report_id],
        ["Revision", str(data.revision)],
    ]


def _span(figure: Figure) -> str:
    if figure.period == "week":
        return "this week"
    return f"365 days to {day(figure.interval_end)}"


def _tile(data: ReportData, tile: Tile) -> dict[str, Any]:
    figure = tile.figure
    word = METRICS[figure.metric_id]
    before = "Last week" if figure.period == "week" else "A week earlier"
    return {
        "title": word.title,
        "href": link(
            data,
            "panel-trend" if figure.period == "week" else f"tile-{figure.metric_id}",
            clinic=data.scope_id,
        ),
        "alt": spark_alt(tile),
        "span": _span(figure) + (", provisional" if tile.provisional else ""),
        "value": value_text(figure),
        "estimated": figure.estimated,
        "interval": interval_text(figure),
        "counts": counts_text(figure),
        "last_week": f"{before}: {in_full(tile.last_week)}",
        "explanation": tile.explanation,
    }


def _trend_row(point: TrendWeek) -> dict[str, Any]:
    return {
        "cells": [
            point.week + (" (provisional)" if point.provisional else ""),
            value_text(point.figure),
            interval_text(point.figure, bare=True),
            ratio_text(point.figure),
        ]
    }


def spark_alt(tile: Tile) -> str:
    """What a sparkline shows."""
    shown = [figure for figure in tile.history if figure is not None and figure.estimated]
    title = METRICS[tile.figure.metric_id].title
    if len(shown) < 2:
        only = f"only one week has a value, {value_text(shown[0])}" if shown else "no week has a value"
        return f"{title}: {only}; nothing is drawn yet."
    return (
        f"{title} over {len(tile.history)} weeks: "
        + ", ".join(value_text(figure) for figure in tile.history)
        + "."
    )


def _clinics(data: ReportData) -> dict[str, Any] | None:
    if not data.clinics:
        return None
    return {
        "heading": "Clinics side by side",
        "caption": (
            "365 days unless the column says otherwise; below each value its 95% interval and counts. "
            "Rates are not adjusted for case mix: a high rate is a reason to look, not a ranking."
        ),
        "columns": [
            "Clinic",
            "Adverse events per 100 sessions",
            f"The same in {data.week}",
            "Maintenance on time",
            "Devices in calibration",
            "Follow-up coverage",
        ],
        "rows": [
            {
                "name": row.display_name,
                "href": link(data, clinic=row.clinic_id),
                "cells": [
                    cell(row.incidence),
                    cell(row.incidence_week),
                    cell(row.maintenance_on_time),
                    cell(row.device_in_calibration),
                    cell(row.follow_up_coverage),
                ],
            }
            for row in data.clinics
        ],
    }


def _protocols(data: ReportData) -> dict[str, Any] | None:
    if not data.protocols:
        return None
    return {
        "heading": "Protocols",
        "caption": (
            "365 days. Protocols are given to different patients, so differences between them may be "
            "differences between the patients."
        ),
        "columns": [
            "Protocol",
            "Indication",
            "Adverse events per 100 sessions",
            "Improvement in GAIS grades",
        ],
        "rows": [
            {
                "name": row.protocol_id,
                "href": link(data, "panel-benefit", path="/protocols", protocol=row.protocol_id),
                "cells": [[row.indication.replace("-", " "), ""], cell(row.incidence), cell(row.improvement)],
            }
            for row in data.protocols
        ],
    }


def _quality(data: ReportData) -> dict[str, Any]:
    books = data.landing
    coverage = [
        tile.figure
        for tile in data.tiles
        if tile.figure.metric_id == "follow_up_coverage" and tile.figure.period == "year"
    ]
    known = in_full(coverage[0]) if coverage else NO_RESULT
    return {
        "heading": "Data quality",
        "coverage": (
            f"Follow-up coverage: {known} of sessions at least 14 days old. What happened after the other "
            "sessions is unknown."
        ),
        "books": (
            f"Events of the whole network up to the cut-off: {count(books.consumed)} consumed = "
            f"{count(books.landed)} landed + {count(books.duplicate)} duplicate + "
            f"{count(books.quarantined)} quarantined."
        ),
        "checks": [parts.check(row) for row in data.checks] or ["Checks of the data found nothing."],
    }
