"""Adverse events per 100 sessions."""

import polars as pl

from warehouse.metrics import cards, intervals
from warehouse.metrics.frames import proportion


def adverse_event_incidence(counts: pl.DataFrame) -> pl.DataFrame:
    """Incidence proportion per 100 sessions with a known outcome, one RESULT row per cell of `counts`.

    `counts`: CELL plus the integers `sessions_with_known_outcome` and `sessions_with_adverse_event`.
    Where no outcome is known, value and limits are null and `reason` says so. Raises CheckFailed.
    Source: Clopper and Pearson (1934), see the card.
    """
    return proportion(
        cards.ADVERSE_EVENT_INCIDENCE,
        counts,
        numerator="sessions_with_adverse_event",
        denominator="sessions_with_known_outcome",
        interval=intervals.clopper_pearson,
        per=100.0,
    )
