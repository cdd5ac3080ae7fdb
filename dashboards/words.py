"""Metric results as a page says them.

The same words as `dashboards.report.words` and the cards of `warehouse.metrics`, said again because importing
those brings polars, scipy and typst, 120 MB that a web process has no use for; a test compares them.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboards import language
from dashboards.language import plural, say

Row = Mapping[str, Any]
"""A row of mart.metric_result."""

NO_RESULT = "no result"
NOT_ESTIMABLE = "not estimable"
SUPPRESSED = "suppressed (n < 5)"
SETTLING_DAYS = 14
"""Days after a week in which outcomes of its sessions still arrive."""


@dataclass(frozen=True)
class Wording:
    """How one metric is named and printed.

    `counted` names what the denominator counts; `scale` turns the stored value into the printed one,
    `decimals` are printed, with a percent sign where `percent`; `mean` has a sum as its numerator, which is
    not printed; `ratio` is observed over expected.
    """

    title: str
    counted: str
    explanation: str
    scale: float = 1.0
    decimals: int = 1
    percent: bool = False
    mean: bool = False
    ratio: bool = False


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
        percent=True,
    ),
    "maintenance_on_time": Wording(
        "Maintenance on time",
        "patients due or returned",
        "Share of patients with a completed series whose next session was maintenance, 90 to 183 days after "
        "the one before.",
        scale=100,
        percent=True,
    ),
    "device_in_calibration": Wording(
        "Devices in calibration",
        "devices in service",
        "Share of the devices in service whose last calibration is at most 183 days old.",
        scale=100,
        percent=True,
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


def _share(title: str, counted: str, *, mean: bool = False) -> Wording:
    return Wording(title, counted, "", scale=100, percent=True, mean=mean)


def _ratio(title: str) -> Wording:
    return Wording(title, "", "", decimals=2, ratio=True)


def _grades(title: str) -> Wording:
    return Wording(title, "patients", "", decimals=2, mean=True)


MORE = {
    "adverse_event_ratio": _ratio("Observed over expected"),
    "adverse_event_surveillance": _ratio("Sequential surveillance"),
    "adverse_event_reporting": _ratio("Reporting of adverse events"),
    "series_completion": _share("Series completed", "series ended"),
    "series_gap_on_time": _share("Series gaps on time", "gaps decided"),
    "maintenance_return": _share("Back within 183 days", "maintenance windows followed"),
    "patient_days_covered": _share("Days covered by maintenance", "patients in maintenance", mean=True),
    "device_days_in_calibration": _share("Device days in calibration", "devices in service", mean=True),
    "sessions_while_overdue": _share("Sessions on overdue devices", "sessions on a known device"),
    "cartridge_reuse": _share("Cartridges used more than once", "cartridges used"),
    "contraindication_overridden": _share("Contraindications overridden", "sessions"),
    "follow_up_in_time": _share("Follow-up in time", "sessions decided"),
    "maintenance_demand": Wording("Maintenance sessions expected", "patients waiting", "", mean=True),
    "protocol_difference_crude": _grades("Difference to other protocols, unadjusted"),
    "protocol_difference_adjusted": _grades("Difference to other protocols, adjusted"),
    "shrunken_effect": _grades("Clinics and operators by improvement"),
    "overdue_calibration_harm": Wording("Adverse events on overdue devices", "sessions", "", mean=True),
}
"""Metrics that no report and no tile of the overview has; their cards explain them."""

_WORDING = METRICS | MORE


def title(metric_id: str) -> str:
    """How a metric is named; its id where this page is older than the metric."""
    return say(_WORDING[metric_id].title) if metric_id in _WORDING else metric_id.replace("_", " ")


def _wording(metric_id: str) -> Wording:
    return _WORDING.get(metric_id) or Wording(metric_id, "", "", decimals=2)


def number(metric_id: str, value: float) -> str:
    """A value, a limit or a difference of that metric, without a plus sign."""
    word = _wording(metric_id)
    return language.number(value * word.scale, word.decimals) + (
        language.percent_sign() if word.percent else ""
    )


def count(value: float) -> str:
    return language.count(value)


def value_text(row: Row | None) -> str:
    """The value, or in words why there is none; never blank and never 0 for the unknown."""
    if row is None:
        return say(NO_RESULT)
    if row.get("suppressed"):
        return say(SUPPRESSED)
    return say(NOT_ESTIMABLE) if row["value"] is None else number(row["metric_id"], row["value"])


def interval_text(row: Row | None, *, bare: bool = False) -> str:
    """`95% interval 1.8 to 5.0`, bare `1.8 to 5.0`; empty where there is none."""
    if row is None or None in (row["value"], row["lower"], row["upper"]):
        return ""
    lower, upper = (number(row["metric_id"], row[side]) for side in ("lower", "upper"))
    if bare or row["level"] is None:
        return say("{lower} to {upper}", lower=lower, upper=upper)
    level = language.percent(row["level"])
    return say("{level} interval {lower} to {upper}", level=level, lower=lower, upper=upper)


def ratio_text(row: Row | None) -> str:
    """`12 of 387`, or `n = 45` for a mean; empty where it is unknown."""
    if row is None or row["denominator"] is None:
        return ""
    if _wording(row["metric_id"]).ratio:
        return observed_and_expected(row["numerator"] or 0, row["denominator"])
    if _wording(row["metric_id"]).mean or row["numerator"] is None:
        return f"n = {count(row['denominator'])}"
    return say("{part} of {whole}", part=count(row["numerator"]), whole=count(row["denominator"]))


def observed_and_expected(observed: float, expected: float) -> str:
    return say(
        "{observed} observed, {expected} expected",
        observed=count(observed),
        expected=language.number(expected, 1),
    )


def counts_text(row: Row | None) -> str:
    """`12 of 387 sessions with a known outcome`, or the reason why there is no value."""
    if row is None:
        return ""
    if row.get("suppressed"):
        return ""
    if row["value"] is None and row["reason"]:
        return say(str(row["reason"]))
    return f"{ratio_text(row)} {say(_wording(row['metric_id']).counted)}".strip()


def moment(at: dt.datetime) -> str:
    """By the clinic's clock on a page about one clinic, else in UTC; the clock is named."""
    return language.moment(at)


def day(at: dt.datetime) -> str:
    """A day that results are computed for: these are days in UTC."""
    return language.day(at.astimezone(dt.UTC).date())


def date(on: dt.date | None) -> str:
    return "–" if on is None else language.date(on)


def span(age: dt.timedelta) -> str:
    """`27 minutes`, `5 hours`, `12 days`."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return plural("{n} minute", "{n} minutes", minutes)
    hours = minutes // 60
    if hours < 48:
        return plural("{n} hour", "{n} hours", hours)
    return plural("{n} day", "{n} days", hours // 24)


def plain(identifier: str | None) -> str:
    """`acne_scars` as `acne scars`."""
    return "–" if identifier is None else say(identifier.replace("_", " "))


def heading(identifier: str) -> str:
    """`cartridge_lot` as `Cartridge lot`."""
    return say(identifier.replace("_", " ").capitalize())


def version_for(protocol: Row) -> str:
    """`version 3, acne scars`."""
    return say("version {number}, {what}", number=protocol["version"], what=plain(protocol["indication"]))
