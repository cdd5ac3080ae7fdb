"""The safety part of an edition: signals within its scope, and the funnel of adverse events by clinic."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from dashboards.report.model import Clock, FunnelPoint, SignalRow
from dashboards.report.reading import Facts
from warehouse.metrics.cards import SAFETY_CARDS
from warehouse.metrics.risk_indicators import funnel_limits
from warehouse.metrics.signals import due_dates

_ORDER = {"new": 0, "ongoing": 1, "closed": 2}
_OWN = ("operator", "device")
"""Scopes whose ids begin with their clinic's: `<clinic>/<id>`."""


def within(clinic: str | None, scope: str, scope_id: str) -> bool:
    """Whether the reader of an edition may know of a signal about that scope: a clinic's reader learns of its
    own clinic, operators and devices only, the network's of all."""
    if clinic is None:
        return True
    return (scope == "clinic" and scope_id == clinic) or (scope in _OWN and scope_id.startswith(f"{clinic}/"))


def signals_within(facts: Facts, clinic: str | None) -> tuple[SignalRow, ...]:
    """New ones first, then ongoing and closed, each by time."""
    mine = [row for row in facts.signals if within(clinic, row["scope"], row["scope_id"])]
    return tuple(_signal(row) for row in sorted(mine, key=lambda row: _ORDER[row["state"]]))


def _signal(row: Mapping[str, Any]) -> SignalRow:
    since: dt.datetime = row["since_at"].astimezone(dt.UTC)
    told = ("signal_id", "state", "status", "scope", "scope_id", "flag", "value", "q", "owner")
    return SignalRow(
        **{name: row[name] for name in told},
        rule=SAFETY_CARDS[row["metric_id"]].title if row["metric_id"] in SAFETY_CARDS else row["metric_id"],
        since=since,
        clocks=clocks(since) if row["state"] != "closed" else (),
    )


def clocks(aware_at: dt.datetime) -> tuple[Clock, ...]:
    """Every regulator's last day, counted from the day we became aware; earliest first."""
    found = due_dates(aware_at.date()).to_dicts()
    return tuple(Clock(row["who"], row["due_on"], row["source"]) for row in found)


def funnel(facts: Facts, names: Mapping[str, str]) -> tuple[FunnelPoint, ...]:
    """The clinics of the edition, by expected number; suppressed where their incidence is."""
    rows = [row for row in facts.ratios if row["clinic_id"] in names]
    expected = [row["expected"] or 0.0 for row in rows]
    limits = [
        funnel_limits(expected, target=1.0, kind="ratio", level=level).to_dicts() for level in (0.95, 0.998)
    ]
    points = [
        _point(row, names[row["clinic_id"]], facts, inner, outer)
        for row, inner, outer in zip(rows, *limits, strict=True)
    ]
    return tuple(sorted(points, key=lambda point: (point.expected or 0.0, point.clinic_id)))


def _point(
    row: Mapping[str, Any], name: str, facts: Facts, inner: Mapping[str, Any], outer: Mapping[str, Any]
) -> FunnelPoint:
    incidence = facts.figures.get(("adverse_event_incidence", "clinic", row["clinic_id"], "year", None))
    if incidence is not None and incidence.suppressed:
        nothing = (None,) * 8
        return FunnelPoint(row["clinic_id"], name, *nothing, suppressed=True)
    return FunnelPoint(
        row["clinic_id"], name, row["observed"], row["expected"], row["ratio"], row["lower"], row["upper"],
        _pair(inner), _pair(outer), row["flag"],
    )  # fmt: skip


def _pair(limits: Mapping[str, Any]) -> tuple[float, float] | None:
    return None if limits["lower"] is None else (limits["lower"], limits["upper"])
