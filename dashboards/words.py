"""Metric results as a page says them.

The same words as `dashboards.report.words` and the cards of `warehouse.metrics`, said again because importing
those brings polars, scipy and typst, 120 MB that a web process has no use for; a test compares them.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
"""A row of mart.metric_result."""

NO_RESULT = "no result"
NOT_ESTIMABLE = "not estimable"
SETTLING_DAYS = 14
"""Days after a week in which outcomes of its sessions still arrive."""


@dataclass(frozen=True)
class Wording:
    """How one metric is named and printed.

    `counted` names what the denominator counts; `scale` turns the stored value into the printed one,
    `decimals` are printed, `suffix` follows; `mean` has a sum as its numerator, which is not printed.
    """

    title: str
    counted: str
    explanation: str
    scale: float = 1.0
    decimals: int = 1
    suffix: str = ""
    mean: bool = False


METRICS = {
    "adverse_event_incidence": Wording(
        "Adverse events per 100 sessions",
        "sessions with a known outcome",
        "How many of 100 sessions were followed by at least one adverse event.",
    ),
    "follow_up_coverage": Wording(
        "Follow-up coverage",
        "sessions at least 14 days old",
        "Share of the sessions at least 14 days old after which the clinic reached the patient.",
        scale=100,
        suffix="%",
    ),
    "maintenance_on_time": Wording(
        "Maintenance on time",
        "patients due or returned",
        "Share of patients with a completed series whose next session was maintenance, 90 to 183 days after "
        "the one before.",
        scale=100,
        suffix="%",
    ),
    "device_in_calibration": Wording(
        "Devices in calibration",
        "devices in service",
        "Share of the devices in service whose last calibration is at most 183 days old.",
        scale=100,
        suffix="%",
    ),
    "protocol_improvement": Wording(
        "Improvement in GAIS grades",
        "patients assessed",
        "Mean gain on the Global Aesthetic Improvement Scale, seen 14 to 90 days after the latest session: "
        "0 is no change, 3 very much improved, -1 worse.",
        decimals=2,
        mean=True,
    ),
}


def number(metric_id: str, value: float) -> str:
    """A value, a limit or a difference of that metric, without a plus sign."""
    word = METRICS[metric_id]
    text = f"{value * word.scale:,.{word.decimals}f}"
    return (text if float(text.replace(",", "")) != 0 else text.removeprefix("-")) + word.suffix


def count(value: float) -> str:
    return f"{value:,.0f}"


def value_text(row: Row | None) -> str:
    """The value, or in words why there is none; never blank and never 0 for the unknown."""
    if row is None:
        return NO_RESULT
    return NOT_ESTIMABLE if row["value"] is None else number(row["metric_id"], row["value"])


def interval_text(row: Row | None, *, bare: bool = False) -> str:
    """`95% interval 1.8 to 5.0`, bare `1.8 to 5.0`; empty where there is none."""
    if row is None or None in (row["value"], row["lower"], row["upper"]):
        return ""
    limits = f"{number(row['metric_id'], row['lower'])} to {number(row['metric_id'], row['upper'])}"
    return limits if bare or row["level"] is None else f"{row['level']:.0%} interval {limits}"


def ratio_text(row: Row | None) -> str:
    """`12 of 387`, or `n = 45` for a mean; empty where it is unknown."""
    if row is None or row["denominator"] is None:
        return ""
    if METRICS[row["metric_id"]].mean or row["numerator"] is None:
        return f"n = {count(row['denominator'])}"
    return f"{count(row['numerator'])} of {count(row['denominator'])}"


def counts_text(row: Row | None) -> str:
    """`12 of 387 sessions with a known outcome`, or the reason why there is no value."""
    if row is None:
        return ""
    if row["value"] is None and row["reason"]:
        return str(row["reason"])
    return f"{ratio_text(row)} {METRICS[row['metric_id']].counted}".strip()


def moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def day(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%-d %B %Y}"
