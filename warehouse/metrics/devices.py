"""Do devices keep their schedule? Calibration and service, cartridges used once, firmware in support."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics.causal import effects
from warehouse.metrics.columns import require
from warehouse.metrics.coverage import proportion_of_days_covered

DEVICE = ("clinic_id", "device_id")

_APART = 2**32
"""Days between the numbers of two devices: more than between any two dates."""


@dataclass(frozen=True)
class UpkeepRules:
    """How long a calibration holds, and a service, in days and in sessions [A]. Usage is predicted from the
    sessions of the last `usage_days` days."""

    calibration_days: int = 183
    service_days: int = 365
    service_sessions: int = 500
    usage_days: int = 90


RULES = UpkeepRules()


def calibration_coverage(
    devices: pl.DataFrame,
    calibrations: pl.DataFrame,
    *,
    start: dt.date,
    end: dt.date,
    valid_days: int = RULES.calibration_days,
) -> pl.DataFrame:
    """PDC of "in calibration" and overdue days in `[start, end)`, one row a device.

    `devices`: `clinic_id`, `device_id`, `in_service_on`; `calibrations`: `clinic_id`, `device_id`,
    `calibrated_on`. A calibration covers `valid_days` and the day itself, until the next one; a device never
    calibrated has no day covered. Days before it came into service are not observed. Columns as of
    `proportion_of_days_covered`, and `days_overdue`.
    """
    require(devices, "devices", (*DEVICE, "in_service_on"))
    require(calibrations, "calibrations", (*DEVICE, "calibrated_on"))
    covered = proportion_of_days_covered(
        calibrations.with_columns(_valid=pl.lit(valid_days + 1)),
        start=start, end=end, subject=DEVICE, on="calibrated_on", valid_days="_valid",
        observed_from="in_service_on", subjects=devices.select(*DEVICE, "in_service_on"),
    )  # fmt: skip
    return covered.with_columns(days_overdue=pl.col("days_observed") - pl.col("days_covered"))


def calibration_at_sessions(
    sessions: pl.DataFrame, calibrations: pl.DataFrame, *, valid_days: int = RULES.calibration_days
) -> pl.DataFrame:
    """Each session with `days_since_calibration` (null: never) and `overdue`, in the order given.

    `sessions`: `clinic_id`, `device_id`, `completed_on`, and any other columns. A calibration on the day
    itself counts.
    """
    require(sessions, "sessions", (*DEVICE, "completed_on"))
    require(calibrations, "calibrations", (*DEVICE, "calibrated_on"))
    devices = calibrations.select(DEVICE).unique().with_row_index("_device")

    def device_day(frame: pl.DataFrame, on: str) -> np.ndarray:
        """Device and day as one number, which is found again much faster than names and dates."""
        device = frame.select(DEVICE).join(devices, on=list(DEVICE), how="left", maintain_order="left")
        return (device["_device"].cast(pl.Int64).fill_null(-1) * _APART + frame[on].to_physical()).to_numpy()

    calibrated = np.sort(np.append(device_day(calibrations, "calibrated_on"), -2 * _APART))
    day = device_day(sessions, "completed_on")
    passed = pl.Series(day - calibrated[np.searchsorted(calibrated, day, side="right") - 1], dtype=pl.Int64)
    days = pl.when(passed < _APART // 2).then(passed)
    return sessions.with_columns(days_since_calibration=days, overdue=(days > valid_days).fill_null(True))


def next_due(
    devices: pl.DataFrame,
    sessions: pl.DataFrame,
    calibrations: pl.DataFrame,
    services: pl.DataFrame,
    *,
    as_of: dt.date,
    rules: UpkeepRules = RULES,
) -> pl.DataFrame:
    """When each device is next due, by calendar and by usage, one row a device.

    `sessions`: `clinic_id`, `device_id`, `completed_on`; `services`: `clinic_id`, `device_id`, `serviced_on`;
    the rest as above. Without a calibration or service the day it came into service counts.
    `sessions_per_day`: of the last `usage_days` (or since it came into service). `service_due_by_usage_on` is
    null while it is not used. `service_due_on` is the earlier of both; `overdue` says that any is before
    `as_of`.
    """
    require(devices, "devices", (*DEVICE, "in_service_on"))
    require(sessions, "sessions", (*DEVICE, "completed_on"))
    require(services, "services", (*DEVICE, "serviced_on"))
    last = {"calibrated_on": calibrations, "serviced_on": services}
    found = devices.filter(pl.col("in_service_on") <= as_of).select(*DEVICE, "in_service_on")
    for column, events in last.items():
        newest = events.filter(pl.col(column) < as_of).group_by(DEVICE).agg(pl.col(column).max())
        found = found.join(newest, on=list(DEVICE), how="left").with_columns(
            pl.col(column).fill_null(pl.col("in_service_on"))
        )
    known = sessions.filter(pl.col("completed_on") < as_of).join(
        found.select(*DEVICE, "serviced_on"), on=list(DEVICE)
    )
    used = known.group_by(DEVICE).agg(
        sessions_since_service=(pl.col("completed_on") >= pl.col("serviced_on")).sum().cast(pl.Int64),
        _recent=(pl.col("completed_on") >= as_of - dt.timedelta(days=rules.usage_days)).sum().cast(pl.Int64),
    )
    age = (pl.lit(as_of) - pl.col("in_service_on")).dt.total_days()
    left = (rules.service_sessions - pl.col("sessions_since_service")).clip(lower_bound=0)
    rate = pl.col("sessions_per_day")
    return (
        found.join(used, on=list(DEVICE), how="left")
        .with_columns(pl.col("sessions_since_service", "_recent").fill_null(0))
        .with_columns(sessions_per_day=pl.col("_recent") / age.clip(1, rules.usage_days))
        .with_columns(
            calibration_due_on=pl.col("calibrated_on") + pl.duration(days=rules.calibration_days),
            service_due_by_calendar_on=pl.col("serviced_on") + pl.duration(days=rules.service_days),
            service_due_by_usage_on=pl.when(left == 0)
            .then(pl.lit(as_of))
            .when(rate > 0)
            .then(
                pl.lit(as_of) + pl.duration(days=(left / rate).ceil().clip(upper_bound=36_500).fill_nan(0))
            ),
        )
        .with_columns(
            service_due_on=pl.min_horizontal("service_due_by_calendar_on", "service_due_by_usage_on")
        )
        .with_columns(
            overdue=(pl.col("calibration_due_on") < as_of)
            | (pl.col("service_due_by_calendar_on") < as_of)
            | (pl.col("sessions_since_service") > rules.service_sessions)
        )
        .drop("_recent")
        .sort(DEVICE)
    )


def cartridges_reused(
    sessions: pl.DataFrame, *, cartridge: Sequence[str] = ("clinic_id", "cartridge_lot", "cartridge_serial")
) -> pl.DataFrame:
    """Single-use cartridges seen in more than one session, one row a cartridge, the most used first.

    Counts distinct sessions and patients (`patient_key`); `first_on`, `last_on`. Any row is a safety signal.
    """
    require(sessions, "sessions", (*cartridge, "session_id", "patient_key", "completed_on"))
    return (
        sessions.group_by(cartridge)
        .agg(
            sessions=pl.struct("clinic_id", "session_id").n_unique().cast(pl.Int64)
            if "clinic_id" in sessions.columns
            else pl.col("session_id").n_unique().cast(pl.Int64),
            patients=pl.col("patient_key").n_unique().cast(pl.Int64),
            first_on=pl.col("completed_on").min(),
            last_on=pl.col("completed_on").max(),
        )
        .filter(pl.col("sessions") > 1)
        .sort("sessions", *cartridge, descending=[True, *[False] * len(cartridge)])
    )


def firmware_support(devices: pl.DataFrame, supported: pl.DataFrame, *, as_of: dt.date) -> pl.DataFrame:
    """Each device with `in_support` on `as_of` and the rule behind it in `reason` (null where it is).

    `devices`: `clinic_id`, `device_id`, `model`, `firmware`; `supported`: `model`, `firmware`,
    `supported_until` (date, its last day; null: still open), one row a version.
    """
    require(devices, "devices", (*DEVICE, "model", "firmware"))
    require(supported, "supported", ("model", "firmware"))
    if "supported_until" not in supported.columns:
        raise CheckFailed("supported.supported_until: column is missing")
    if supported.select("model", "firmware").is_duplicated().any():
        raise CheckFailed("supported: model, firmware must be unique")
    found = devices.join(
        supported.select("model", "firmware", "supported_until", _known=pl.lit(True)),
        on=["model", "firmware"],
        how="left",
        maintain_order="left",
    )
    ended = (pl.col("supported_until") < as_of).fill_null(False)
    return found.with_columns(
        in_support=pl.col("_known").fill_null(False) & ~ended,
        reason=pl.when(pl.col("_known").is_null())
        .then(pl.lit("firmware is not listed"))
        .when(ended)
        .then(pl.lit("support has ended")),
    ).drop("_known")


def overdue_and_adverse_events(
    sessions: pl.DataFrame,
    *,
    covariates: Sequence[str],
    adverse: str = "adverse",
    overdue: str = "overdue",
    cluster: str | None = "device_id",
    level: float = 0.95,
) -> pl.DataFrame:
    """Risk difference of an adverse event between sessions on overdue and on calibrated devices, crude and
    adjusted.

    `sessions`: one row a session with a known outcome, as `calibration_at_sessions` gives them, with
    `adverse` and the covariates of the case mix. Four EFFECT rows, see `causal.effects`; sessions of one
    device are alike, so errors are by device. An association, unless the covariates hold all that matters.
    """
    return effects(
        sessions, outcome=adverse, treatment=overdue, covariates=covariates, cluster=cluster, level=level
    )
