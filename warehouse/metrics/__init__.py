"""The definition of every number: cards in words, and pure functions from counts to measures.

Polars in, polars out: no store, no SQL, no settings, no clock.
"""

from warehouse.metrics.adherence import device_in_calibration, follow_up_coverage, maintenance_on_time
from warehouse.metrics.cards import CARDS, MetricCard
from warehouse.metrics.effectiveness import protocol_improvement
from warehouse.metrics.frames import RESULT
from warehouse.metrics.incidence import adverse_event_incidence

__all__ = [
    "CARDS",
    "RESULT",
    "MetricCard",
    "adverse_event_incidence",
    "device_in_calibration",
    "follow_up_coverage",
    "maintenance_on_time",
    "protocol_improvement",
]
