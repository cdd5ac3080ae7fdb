"""The appendix of a report: every figure as one row, raw numbers beside the printed words."""

import csv
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

from dashboards.report.model import Figure, ReportData
from dashboards.report.words import counts_text, interval_text, value_text

COLUMNS = (
    "report_id", "section", "metric_id", "metric_version", "scope", "scope_id", "period", "interval_start",
    "interval_end", "numerator", "denominator", "value", "lower", "upper", "level", "unit", "method",
    "reason", "suppressed", "provisional", "printed_value", "printed_interval", "printed_counts",
)  # fmt: skip


def render_csv(data: ReportData) -> bytes:
    """UTF-8 CSV with a header line; empty cells where a number is suppressed or not estimable."""
    out = io.StringIO(newline="")
    table = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    table.writeheader()
    for section, figure, provisional in _figures(data):
        row = {name: value for name, value in dataclasses.asdict(figure).items() if name in COLUMNS} | {
            "report_id": data.report_id,
            "section": section,
            "interval_start": f"{figure.interval_start:%Y-%m-%dT%H:%M:%SZ}",
            "interval_end": f"{figure.interval_end:%Y-%m-%dT%H:%M:%SZ}",
            "suppressed": str(figure.suppressed).lower(),
            "provisional": str(provisional).lower(),
            "printed_value": value_text(figure),
            "printed_interval": interval_text(figure),
            "printed_counts": counts_text(figure),
        }
        table.writerow(row)
    for section, subject, printed in _others(data):
        table.writerow(printed | {"report_id": data.report_id, "section": section, "scope_id": subject})
    return out.getvalue().encode()


def _figures(data: ReportData) -> Iterator[tuple[str, Figure, bool]]:
    for tile in data.tiles:
        yield "headline", tile.figure, tile.provisional
        if tile.last_week is not None:
            yield "last week", tile.last_week, tile.provisional
    for point in data.trend:
        if point.figure is not None:
            yield "trend", point.figure, point.provisional
    for clinic in data.clinics:
        yield from (
            ("clinic", each, False)
            for each in (
                clinic.incidence,
                clinic.incidence_week,
                clinic.maintenance_on_time,
                clinic.device_in_calibration,
                clinic.follow_up_coverage,
            )
            if each is not None
        )
    for protocol in data.protocols:
        yield from (
            ("protocol", each, False)
            for each in (protocol.incidence, protocol.improvement)
            if each is not None
        )


def _others(data: ReportData) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What is no metric of the tiles: section, what it is about, and its cells."""
    cells: dict[str, Any]
    for point in data.funnel:
        cells = {"numerator": point.observed, "denominator": point.expected, "value": point.ratio}
        limits = {"lower": point.lower, "upper": point.upper, "reason": point.flag}
        what = {"metric_id": "adverse_event_ratio", "scope": "clinic", "suppressed": _lower(point.suppressed)}
        yield "funnel", point.clinic_id, cells | limits | what
    for row in data.due or ():
        for state in ("due", "at_risk", "overdue"):
            count = getattr(row, state)
            cells = {"metric_id": f"patients_{state}", "value": count, "unit": "patients"}
            yield "patients due", row.clinic_id, cells | {"suppressed": _lower(count is None)}
    for device in data.devices:
        cells = {"metric_id": "device_overdue", "scope": "device", "value": device.days_overdue}
        last = device.last_calibrated_on
        yield (
            "device",
            f"{device.clinic_id}/{device.device_id}",
            cells | {"unit": "days", "interval_start": last.isoformat() if last else ""},
        )
    for signal in data.signals:
        cells = {"metric_id": signal.rule, "scope": signal.scope, "value": signal.value}
        since = {"interval_start": f"{signal.since:%Y-%m-%dT%H:%M:%SZ}"}
        told = {"reason": f"{signal.state}, {signal.status}, owner {signal.owner or 'nobody yet'}"}
        yield "signal", f"{signal.scope_id} {signal.signal_id}", cells | since | told
    for check in data.checks:
        cells = {"numerator": check.subjects, "denominator": check.events, "unit": "subjects, events"}
        yield "check", check.check_id, cells | {"suppressed": _lower(check.subjects is None)}


def _lower(truth: bool) -> str:
    return str(truth).lower()
