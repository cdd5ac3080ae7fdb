"""The definition of every number: cards in words, and pure functions from counts to measures.

Polars in, polars out: no store, no SQL, no settings, no clock.
"""

from warehouse.metrics.adherence import device_in_calibration, follow_up_coverage, maintenance_on_time
from warehouse.metrics.cards import CARDS, SAFETY_CARDS, MetricCard
from warehouse.metrics.effectiveness import protocol_improvement
from warehouse.metrics.frames import RESULT, with_history
from warehouse.metrics.incidence import adverse_event_incidence
from warehouse.metrics.safety import Safety, safety_metrics
from warehouse.metrics.schedule import Facts, Schedule, schedule
from warehouse.metrics.schedule_cards import SCHEDULE_CARDS

__all__ = [
    "CARDS",
    "RESULT",
    "SAFETY_CARDS",
    "SCHEDULE_CARDS",
    "Facts",
    "MetricCard",
    "Safety",
    "Schedule",
    "adverse_event_incidence",
    "device_in_calibration",
    "follow_up_coverage",
    "maintenance_on_time",
    "protocol_improvement",
    "safety_metrics",
    "schedule",
    "with_history",
]
