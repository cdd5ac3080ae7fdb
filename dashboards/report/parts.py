"""The words of a report's tables: signals, funnel, people due, devices, checks of the data; and its links."""

import datetime as dt
import urllib.parse
from typing import Any

from dashboards.report.model import (
    CheckRow,
    Clock,
    DeviceRow,
    DueRow,
    Figure,
    FunnelPoint,
    ReportData,
    SignalRow,
)
from dashboards.report.words import CHECKS, SUPPRESSED, count, interval_text, ratio_text, value_text


def link(data: ReportData, anchor: str = "", *, path: str = "/", **state: str) -> str:
    """The same view in the dashboard, as it was at the report's snapshot; empty without a dashboard.

    `state`: what the page is about, as dashboards.state names it; `anchor`: the tile or panel.
    """
    if not data.dashboard_url:
        return ""
    query = urllib.parse.urlencode({**state, "snapshot": data.snapshot_id})
    return f"{data.dashboard_url}{path}?{query}" + (f"#{anchor}" if anchor else "")


def signal_link(base_url: str, signal_id: str) -> str:
    """The signal in the dashboard's inbox."""
    return f"{base_url}/signals?signal={urllib.parse.quote(signal_id)}" if base_url else ""


def cell(figure: Figure | None) -> list[str]:
    """Value on the first line, interval and counts on the second."""
    below = "; ".join(part for part in (interval_text(figure, bare=True), ratio_text(figure)) if part)
    return [value_text(figure), below]


# ── signals ─────────────────────────────────────────────────────────────────────────────────────────────


def signals(data: ReportData) -> dict[str, Any]:
    """New, ongoing and closed since the report before."""
    tally = {state: sum(row.state == state for row in data.signals) for state in ("new", "ongoing", "closed")}
    return {
        "heading": "Signals",
        "summary": (
            f"{tally['new']} new, {tally['ongoing']} ongoing, {tally['closed']} closed or cleared in the "
            "seven days before the cut-off."
            if data.signals
            else "No signal is open, and none was closed in the seven days before the cut-off."
        ),
        "caption": (
            "A signal asks a person to look; it is not proof of harm. The last days are for a report to a "
            "regulator, if one is due at all: that is for the owner to decide."
        ),
        "columns": ["Signal", "About", "Strength", "Since", "Owner", "If reportable, last days"],
        "rows": [_signal(data, row) for row in data.signals],
    }


def _signal(data: ReportData, row: SignalRow) -> dict[str, Any]:
    status = "" if row.status == row.state or row.state == "new" else row.status
    return {
        "name": f"{row.state.capitalize()}: {row.rule}",
        "href": link(data, path="/signals", signal=row.signal_id),
        "cells": [
            [about(row.scope, row.scope_id), row.flag],
            [strength(row.value), "" if row.q is None else f"q {row.q:.2g}"],
            [f"{row.since:%Y-%m-%d}", status],
            [row.owner or "nobody yet", row.signal_id],
            _clocks(row, data.as_of.date()),
        ],
    }


def about(scope: str, scope_id: str) -> str:
    """`cartridge lot L-42`."""
    return f"{scope.replace('_', ' ')} {scope_id}"


def strength(value: float | None) -> str:
    return "no value" if value is None else f"{value:.2f} times the expected"


def clock_text(clock: Clock) -> str:
    """`2026-11-20 EU manufacturer: …`."""
    return f"{clock.due_on:%Y-%m-%d} {clock.who}"


def _clocks(row: SignalRow, today: dt.date) -> list[str]:
    """The next last day and how many passed or come later: `2026-11-20 EU manufacturer: …`."""
    coming = [clock for clock in row.clocks if clock.due_on >= today]
    passed = len(row.clocks) - len(coming)
    if not row.clocks:
        return ["none", ""]
    if not coming:
        return ["all passed", f"the last on {row.clocks[-1].due_on:%Y-%m-%d}"]
    return [clock_text(coming[0]), f"{passed} passed, {len(coming) - 1} later"]


# ── the funnel ──────────────────────────────────────────────────────────────────────────────────────────


def funnel(data: ReportData) -> dict[str, Any] | None:
    """Each clinic's adverse events over the expected, with the limits of chance; null where none is."""
    if not data.funnel:
        return None
    return {
        "heading": "Adverse events, observed over expected",
        "href": link(data, "panel-clinics", path="/safety", clinic=data.scope_id),
        "alt": _funnel_alt(data),
        "caption": (
            "365 days, sessions at least 14 days old, adjusted for case mix; 1 is as expected. By chance "
            "alone 95 of 100 clinics of that size lie within the inner limits, 998 of 1000 within the outer."
        ),
        "columns": ["Clinic", "Observed over expected", "Events", "Inner limits", "Outer limits", "Flag"],
        "rows": [_funnel_row(data, point) for point in data.funnel],
    }


def _funnel_row(data: ReportData, point: FunnelPoint) -> dict[str, Any]:
    return {
        "name": point.display_name,
        "href": link(data, "panel-clinics", path="/safety", clinic=point.clinic_id),
        "cells": [
            _ratio(point),
            _events(point),
            [_limits(point.limits_95), ""],
            [_limits(point.limits_998), ""],
            [point.flag or "none", ""],
        ],
    }


def _ratio(point: FunnelPoint) -> list[str]:
    if point.suppressed:
        return [SUPPRESSED, ""]
    if point.ratio is None:
        return ["not estimable", ""]
    inside = point.lower is not None and point.upper is not None
    return [f"{point.ratio:.2f}", f"{point.lower:.2f} to {point.upper:.2f}" if inside else ""]


def _events(point: FunnelPoint) -> list[str]:
    if point.observed is None or point.expected is None:
        return [SUPPRESSED if point.suppressed else "no result", ""]
    return [f"{count(point.observed)} observed", f"{point.expected:.1f} expected"]


def _limits(pair: tuple[float, float] | None) -> str:
    return "none" if pair is None else f"{pair[0]:.2f} to {pair[1]:.2f}"


def _funnel_alt(data: ReportData) -> str:
    shown = [point for point in data.funnel if point.ratio is not None and point.limits_998 is not None]
    outside = [
        point.display_name
        for point in shown
        if point.ratio is not None
        and point.limits_998 is not None
        and not point.limits_998[0] <= point.ratio <= point.limits_998[1]
    ]
    return (
        f"Funnel of {len(shown)} clinics: adverse events observed over expected, by expected number, with "
        f"95% and 99.8% limits of chance. Outside the outer limits: {', '.join(outside) or 'none'}. The "
        "table that follows has every number."
    )


# ── people, devices, data ───────────────────────────────────────────────────────────────────────────────


def due(data: ReportData) -> dict[str, Any] | None:
    """Patients due, as counts."""
    if data.due is None:
        return None
    return {
        "heading": "Patients due for maintenance",
        "caption": (
            "Patients whose next session may be booked. At risk: few who waited as long came in time. The "
            "list of whom to call is in the dashboard, for those who may see it."
        ),
        "columns": ["Clinic", "Due", "At risk", "Overdue"],
        "rows": [_due_row(data, row) for row in data.due],
    }


def _due_row(data: ReportData, row: DueRow) -> dict[str, Any]:
    cells = [[SUPPRESSED if n is None else count(n), ""] for n in (row.due, row.at_risk, row.overdue)]
    href = link(data, "panel-due", path="/adherence", clinic=row.clinic_id)
    return {"name": row.display_name, "href": href, "cells": cells}


def devices(data: ReportData) -> dict[str, Any]:
    """Devices not in calibration, the longest overdue first."""
    return {
        "heading": "Devices overdue for calibration",
        "caption": (
            f"The {len(data.devices)} longest overdue; a calibration holds 183 days."
            if data.devices
            else "Every device in service was calibrated within the last 183 days."
        ),
        "columns": ["Device", "Clinic", "Last calibration", "Overdue"],
        "rows": [_device_row(data, row) for row in data.devices],
    }


def _device_row(data: ReportData, row: DeviceRow) -> dict[str, Any]:
    never = row.last_calibrated_on is None
    cells = [
        [row.display_name, ""],
        ["never" if never else f"{row.last_calibrated_on:%Y-%m-%d}", ""],
        ["since it came" if never else f"{row.days_overdue} days", ""],
    ]
    href = link(data, "panel-devices", path="/clinic", clinic=row.clinic_id)
    return {"name": row.device_id, "href": href, "cells": cells}


def check(row: CheckRow) -> str:
    """`Sessions on a device that was never registered: 1 (1 event).`"""
    what = CHECKS.get(row.check_id, row.check_id)
    what = f"{what[0].upper()}{what[1:]}"
    if row.subjects is None or row.events is None:
        return f"{what}: {SUPPRESSED}."
    return f"{what}: {count(row.subjects)} ({count(row.events)} {'event' if row.events == 1 else 'events'})."
