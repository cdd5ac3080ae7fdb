"""Adherence: do patients come back in time, and do devices keep their schedule?"""

import datetime as dt

from dashboards import charts, words
from dashboards.language import day_of_year, percent, say
from dashboards.page import Cell, Chart, Column, Key, Line, Page, Panel, Table, text
from dashboards.queries import Row
from dashboards.views import overview, tables
from dashboards.views.context import NETWORK, Context
from dashboards.views.figures import figure, figure_column, freshness_of, index, weeks_of

PATIENTS = (
    "series_completion",
    "series_gap_on_time",
    "maintenance_on_time",
    "maintenance_return",
    "patient_days_covered",
)
DEVICES = ("device_in_calibration", "device_days_in_calibration", "sessions_while_overdue", "cartridge_reuse")
DEMAND = "maintenance_demand"


def build(context: Context) -> Page:
    """Raises NotThere for a clinic or device the reader does not reach."""
    rows = context.queries.results((*PATIENTS, *DEVICES, DEMAND), [NETWORK, context.chosen])
    results = index(rows)
    return Page(
        say("Adherence, {name}", name=context.title),
        say("Patients and devices, the 365 days up to {day}", day=words.day(context.as_of)),
        tiles=tuple(overview.tiles(context, results, rows, (*PATIENTS, *DEVICES))),
        panels=(
            _due(context),
            _curve(context),
            _demand(context, rows),
            _by_clinic(context, rows),
            tables.devices_panel(context),
            tables.people_panel(context),
        ),
    )


def _due(context: Context) -> Panel:
    rows = context.queries.read("due_count")
    mine = [row for row in rows if context.clinic in (None, row["clinic_id"])]
    names = ("due", "at_risk", "overdue", "total")
    lines = [
        Line(
            row["clinic_id"],
            (
                Cell(row["display_name"], href=context.state.to("/adherence", clinic=row["clinic_id"])),
                *(_count(row[name]) for name in names),
            ),
        )
        for row in mine
    ]
    columns = (
        Column("clinic", "Clinic"),
        Column("due", "Due", numeric=True),
        Column("at_risk", "At risk", numeric=True),
        Column("overdue", "Overdue", numeric=True),
        Column("total", "Together", numeric=True),
    )
    table = Table(
        "due",
        "Patients due by clinic",
        columns,
        tuple(lines),
        "No clinic is registered yet.",
        sort="overdue",
        order="desc",
    )
    note = (
        "Due: may be booked now. At risk: few who waited as long came in time. Overdue: after day "
        "183 (lapsed)."
    )
    data_to = max((row["as_of"] for row in rows if row["as_of"]), default=None)
    return Panel(
        "due", "Who is due for maintenance", table, note, data_to=words.moment(data_to) if data_to else ""
    )


def _count(value: int | None) -> Cell:
    if value is None:
        return Cell(words.SUPPRESSED, tone="missing", raw={"": None})
    return Cell(words.count(value), raw={"": value})


def _curve(context: Context) -> Panel:
    """Return curves: what part of the patients is back after so many days."""
    rows = context.queries.read("return_curve", clinic=context.clinic, as_of=context.as_of.date())
    network = {row["days"]: row for row in rows if row["scope"] == NETWORK}
    own = (
        network if context.clinic is None else {row["days"]: row for row in rows if row["scope"] == "clinic"}
    )
    beside = network if context.clinic else {}
    data = [
        {
            "days": days,
            "value": row["incidence"],
            "second": beside[days]["incidence"] if days in beside else None,
            "text": say(
                "{share}, {n} still followed", share=percent(row["incidence"]), n=words.count(row["followed"])
            ),
            "note": percent(beside[days]["incidence"]) if days in beside else "–",
        }
        for days, row in sorted(own.items())
    ]
    lines = [
        Line(
            str(each["days"]),
            (
                Cell(str(each["days"]), raw={"": each["days"]}),
                Cell(percent(each["value"], 1), raw={"": each["value"]}),
                Cell(words.count(own[each["days"]]["followed"]), raw={"": own[each["days"]]["followed"]}),
                Cell(percent(each["second"], 1), raw={"": each["second"]})
                if each["second"] is not None
                else text(None),
            ),
        )
        for each in data
    ]
    columns = (
        Column("days", "Days", numeric=True),
        Column("back", "Back", numeric=True),
        Column("followed", "Still followed", numeric=True),
        Column("network", "Network", numeric=True),
    )
    table = Table(
        "returns",
        say("Back to maintenance, {name}", name=context.title),
        columns,
        tuple(lines),
        "Nobody has been followed for long enough.",
        shown=60,
    )
    said = "; ".join(
        say("{share} after {days} days", share=percent(each["value"]), days=each["days"])
        for each in data
        if each["days"] in (91, 182, 364)
    )
    legend = (
        Key("solid", context.title),
        *((Key("net", "Network"),) if beside else ()),
        Key("range", "On time: day 90 to 183"),
    )
    chart = Chart(
        charts.curves(data, "back for maintenance"),
        say(
            "Curve of patients back to maintenance, {name}: {said}. The table has every week.",
            name=context.title,
            said=said,
        ),
        legend,
    )
    note = (
        "Who is not back yet counts for as long as they were followed; another course competes "
        "(Aalen-Johansen)."
    )
    return Panel(
        "returns",
        "When patients come back",
        table,
        note,
        chart if data else None,
        data_to=words.moment(context.as_of),
    )


def _demand(context: Context, rows: list[Row]) -> Panel:
    weeks = weeks_of(rows, DEMAND, context.scope_name, context.chosen, 12)
    data = [
        {
            "name": day_of_year(row["interval_start"]),
            "value": row["value"],
            "lower": row["lower"],
            "upper": row["upper"],
            "second": 0,
            "text": words.value_text(row),
            "note": words.interval_text(row),
        }
        for row in weeks
        if row["value"] is not None
    ]
    lines = [
        Line(f"{row['interval_start']:%Y-%m-%d}", (_week_from(row["interval_start"].date()), figure(row)))
        for row in weeks
    ]
    columns = (Column("week", "Week from"), figure_column(DEMAND, "Sessions expected"))
    table = Table("demand", "Maintenance sessions expected", columns, tuple(lines), "Nobody is waiting yet.")
    total = say(
        "Bar chart of maintenance sessions expected in each of {n} coming weeks, {name}. The table "
        "has every week.",
        n=len(data),
        name=context.title,
    )
    chart = Chart(charts.bars(data, "sessions expected", time=False), total, (Key("range", "Expected"),), 240)
    return Panel(
        "demand",
        "Maintenance sessions expected",
        table,
        chart=chart if data else None,
        **freshness_of(weeks, context.now),
    )


def _week_from(start: dt.date) -> Cell:
    return Cell(words.date(start), raw={"": start.isoformat()})


def _by_clinic(context: Context, rows: list[Row]) -> Panel:
    results = index(rows)
    shown = (
        "series_completion",
        "maintenance_on_time",
        "patient_days_covered",
        "device_days_in_calibration",
        "sessions_while_overdue",
    )
    lines = [
        Line(
            clinic_id,
            (
                Cell(clinic["display_name"], href=context.state.to("/adherence", clinic=clinic_id)),
                *(figure(results.get((metric_id, "clinic", clinic_id))) for metric_id in shown),
            ),
            chosen=clinic_id == context.clinic,
        )
        for clinic_id, clinic in context.clinics.items()
    ]
    columns = (Column("clinic", "Clinic"), *(figure_column(metric_id) for metric_id in shown))
    table = Table(
        "clinics",
        "Adherence by clinic",
        columns,
        tuple(lines),
        "No clinic is registered yet.",
        sort="clinic",
        wide=56,
    )
    return Panel("clinics", "Clinics", table, **freshness_of(rows, context.now))
