"""Do patients return in time, are devices calibrated in time, are sessions followed up? Shares, 0 to 1."""

import polars as pl

from warehouse.metrics import cards, intervals
from warehouse.metrics.frames import proportion


def maintenance_on_time(counts: pl.DataFrame) -> pl.DataFrame:
    """Share of patients back in their maintenance window, one RESULT row per cell.

    `counts`: CELL plus the integers `patients_decided` and `patients_on_time`. Null with a reason where none
    was due. Raises CheckFailed. Source: Wilson (1927), see the card.
    """
    return proportion(
        cards.MAINTENANCE_ON_TIME,
        counts,
        numerator="patients_on_time",
        denominator="patients_decided",
        interval=intervals.wilson,
    )


def device_in_calibration(counts: pl.DataFrame) -> pl.DataFrame:
    """Share of devices in service with a calibration that is recent enough, one RESULT row per cell.

    `counts`: CELL plus the integers `devices_in_service` and `devices_in_calibration`. Null with a reason
    where there is no device. Raises CheckFailed. Source: Wilson (1927), see the card.
    """
    return proportion(
        cards.DEVICE_IN_CALIBRATION,
        counts,
        numerator="devices_in_calibration",
        denominator="devices_in_service",
        interval=intervals.wilson,
    )


def follow_up_coverage(counts: pl.DataFrame) -> pl.DataFrame:
    """Share of sessions that were followed up, one RESULT row per cell.

    `counts`: CELL plus the integers `sessions_due` and `sessions_followed_up`. Null with a reason where no
    session was due. Raises CheckFailed. Source: Wilson (1927), see the card.
    """
    return proportion(
        cards.FOLLOW_UP_COVERAGE,
        counts,
        numerator="sessions_followed_up",
        denominator="sessions_due",
        interval=intervals.wilson,
    )
