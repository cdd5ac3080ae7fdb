"""The metric cards: what each number means, once, as data.

A change of meaning is a new version of the card, computed beside the old one; never an edit.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class MetricCard:
    """One metric: its definition in words a manager can read, and how its interval is made.

    `numerator` and `denominator` are noun phrases in the plural; `unit` is the unit of value and limits;
    `level` is the two-sided confidence level; `better` says which direction is good; `source` is where the
    definition and the method come from.
    """

    id: str
    version: int
    title: str
    description: str
    numerator: str
    denominator: str
    unit: str
    interval: Literal["clopper-pearson", "wilson", "t"]
    level: float
    better: Literal["lower", "higher"]
    source: str


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
