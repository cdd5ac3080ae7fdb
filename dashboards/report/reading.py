"""Everything the editions of one week are made of, read once, at one snapshot.

sql/report/*.sql -> Facts -> frozen.edition, once per edition. Small cells are suppressed on the way in.
"""

import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.report import suppression
from dashboards.report.model import Figure
from dashboards.report.week import IsoWeek
from dashboards.report.words import METRICS
from producers.contracts.errors import CheckFailed
from warehouse import store
from warehouse.metrics.cards import ADVERSE_EVENT_RATIO

TREND_WEEKS = 12

Key = tuple[str, str, str, str, dt.datetime | None]
"""metric_id, scope, scope_id, period, and for weeks the interval's start."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Facts:
    """What one snapshot knows of one week, over all clinics; rows as their .sql files say.

    `history[n - 1]`: the rolling figures n weeks before. `metrics_at`: when the metrics were computed.
    """

    week: IsoWeek
    snapshot_id: int
    as_of: dt.datetime
    metrics_at: dt.datetime
    figures: Mapping[Key, Figure]
    history: Sequence[Mapping[Key, Figure]]
    clinics: Rows
    protocols: Rows
    books: Mapping[str, Any]
    ratios: Rows
    signals: Rows
    due: Rows
    devices: Rows
    checks: Rows
    watermarks: Mapping[str, Mapping[str, Any]]


def read(connection: store.Connection, week: IsoWeek) -> Facts:
    """Every query sees the same snapshot. Raises CheckFailed where no metric was ever computed."""
    with contextlib.closing(store.cursor(connection)) as session, store.reading(session) as snapshot:

        def rows(name: str, **parameters: Any) -> list[dict[str, Any]]:
            return store.rows(session, store.statement(f"report/{name}"), parameters)

        as_of = rows("as_of", week_end=week.end)[0]["as_of"]
        if as_of is None:
            raise CheckFailed("no metric results in the warehouse yet: run `dermastream refresh`")
        metrics = {"as_of": as_of, "metrics": list(METRICS)}
        results = rows(
            "result", **metrics, weeks_start=week.shifted(1 - TREND_WEEKS).start, weeks_end=week.end
        )
        known_at = max((row["computed_at"] for row in results), default=as_of)
        return Facts(
            week=week,
            snapshot_id=snapshot,
            as_of=as_of.astimezone(dt.UTC),
            metrics_at=known_at.astimezone(dt.UTC),
            figures=_figures(results),
            history=_history(rows("history", **metrics, weeks=TREND_WEEKS - 1)),
            clinics=rows("clinic"),
            protocols=rows("protocol"),
            books=rows("landing_totals", known_at=known_at)[0],
            ratios=rows("ratio", as_of=as_of, metric=ADVERSE_EVENT_RATIO.id),
            signals=rows("signal", since=as_of - dt.timedelta(days=7), known_at=known_at),
            due=rows("due", as_of=as_of),
            devices=rows("device_overdue", as_of=as_of),
            checks=rows("check", as_of=as_of),
            watermarks=by_clinic(session, week),
        )


def by_clinic(session: store.Connection, week: IsoWeek) -> dict[str, dict[str, Any]]:
    """Each clinic's watermark and its sessions in the week: sql/report/watermark."""
    bound = {"week_start": week.start, "week_end": week.end}
    found = store.rows(session, store.statement("report/watermark"), bound)
    return {row["clinic_id"]: row for row in found}


def _figures(results: Rows) -> dict[Key, Figure]:
    figures: dict[Key, Figure] = {}
    for row in results:
        figure = _figure(row)
        start = figure.interval_start if figure.period == "week" else None
        figures[figure.metric_id, figure.scope, figure.scope_id, figure.period, start] = figure
    return figures


def _figure(row: Mapping[str, Any]) -> Figure:
    fields = {name: value for name, value in row.items() if name not in ("computed_at", "weeks_back")}
    for name in ("interval_start", "interval_end"):
        fields[name] = fields[name].astimezone(dt.UTC)
    figure = Figure(**fields)
    return suppression.suppressed(figure) if suppression.small(figure) else figure


def _history(rows: Rows) -> list[dict[Key, Figure]]:
    weeks: list[dict[Key, Figure]] = [{} for _ in range(TREND_WEEKS - 1)]
    for row in rows:
        if row["weeks_back"] < TREND_WEEKS:
            figure = _figure(row)
            key = (figure.metric_id, figure.scope, figure.scope_id, "year", None)
            weeks[row["weeks_back"] - 1][key] = figure
    return weeks
