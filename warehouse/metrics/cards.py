"""The metric cards: what each number means, once, as data.

A change of meaning is a new version of the card, computed beside the old one; never an edit.
"""

from dataclasses import dataclass
from typing import Literal

from warehouse.metrics.risk_indicators import Thresholds


@dataclass(frozen=True)
class MetricCard:
    """One metric: its definition in words a manager can read, and how its interval is made.

    `numerator` and `denominator` are noun phrases in the plural; `unit` is the unit of value and limits;
    `level` is the two-sided confidence level; `better` says which direction is good; `source` is where the
    definition and the method come from.
    A card that raises flags also says what it is held against: `strata` it adjusts for and the `model` that
    does so, `thresholds` (one- or two-sided, asymmetric), `minimum_count` of the denominator, `baseline` and
    where that comes from, and the `owner` of the rule. `flags_to_open` days in a row open a signal,
    `flags_to_clear` days without clear it: the second is larger, so that a signal does not flicker.
    """

    id: str
    version: int
    title: str
    description: str
    numerator: str
    denominator: str
    unit: str
    interval: str
    level: float
    better: Literal["lower", "higher"]
    source: str
    strata: tuple[str, ...] = ()
    model: str | None = None
    thresholds: Thresholds | None = None
    minimum_count: int = 0
    baseline: str | None = None
    owner: str | None = None
    flags_to_open: int = 2
    flags_to_clear: int = 7


ADVERSE_EVENT_INCIDENCE = MetricCard(
    id="adverse_event_incidence",
    version=1,
    title="Adverse events",
    description=(
        "How many of 100 sessions were followed by at least one adverse event. Mild signs of normal recovery "
        "that began and went away within seven days are not counted; sessions whose outcome nobody asked for "
        "are left out, not taken as free of events."
    ),
    numerator="sessions with at least one adverse event that is not an expected reaction",
    denominator="sessions whose outcome is known: a follow-up was completed or an adverse event reported",
    unit="per 100 sessions",
    interval="clopper-pearson",
    level=0.95,
    better="lower",
    source="Incidence proportion; interval by Clopper and Pearson, Biometrika 26 (1934) 404-413",
)

PROTOCOL_IMPROVEMENT = MetricCard(
    id="protocol_improvement",
    version=1,
    title="Improvement",
    description=(
        "Mean gain on the Global Aesthetic Improvement Scale, seen 14 to 90 days after the latest session: "
        "0 is no change, 3 very much improved, -1 worse. Patients are not randomised to protocols, so a "
        "difference between protocols may come from their patients."
    ),
    numerator="grades gained (4 minus the GAIS score), summed over patients",
    denominator="patients with a GAIS score 14 to 90 days after their latest session",
    unit="GAIS grades",
    interval="t",
    level=0.95,
    better="higher",
    source="Mean with Student's t interval; Altman, Machin, Bryant and Gardner, Statistics with Confidence, "
    "2nd ed. (2000), ch. 4",
)

MAINTENANCE_ON_TIME = MetricCard(
    id="maintenance_on_time",
    version=1,
    title="Maintenance on time",
    description=(
        "Share of patients with a completed series whose next session was maintenance, 90 to 183 days after "
        "the one before. Each patient counts once, by the first such window decided within the year; whoever "
        "has not returned while the window is still open is not counted yet."
    ),
    numerator="patients whose maintenance session fell 90 to 183 days after the previous session",
    denominator="patients who returned or whose maintenance window closed",
    unit="proportion",
    interval="wilson",
    level=0.95,
    better="higher",
    source="Maintenance every 3 to 6 months; interval by Wilson, JASA 22 (1927) 209-212",
)

DEVICE_IN_CALIBRATION = MetricCard(
    id="device_in_calibration",
    version=1,
    title="Devices in calibration",
    description=(
        "Share of the devices in service whose last calibration is at most 183 days old. "
        "A device never calibrated is out of calibration."
    ),
    numerator="devices whose last calibration is at most 183 days old",
    denominator="devices in service",
    unit="proportion",
    interval="wilson",
    level=0.95,
    better="higher",
    source="Calibration every 6 months (assumption); interval by Wilson, JASA 22 (1927) 209-212",
)

FOLLOW_UP_COVERAGE = MetricCard(
    id="follow_up_coverage",
    version=1,
    title="Follow-up coverage",
    description=(
        "Share of the sessions at least 14 days old after which the clinic reached the patient. "
        "Where it is low, the clinic's adverse events are unknown rather than few."
    ),
    numerator="sessions with a completed follow-up",
    denominator="sessions at least 14 days old",
    unit="proportion",
    interval="wilson",
    level=0.95,
    better="higher",
    source="Completeness of follow-up; interval by Wilson, JASA 22 (1927) 209-212",
)

CARDS: dict[str, MetricCard] = {
    card.id: card
    for card in (
        ADVERSE_EVENT_INCIDENCE,
        PROTOCOL_IMPROVEMENT,
        MAINTENANCE_ON_TIME,
        DEVICE_IN_CALIBRATION,
        FOLLOW_UP_COVERAGE,
    )
}

CASE_MIX = ("skin_type", "indication", "area", "depth_band", "age_band")
"""What the case-mix model knows of a session."""
_MODEL = "logistic case-mix model v1, refitted each day on the network's sessions, ridge 1"
_OWNER = "safety officer"

ADVERSE_EVENT_RATIO = MetricCard(
    id="adverse_event_ratio",
    version=1,
    title="Adverse events, observed over expected",
    description=(
        "How many times as many sessions with an adverse event as the same kinds of patients and "
        "treatments have "
        "in the whole network. Followed-up sessions at least 14 days old count; 1 is as expected. A "
        "flag asks a "
        "person to look; it is not proof of harm."
    ),
    numerator="followed-up sessions with at least one adverse event that is not an expected reaction",
    denominator="such sessions expected if it were like the other groups, by the case-mix model",
    unit="ratio",
    interval="exact-conditional",
    level=0.95,
    better="lower",
    source="Observed over expected against the other groups, given all events: Breslow and Day, "
    "volume II (1987), "
    "section 3.4; false discovery rate: Benjamini and Hochberg (1995)",
    strata=CASE_MIX,
    model=_MODEL,
    thresholds=Thresholds(q_high=0.05, q_low=None, minimum_observed=3),
    minimum_count=1,
    baseline="the network in the same year, by the case-mix model; its coefficients are in "
    "mart.case_mix_coefficient",
    owner=_OWNER,
)

ADVERSE_EVENT_SURVEILLANCE = MetricCard(
    id="adverse_event_surveillance",
    version=1,
    title="Sequential surveillance of lots and firmware",
    description=(
        "Adverse events since the first session with a cartridge lot or firmware against what was "
        "expected, looked "
        "at daily until ten are expected, with a chance of at most 1 % of ever signalling when "
        "nothing is wrong. "
        "detectable_ratio says how large a risk would have been found with 80 % power by now."
    ),
    numerator="followed-up sessions with at least one adverse event that is not an expected reaction",
    denominator="such sessions expected by the case-mix model",
    unit="ratio",
    interval="garwood",
    level=0.95,
    better="lower",
    source="Poisson MaxSPRT: Kulldorff et al., Sequential Analysis 30 (2011) 58-78, with the "
    "conditional statistic "
    "of Li and Kulldorff, Statistics in Medicine 29 (2010) 284-295; horizon 10, alpha "
    "0.01, at "
    "least 3 events [assumptions]",
    strata=CASE_MIX,
    model=_MODEL,
    thresholds=None,
    minimum_count=3,
    baseline="the network in the same year, by the case-mix model",
    owner=_OWNER,
    flags_to_open=1,
)

ADVERSE_EVENT_REPORTING = MetricCard(
    id="adverse_event_reporting",
    version=1,
    title="Reporting of adverse events",
    description=(
        "Adverse events a clinic reported over those that patients of other clinics had after as many "
        "sessions. Far "
        "below 1 the clinic may not ask or not report: look at its follow-up coverage first. Sessions "
        "at least 14 "
        "days old count, followed up or not."
    ),
    numerator="adverse events that are not expected reactions",
    denominator="events of other clinics' patients after as many sessions",
    unit="ratio",
    interval="garwood",
    level=0.95,
    better="higher",
    source="Koneswarakantha et al., Drug Safety 44 (2021) 949-955, in its exact form",
    thresholds=Thresholds(q_high=0.05, q_low=0.05),
    minimum_count=1,
    baseline="patients of the other clinics in the same year",
    owner=_OWNER,
)

SAFETY_CARDS: dict[str, MetricCard] = {
    card.id: card for card in (ADVERSE_EVENT_RATIO, ADVERSE_EVENT_SURVEILLANCE, ADVERSE_EVENT_REPORTING)
}
"""Cards by group of sessions: they raise flags and signals, and are no tile on a page."""


SHRUNKEN_EFFECT = MetricCard(
    id="shrunken_effect",
    version=1,
    title="Clinics and operators by improvement",
    description=(
        "How far the scores of a clinic's or operator's patients lie from those of the others with the same "
        "case mix, towards better, drawn to 0 the more, the fewer they are. A clinic is held against the "
        "network, an operator against the own clinic. Patients are not allotted at random: no proof of skill."
    ),
    numerator="sessions of the group with a score 14 to 90 days after them",
    denominator="sessions with such a score, on the same scale",
    unit="units of the scale",
    interval="reml; prasad-rao; satterthwaite",
    level=0.95,
    better="higher",
    source="Patterson and Thompson, Biometrika 58 (1971) 545-554; Robinson, Statistical Science 6 (1991) "
    "15-32; errors: Prasad and Rao, JASA 85 (1990) 163-171",
    strata=("session_number", "indication", "area", "skin_type", "age_band"),
    model="patient within operator within clinic, linear",
)

FINDING_CARDS: dict[str, MetricCard] = {SHRUNKEN_EFFECT.id: SHRUNKEN_EFFECT}
"""Cards of findings that stand in a mart of their own, mart.<id>, and not among the results."""


def markdown(card: MetricCard) -> str:
    """The card as a page of documentation."""
    rows = {
        "Numerator": card.numerator,
        "Denominator": card.denominator,
        "Unit": card.unit,
        "Interval": f"{card.interval}, {card.level:.0%}",
        "Better": card.better,
        "Adjusted for": ", ".join(card.strata),
        "Model": card.model,
        "Flags": flags_in_words(card),
        "Signals": signals_in_words(card) if card.owner else None,
        "Baseline": card.baseline,
        "Owner": card.owner,
        "Source": card.source,
    }
    lines = [f"| {name} | {text} |" for name, text in rows.items() if text]
    table = ["| | |", "|---|---|", *lines]
    return "\n".join(
        [f"# {card.title}", "", f"`{card.id}` version {card.version}", "", card.description, "", *table, ""]
    )


def flags_in_words(card: MetricCard) -> str | None:
    """What raises a flag; null where nothing does."""
    t = card.thresholds
    if t is None:
        return None
    parts = []
    if t.q_high is not None:
        parts.append(
            f"high at q <= {t.q_high:g}, a ratio above {t.ratio_high:g} and {t.minimum_observed} events"
        )
    if t.q_low is not None:
        parts.append(
            f"low at q <= {t.q_low:g}, a ratio below {t.ratio_low:g} and {t.minimum_expected:g} expected"
        )
    return "; ".join(parts)


def signals_in_words(card: MetricCard) -> str:
    """When flags become a signal."""
    return f"opened after {card.flags_to_open} days flagged in a row, cleared after {card.flags_to_clear}"
