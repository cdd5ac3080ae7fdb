"""The appendix of a report: every figure as one row, raw numbers beside the printed words."""

import csv
import dataclasses
import io
from collections.abc import Iterator

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
