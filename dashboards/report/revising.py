"""What is other in a later revision than in the one before: told in words, never changed in silence."""

from collections.abc import Iterator

from dashboards.report.model import Figure, ReportData
from dashboards.report.words import METRICS, in_full

MOST = 12
"""Differences that are listed; more are counted."""


def differences(old: ReportData, new: ReportData) -> tuple[str, ...]:
    """Each figure that reads otherwise, old and new; the sessions of the week; signals that came or went."""
    found = [*_sessions(old, new), *_figures(old, new), *_signals(old, new)]
    more = [f"{len(found) - MOST} more figures are other than before."] if len(found) > MOST else []
    return (*found[:MOST], *more)


def _sessions(old: ReportData, new: ReportData) -> Iterator[str]:
    if None not in (old.sessions, new.sessions) and old.sessions != new.sessions:
        yield f"Sessions of the week: {old.sessions} before, {new.sessions} now."


def _figures(old: ReportData, new: ReportData) -> Iterator[str]:
    before = dict(_named(old))
    for name, figure in _named(new):
        was, now = in_full(before.get(name)), in_full(figure)
        if was != now:
            yield f"{name}: {was} before, {now} now."


def _named(data: ReportData) -> Iterator[tuple[str, Figure | None]]:
    for tile in data.tiles:
        span = "this week" if tile.figure.period == "week" else "365 days"
        yield f"{METRICS[tile.figure.metric_id].title}, {span}", tile.figure
    for point in data.trend[:-1]:
        yield f"Adverse events per 100 sessions, {point.week}", point.figure
    for row in data.clinics:
        yield f"{row.display_name}, adverse events per 100 sessions, this week", row.incidence_week


def _signals(old: ReportData, new: ReportData) -> Iterator[str]:
    before, now = ({row.signal_id: row.status for row in data.signals} for data in (old, new))
    for name in sorted(before.keys() | now.keys()):
        was, is_ = before.get(name, "not there"), now.get(name, "not there")
        if was != is_:
            yield f"Signal {name}: {was} before, {is_} now."
