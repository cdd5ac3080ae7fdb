"""From core to mart.metric_result: read one snapshot, measure, replace the day's rows.

sql/metric/*.sql (rows at grain) -> warehouse.metrics (measures) -> mart.metric_result
"""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

import polars as pl

from producers.contracts.errors import WarehouseConflict
from warehouse import metrics, store
from warehouse.store import Connection, Location

YEAR = dt.timedelta(days=365)
"""Length of the period `year`, up to as_of."""

_ATTEMPTS = 3


@dataclass(frozen=True)
class RefreshReport:
    """What one refresh did: rows written, the snapshot they were computed from, and how long it took."""

    as_of: dt.datetime
    snapshot_id: int
    rows: int
    seconds: float


def refresh(
    connection: Connection, location: Location, *, as_of: dt.datetime, computed_at: dt.datetime
) -> RefreshReport:
    """Compute every metric from what occurred before `as_of`, and replace the rows of the same UTC day.

    Reading holds no lock and sees one snapshot; only the replacement takes the writers' turn.
    Raises WarehouseConflict when others came first three times; CheckFailed when a row cannot be measured.
    """
    began = time.perf_counter()
    as_of = _utc(as_of)
    for attempt in range(1, _ATTEMPTS + 1):
        with store.reading(connection) as snapshot_id:
            measured = _measure(connection, as_of)
        rows = measured.with_columns(
            as_of=pl.lit(as_of), snapshot_id=pl.lit(snapshot_id), computed_at=pl.lit(_utc(computed_at))
        )
        try:
            _replace(connection, location, rows, as_of, snapshot_id)
            break
        except WarehouseConflict:
            if attempt == _ATTEMPTS:
                raise
    return RefreshReport(as_of, snapshot_id, rows.height, time.perf_counter() - began)


def refresh_if_changed(
    connection: Connection, location: Location, *, as_of: dt.datetime, computed_at: dt.datetime
) -> RefreshReport | None:
    """Refresh unless the day's rows are there, by today's cards, and nothing they rest on changed since.

    Telemetry frames change no metric. Gives None when there was nothing to do. Raises as `refresh` does.
    """
    computed = _computed(connection, _utc(as_of))
    cards = {f"{card.id}/{card.version}" for card in metrics.CARDS.values()}
    if set(computed["cards"]) == cards:
        since = {"since": computed["snapshot_id"]}
        if not store.rows(connection, store.statement("metric/changed_since"), since)[0]["changed"]:
            return None
    return refresh(connection, location, as_of=as_of, computed_at=computed_at)


def _measure(connection: Connection, as_of: dt.datetime) -> pl.DataFrame:
    """RESULT rows of every card. The three temporary tables end with the caller's transaction."""
    for shared in ("visit", "followed", "scope"):
        connection.execute(store.statement(f"metric/{shared}"))

    def grain(name: str) -> pl.DataFrame:
        parameters = {"start": as_of - YEAR, "as_of": as_of}
        return connection.execute(store.statement(f"metric/{name}"), parameters).pl()

    return pl.concat(
        [
            metrics.adverse_event_incidence(grain("adverse_event_incidence")),
            metrics.protocol_improvement(grain("protocol_improvement"), grain("protocol_scope")),
            metrics.maintenance_on_time(grain("maintenance_on_time")),
            metrics.device_in_calibration(grain("device_in_calibration")),
            metrics.follow_up_coverage(grain("follow_up_coverage")),
        ]
    )


def _replace(
    connection: Connection, location: Location, rows: pl.DataFrame, as_of: dt.datetime, snapshot_id: int
) -> None:
    """Put `rows` in place of the day's rows, unless those know more than ours."""
    connection.register("metric_rows", rows)
    try:
        with store.transaction(connection, location):
            there = _computed(connection, as_of)["snapshot_id"]
            if there is not None and there > snapshot_id:
                raise WarehouseConflict(
                    f"mart.metric_result as of {as_of:%Y-%m-%d} holds snapshot {there}, ours is {snapshot_id}"
                )
            connection.execute(store.statement("metric/forget"), {"day": _day(as_of)})
            connection.execute(store.statement("metric/remember"))
    finally:
        connection.unregister("metric_rows")


def _computed(connection: Connection, as_of: dt.datetime) -> dict[str, Any]:
    return store.rows(connection, store.statement("metric/computed"), {"day": _day(as_of)})[0]


def _day(as_of: dt.datetime) -> dt.datetime:
    return as_of.replace(hour=0, minute=0, second=0, microsecond=0)


def _utc(moment: dt.datetime) -> dt.datetime:
    assert moment.tzinfo is not None, "a moment needs its zone"
    return moment.astimezone(dt.UTC)
