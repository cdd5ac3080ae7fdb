"""Freeze one edition of the weekly report from the warehouse, at one snapshot.

Suppression happens here: what is too small to show is not in the frozen data, so no renderer can leak it.
"""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.report.changes import RULE, SETTLING_DAYS, direction, sentences
from dashboards.report.model import (
    ClinicRow,
    Figure,
    LandingTotals,
    ProtocolRow,
    ReportData,
    Tile,
    TrendWeek,
)
from dashboards.report.week import IsoWeek
from dashboards.report.words import METRICS, SMALLEST_SHOWN
from producers.contracts.errors import CheckFailed, SettingsError
from warehouse import store
from warehouse.metrics.cards import CARDS

TREND_WEEKS = 12

Key = tuple[str, str, str, str, dt.datetime | None]
"""metric_id, scope, scope_id, period, and for weeks the interval's start."""


def editions(connection: store.Connection) -> list[str | None]:
    """Every edition there is: null for the network, then each clinic by its id, in order of name."""
    clinics = store.rows(connection, store.statement("report/clinic"), {"clinic": None})
    return [None, *(clinic["clinic_id"] for clinic in clinics)]


def freeze(
    connection: store.Connection, *, week: IsoWeek, clinic: str | None, computed_at: dt.datetime
) -> ReportData:
    """The edition of `week` for one clinic, or for the network where `clinic` is null; revision 1.

    Every query sees the same snapshot. `computed_at` is the issue's own time; nothing here asks a clock.
    Raises SettingsError for an unknown clinic, CheckFailed where no metric was ever computed.
    """
    with contextlib.closing(store.cursor(connection)) as session, store.reading(session) as snapshot:
        clinics = store.rows(session, store.statement("report/clinic"), {"clinic": clinic})
        if clinic is not None and not clinics:
            raise SettingsError(f"no clinic {clinic!r} in the warehouse")
        known = _days_of_knowledge(session, week)
        results = _results(session, known["as_of"], week, clinic)
        if not results:
            raise CheckFailed(f"no metric results for {clinic or 'the network'}: run `dermastream refresh`")
        earlier = _results(session, known["earlier_as_of"], week, clinic) if known["earlier_as_of"] else []
        metrics_at = max(row["computed_at"] for row in results).astimezone(dt.UTC)
        books = store.rows(session, store.statement("report/landing_totals"), {"known_at": metrics_at})[0]
        protocols = [] if clinic else store.rows(session, store.statement("report/protocol"))

    as_of = known["as_of"].astimezone(dt.UTC)
    scope, scope_id = ("network", "network") if clinic is None else ("clinic", clinic)
    now, before = _figures(results), _figures(earlier)
    trend = _trend(now, week, as_of, scope, scope_id)
    tiles = _tiles(now, before, trend, scope, scope_id)
    rows = () if clinic else _clinic_rows(clinics, now, week)
    weeks = [IsoWeek.parse(point.week) for point in trend if not point.provisional][-2:]
    moves = [(row, _move(now, row.clinic_id, weeks)) for row in rows]
    newest = books.pop("newest_received_at")
    return ReportData(
        week=week.label,
        scope=scope,
        scope_id=scope_id,
        scope_name="Whole network" if clinic is None else clinics[0]["display_name"],
        revision=1,
        snapshot_id=snapshot,
        issued_at=computed_at.astimezone(dt.UTC),
        as_of=as_of,
        computed_at=metrics_at,
        data_to=newest.astimezone(dt.UTC) if newest else None,
        metric_versions=tuple(sorted({(figure.metric_id, figure.metric_version) for figure in now.values()})),
        changes=sentences(tiles, trend, moves),
        rule=RULE,
        notes=_notes(week, as_of),
        tiles=tiles,
        trend=trend,
        clinics=rows,
        protocols=_protocol_rows(protocols, now),
        landing=LandingTotals(**books),
    )


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────


def _days_of_knowledge(session: store.Connection, week: IsoWeek) -> dict[str, Any]:
    found = store.rows(session, store.statement("report/as_of"), {"week_end": week.end})
    if not found or found[0]["as_of"] is None:
        raise CheckFailed("no metric results in the warehouse yet: run `dermastream refresh`")
    return found[0]


def _results(
    session: store.Connection, as_of: dt.datetime, week: IsoWeek, clinic: str | None
) -> list[dict[str, Any]]:
    return store.rows(
        session,
        store.statement("report/result"),
        {
            "as_of": as_of,
            "clinic": clinic,
            "weeks_start": week.shifted(1 - TREND_WEEKS).start,
            "weeks_end": week.end,
        },
    )


# ── shaping ─────────────────────────────────────────────────────────────────────────────────────────────


def _figures(results: Sequence[Mapping[str, Any]]) -> dict[Key, Figure]:
    """Figures by key, small cells already suppressed."""
    figures: dict[Key, Figure] = {}
    for row in results:
        if row["metric_id"] not in METRICS:
            continue
        fields = {name: value for name, value in row.items() if name != "computed_at"}
        for name in ("interval_start", "interval_end"):
            fields[name] = fields[name].astimezone(dt.UTC)
        figure = Figure(**fields)
        start = figure.interval_start if figure.period == "week" else None
        key = (figure.metric_id, figure.scope, figure.scope_id, figure.period, start)
        figures[key] = _suppressed(figure) if _small(figure) else figure
    return figures


def _small(figure: Figure) -> bool:
    about_people = METRICS[figure.metric_id].about_people
    return about_people and figure.denominator is not None and 0 < figure.denominator < SMALLEST_SHOWN


def _suppressed(figure: Figure) -> Figure:
    return dataclasses.replace(
        figure,
        numerator=None,
        denominator=None,
        value=None,
        lower=None,
        upper=None,
        reason=None,
        suppressed=True,
    )


def _complementary(column: Mapping[str, Figure | None]) -> dict[str, Figure | None]:
    """Suppress a second cell where only one is: else total minus the rest would give it away."""
    shown = dict(column)
    if sum(figure is not None and figure.suppressed for figure in column.values()) != 1:
        return shown
    others = [
        (figure.denominator, name)
        for name, figure in column.items()
        if figure is not None and not figure.suppressed and figure.denominator
    ]
    if others:
        _, name = min(others)
        figure = column[name]
        assert figure is not None
        shown[name] = _suppressed(figure)
    return shown


def _settling(week: IsoWeek, as_of: dt.datetime) -> bool:
    return week.end + dt.timedelta(days=SETTLING_DAYS) > as_of


def _trend(
    figures: Mapping[Key, Figure], week: IsoWeek, as_of: dt.datetime, scope: str, scope_id: str
) -> tuple[TrendWeek, ...]:
    weeks = [week.shifted(back) for back in range(1 - TREND_WEEKS, 1)]
    return tuple(
        TrendWeek(
            each.label,
            figures.get(("adverse_event_incidence", scope, scope_id, "week", each.start)),
            _settling(each, as_of),
        )
        for each in weeks
    )


def _tiles(
    now: Mapping[Key, Figure],
    before: Mapping[Key, Figure],
    trend: Sequence[TrendWeek],
    scope: str,
    scope_id: str,
) -> tuple[Tile, ...]:
    last, this = trend[-2:]
    tiles = []
    if this.figure is not None:
        tiles.append(Tile(this.figure, last.figure, _explanation(this.figure), this.provisional))
    for metric_id in METRICS:
        key = (metric_id, scope, scope_id, "year", None)
        if key in now:
            tiles.append(Tile(now[key], before.get(key), _explanation(now[key]), provisional=False))
    return tuple(tiles)


def _explanation(figure: Figure) -> str:
    """The first sentence of the metric's card."""
    return CARDS[figure.metric_id].description.partition(". ")[0].rstrip(".") + "."


def _clinic_rows(
    clinics: Sequence[Mapping[str, Any]], figures: Mapping[Key, Figure], week: IsoWeek
) -> tuple[ClinicRow, ...]:
    names = {clinic["clinic_id"]: clinic["display_name"] for clinic in clinics}

    def column(metric_id: str, period: str, start: dt.datetime | None) -> dict[str, Figure | None]:
        return _complementary(
            {name: figures.get((metric_id, "clinic", name, period, start)) for name in names}
        )

    incidence = column("adverse_event_incidence", "year", None)
    incidence_week = column("adverse_event_incidence", "week", week.start)
    maintenance = column("maintenance_on_time", "year", None)
    calibration = column("device_in_calibration", "year", None)
    coverage = column("follow_up_coverage", "year", None)
    return tuple(
        ClinicRow(
            clinic_id,
            name,
            incidence[clinic_id],
            incidence_week[clinic_id],
            maintenance[clinic_id],
            calibration[clinic_id],
            coverage[clinic_id],
        )
        for clinic_id, name in names.items()
    )


def _protocol_rows(
    protocols: Sequence[Mapping[str, Any]], figures: Mapping[Key, Figure]
) -> tuple[ProtocolRow, ...]:
    def column(metric_id: str) -> dict[str, Figure | None]:
        return _complementary(
            {
                row["protocol_id"]: figures.get((metric_id, "protocol", row["protocol_id"], "year", None))
                for row in protocols
            }
        )

    incidence, improvement = column("adverse_event_incidence"), column("protocol_improvement")
    return tuple(
        ProtocolRow(
            row["protocol_id"],
            row["indication"],
            incidence[row["protocol_id"]],
            improvement[row["protocol_id"]],
        )
        for row in protocols
    )


def _move(figures: Mapping[Key, Figure], clinic_id: str, weeks: Sequence[IsoWeek]) -> str | None:
    if len(weeks) < 2:
        return None
    old, new = (
        figures.get(("adverse_event_incidence", "clinic", clinic_id, "week", each.start)) for each in weeks
    )
    return direction(new, old)


def _notes(week: IsoWeek, as_of: dt.datetime) -> tuple[str, ...]:
    notes = []
    if as_of < week.end:
        notes.append("The metrics were last computed before the week had ended: its figures are incomplete.")
    if _settling(week, as_of):
        notes.append(
            f"Weeks that ended less than {SETTLING_DAYS} days before the cut-off are provisional: an "
            "adverse event is often reported before the follow-ups of the other sessions are done, so early "
            "rates read too high."
        )
    return tuple(notes)
