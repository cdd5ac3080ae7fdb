"""Numbers as people read them: one place, so that HTML, PDF and CSV cannot differ."""

import datetime as dt
from dataclasses import dataclass

from dashboards.report.model import Figure

SMALLEST_SHOWN = 5
"""Patients or sessions; a figure about fewer is suppressed [assumption: a customary threshold]."""

SUPPRESSED = f"suppressed (n < {SMALLEST_SHOWN})"
NO_RESULT = "no result"


@dataclass(frozen=True)
class Wording:
    """How one metric is named and printed.

    `counted` names what the denominator counts; `about_people` says whether small cells are suppressed;
    `scale` turns the stored value into the printed one, `decimals` are printed, `suffix` follows.
    """

    title: str
    counted: str
    about_people: bool = True
    scale: float = 1.0
    decimals: int = 1
    suffix: str = ""
    mean: bool = False


METRICS = {
    "adverse_event_incidence": Wording(
        "Adverse events per 100 sessions",
        "sessions with a known outcome",
    ),
    "protocol_improvement": Wording(
        "Improvement in GAIS grades",
        "patients assessed",
        decimals=2,
        mean=True,
    ),
    "maintenance_on_time": Wording(
        "Maintenance on time",
        "patients due or returned",
        scale=100,
        suffix="%",
    ),
    "device_in_calibration": Wording(
        "Devices in calibration",
        "devices in service",
        about_people=False,
        scale=100,
        suffix="%",
    ),
    "follow_up_coverage": Wording(
        "Follow-up coverage",
        "sessions at least 14 days old",
        scale=100,
        suffix="%",
    ),
}

GLOSSARY = (
    (
        "Adverse event",
        "An unwanted effect after a session; reactions expected for some days are none.",
    ),
    (
        "95% interval",
        "Range of true values that the data go with; wide means few data, not a bad clinic.",
    ),
    ("Provisional", "Outcomes still arrive for 14 days after a session; until then a week is not judged."),
    (
        "Observed over expected",
        "Events divided by what the same kinds of patients and treatments have elsewhere; 1 is as expected.",
    ),
    ("Signal", "A flag that stayed and that a person should look into. It is not proof of harm."),
    ("q", "Share of false alarms to expect among signals as strong as this one."),
    ("Suppressed", "Left out because it would speak of very few people; it is not zero."),
)
"""Terms a reader may not know, with what they mean here."""

CHECKS = {
    "session.unknown-device": "sessions on a device that was never registered",
    "session.unknown-operator": "sessions by an operator who was never registered",
    "session.unknown-protocol": "sessions by a protocol that was never published",
    "session.closed-before-started": "sessions that ended before they began",
    "telemetry.no-session": "telemetry of sessions that were never completed",
    "calibration.unknown-device": "calibrations of a device that was never registered",
    "adverse-event.unknown-session": "adverse events after a session we do not know",
    "assessment.unknown-session": "assessments after a session we do not know",
    "follow-up.unknown-session": "follow-ups of a session we do not know",
    "clinic.not-registered": "clinics that send data but were never registered",
}
"""What core.data_quality looks for, as a reader says it."""

CHECKS_OF_THINGS = frozenset(
    (
        "session.unknown-device",
        "session.unknown-operator",
        "session.unknown-protocol",
        "calibration.unknown-device",
        "clinic.not-registered",
    )
)
"""Checks whose subjects are devices, operators, protocols or clinics; the others' are patients' sessions."""


def number(metric_id: str, value: float) -> str:
    """A value, a limit or a difference of that metric, without a plus sign."""
    word = METRICS[metric_id]
    text = f"{value * word.scale:,.{word.decimals}f}"
    return (text if float(text.replace(",", "")) != 0 else text.removeprefix("-")) + word.suffix


def count(value: float) -> str:
    return f"{value:,.0f}"


def value_text(figure: Figure | None) -> str:
    """The value, or in words why there is none; never blank and never 0 for the unknown."""
    if figure is None:
        return NO_RESULT
    if figure.suppressed:
        return SUPPRESSED
    if figure.value is None:
        return "not estimable"
    return number(figure.metric_id, figure.value)


def interval_text(figure: Figure | None, *, bare: bool = False) -> str:
    """`95% interval 1.8 to 5.0`, bare `1.8 to 5.0`; empty where there is none."""
    if figure is None or not figure.estimated:
        return ""
    assert figure.lower is not None
    assert figure.upper is not None
    limits = f"{number(figure.metric_id, figure.lower)} to {number(figure.metric_id, figure.upper)}"
    return limits if bare or figure.level is None else f"{figure.level:.0%} interval {limits}"


def ratio_text(figure: Figure | None) -> str:
    """`12 of 387`, or `n = 45` for a mean; empty where it is suppressed or unknown."""
    if figure is None or figure.suppressed or figure.denominator is None:
        return ""
    if METRICS[figure.metric_id].mean or figure.numerator is None:
        return f"n = {count(figure.denominator)}"
    return f"{count(figure.numerator)} of {count(figure.denominator)}"


def counts_text(figure: Figure | None) -> str:
    """`12 of 387 sessions with a known outcome`, or the reason why there is no value."""
    if figure is None or figure.suppressed:
        return ""
    if figure.value is None and figure.reason:
        return figure.reason
    return f"{ratio_text(figure)} {METRICS[figure.metric_id].counted}".strip()


def in_full(figure: Figure | None, unit: str = "") -> str:
    """`3.1 per 100 sessions (95% interval 1.8 to 5.0; 12 of 387)`, with `unit` after the value."""
    if figure is None or not figure.estimated:
        return value_text(figure)
    return f"{value_text(figure)}{unit} ({interval_text(figure)}; {ratio_text(figure)})"


def moment(at: dt.datetime | None) -> str:
    return "nothing landed yet" if at is None else f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def day(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%-d %B %Y}"
