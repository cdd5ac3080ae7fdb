"""Freeze one edition of the weekly report: from the week's facts to what one reader may see."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.report import suppression
from dashboards.report.changes import RULE, SETTLING_DAYS, direction, sentences
from dashboards.report.model import (
    CheckRow,
    ClinicRow,
    DeviceRow,
    DueRow,
    Figure,
    LandingTotals,
    ProtocolRow,
    ReportData,
    Tile,
    TrendWeek,
)
from dashboards.report.reading import TREND_WEEKS, Facts, Key, read
from dashboards.report.safety import funnel, signals_within
from dashboards.report.week import IsoWeek
from dashboards.report.words import CHECKS_OF_THINGS, METRICS, SMALLEST_SHOWN, day
from producers.contracts.errors import CheckFailed, SettingsError
from warehouse import store
from warehouse.metrics.cards import CARDS

MOST_DEVICES = 20
"""Overdue devices an edition lists, the longest overdue first; the figure counts all of them."""

_LETTER = ("US", "CA", "MX", "PH", "CL", "CO", "VE")
"""Countries that print on Letter: CLDR's paper sizes."""


def editions(connection: store.Connection) -> list[str | None]:
    """Every edition there is: null for the network, then each clinic by its id, in order of name."""
    clinics = store.rows(connection, store.statement("report/clinic"))
    return [None, *(clinic["clinic_id"] for clinic in clinics)]


def freeze(
    connection: store.Connection,
    *,
    week: IsoWeek,
    clinic: str | None,
    computed_at: dt.datetime,
    dashboard_url: str = "",
) -> ReportData:
    """The edition of `week` for one clinic, or for the network where `clinic` is null; revision 1.

    Every query sees the same snapshot. `computed_at` is the issue's own time; nothing here asks a clock.
    Raises SettingsError for an unknown clinic, CheckFailed where no metric was ever computed.
    """
    return edition(read(connection, week), clinic, computed_at=computed_at, dashboard_url=dashboard_url)


def edition(
    facts: Facts, clinic: str | None, *, computed_at: dt.datetime, dashboard_url: str = ""
) -> ReportData:
    """One edition from facts already read: see `freeze`. Only this clinic's rows go into a clinic's."""
    scope, scope_id = ("network", "network") if clinic is None else ("clinic", clinic)
    known = {row["clinic_id"]: row for row in facts.clinics}
    if clinic is not None and clinic not in known:
        raise SettingsError(f"no clinic {clinic!r} in the warehouse")
    mine = set(known) if clinic is None else {clinic}
    names = {each: row["display_name"] for each, row in known.items() if each in mine}
    now = {
        key: figure
        for key, figure in facts.figures.items()
        if clinic is None or key[1:3] == (scope, scope_id)
    }
    if not now:
        raise CheckFailed(f"no metric results for {clinic or 'the network'}: run `dermastream refresh`")
    trend = _trend(now, facts.week, facts.as_of, scope, scope_id)
    tiles = _tiles(now, facts.history, trend, scope, scope_id)
    rows = _clinic_rows(names, now, facts.week) if clinic is None else ()
    weeks = [IsoWeek.parse(point.week) for point in trend if not point.provisional][-2:]
    moves = [(row, _move(now, row.clinic_id, weeks)) for row in rows]
    books = dict(facts.books)
    newest = books.pop("newest_received_at")
    return ReportData(
        week=facts.week.label,
        scope=scope,
        scope_id=scope_id,
        scope_name="Whole network" if clinic is None else names[clinic],
        revision=1,
        snapshot_id=facts.snapshot_id,
        issued_at=computed_at.astimezone(dt.UTC),
        as_of=facts.as_of,
        computed_at=facts.metrics_at,
        data_to=newest.astimezone(dt.UTC) if newest else None,
        metric_versions=tuple(sorted({(figure.metric_id, figure.metric_version) for figure in now.values()})),
        changes=sentences(tiles, trend, moves),
        rule=RULE,
        notes=_notes(facts, mine, names),
        tiles=tiles,
        trend=trend,
        clinics=rows,
        protocols=_protocol_rows(facts.protocols, now) if clinic is None else (),
        landing=LandingTotals(**books),
        signals=signals_within(facts, clinic),
        funnel=funnel(facts, names),
        due=_due(facts, names),
        devices=_devices(facts, names),
        checks=_checks(facts, mine),
        sessions=sum(facts.watermarks[each]["sessions"] for each in mine if each in facts.watermarks),
        dashboard_url=dashboard_url.rstrip("/"),
        paper=_paper(known[clinic]["locale"]) if clinic else "a4",
    )


def _paper(locale: str | None) -> str:
    return "us-letter" if (locale or "").replace("_", "-").split("-")[-1].upper() in _LETTER else "a4"


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────


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
    history: Sequence[Mapping[Key, Figure]],
    trend: Sequence[TrendWeek],
    scope: str,
    scope_id: str,
) -> tuple[Tile, ...]:
    last, this = trend[-2:]
    tiles = []
    if this.figure is not None:
        weeks = tuple(point.figure for point in trend)
        tiles.append(Tile(this.figure, last.figure, _explanation(this.figure), this.provisional, weeks))
    for metric_id in METRICS:
        key = (metric_id, scope, scope_id, "year", None)
        if key in now:
            weeks = (*(week.get(key) for week in reversed(history)), now[key])
            tiles.append(Tile(now[key], weeks[-2], _explanation(now[key]), False, weeks))
    return tuple(tiles)


def _explanation(figure: Figure) -> str:
    """The first sentence of the metric's card."""
    return CARDS[figure.metric_id].description.partition(". ")[0].rstrip(".") + "."


def _clinic_rows(
    names: Mapping[str, str], figures: Mapping[Key, Figure], week: IsoWeek
) -> tuple[ClinicRow, ...]:
    def column(metric_id: str, period: str, start: dt.datetime | None) -> dict[str, Figure | None]:
        return suppression.complementary(
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
        return suppression.complementary(
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


# ── people, devices, data ───────────────────────────────────────────────────────────────────────────────


def _due(facts: Facts, names: Mapping[str, str]) -> tuple[DueRow, ...] | None:
    """Counts by clinic, all of them last where there are several; null without a list of that day."""
    if not facts.due:
        return None
    found = {row["clinic_id"]: row for row in facts.due if row["clinic_id"] in names}
    kinds = ("due", "at_risk", "overdue")
    columns = {
        kind: {clinic: found[clinic][kind] if clinic in found else 0 for clinic in names} for kind in kinds
    }
    shown = {kind: suppression.counts(columns[kind]) for kind in kinds}
    rows = [DueRow(clinic, name, *(shown[kind][clinic] for kind in kinds)) for clinic, name in names.items()]
    if len(names) > 1:
        totals = (suppression.counts({"all": sum(columns[kind].values())})["all"] for kind in kinds)
        rows.append(DueRow("network", "Whole network", *totals))
    return tuple(rows)


def _devices(facts: Facts, names: Mapping[str, str]) -> tuple[DeviceRow, ...]:
    mine = [row for row in facts.devices if row["clinic_id"] in names][:MOST_DEVICES]
    return tuple(
        DeviceRow(
            row["clinic_id"],
            names[row["clinic_id"]],
            row["device_id"],
            row["last_calibrated_on"],
            row["days_overdue"],
        )
        for row in mine
    )


def _checks(facts: Facts, mine: set[str]) -> tuple[CheckRow, ...]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in facts.checks:
        if row["clinic_id"] in mine:
            found.setdefault(row["check_id"], []).append(row)
    return tuple(_check(check, rows) for check, rows in found.items())


def _check(check_id: str, rows: Sequence[Mapping[str, Any]]) -> CheckRow:
    subjects = sum(row["subjects"] for row in rows)
    if subjects < SMALLEST_SHOWN and check_id not in CHECKS_OF_THINGS:
        return CheckRow(check_id, None, None)
    return CheckRow(check_id, subjects, sum(row["events"] for row in rows))


def _notes(facts: Facts, mine: set[str], names: Mapping[str, str]) -> tuple[str, ...]:
    notes = []
    if facts.as_of < facts.week.end:
        notes.append("The metrics were last computed before the week had ended: its figures are incomplete.")
    elif behind := waiting_for(facts.watermarks, facts.week, mine):
        named = ", ".join(f"{names[clinic]} (to {day(at)})" for clinic, at in behind.items())
        notes.append(
            f"Data of this week may still be missing: nothing of a later day has come yet from {named}."
        )
    if _settling(facts.week, facts.as_of):
        notes.append(
            f"Weeks that ended less than {SETTLING_DAYS} days before the cut-off are provisional: an "
            "adverse event is often reported before the follow-ups of the other sessions are done, so early "
            "rates read too high."
        )
    return tuple(notes)


def waiting_for(
    watermarks: Mapping[str, Mapping[str, Any]],
    week: IsoWeek,
    mine: set[str],
    *,
    grace: dt.timedelta = dt.timedelta(0),
) -> dict[str, dt.datetime]:
    """Clinics whose data does not reach past the week's end and `grace`, and how far it reaches.

    A clinic that has been silent since before the week before is not waited for: it is closed, or gone, and
    follow-up coverage shows it.
    """
    found = {clinic: row["watermark_at"] for clinic, row in watermarks.items() if clinic in mine}
    return {
        clinic: at.astimezone(dt.UTC)
        for clinic, at in found.items()
        if at is not None and week.shifted(-1).start <= at < week.end + grace
    }
