"""One clinic: its headlines, its trend with limits and what happened, reporting, devices, people due,
sessions."""

from dashboards import words
from dashboards.language import number, say
from dashboards.page import Cell, Column, Line, Page, Panel, Table, text
from dashboards.queries import Row
from dashboards.state import SKIN_TYPES
from dashboards.views import overview, signals, tables
from dashboards.views.context import NETWORK, Context
from dashboards.views.figures import figure, freshness_of, index, trend_panel

METRICS = (
    *overview.CLINIC_METRICS,
    "follow_up_in_time",
    "series_completion",
    "contraindication_overridden",
    "cartridge_reuse",
)
_TILES = (*overview.CLINIC_METRICS,)
_REPORTING = (
    "follow_up_coverage",
    "follow_up_in_time",
    "contraindication_overridden",
    "cartridge_reuse",
    "series_completion",
)


def build(context: Context) -> Page:
    """Raises NotThere for a clinic the reader does not reach."""
    rows = context.queries.results(METRICS, [NETWORK, context.chosen])
    results = index(rows)
    if context.clinic is None:
        panel = overview.clinics_panel(context, results, rows)
        return Page("Clinics", "Choose one to see what is behind its figures", panels=(panel,))
    clinic = context.clinics[context.clinic]
    limits = context.queries.of_clinic("week_limit", context.clinic, metric=overview.INCIDENCE)
    events = [
        event
        for name in ("annotation", "recall")
        for event in context.queries.read(
            name, clinic=context.clinic, start=context.start, as_of=context.as_of
        )
    ]
    trend = trend_panel(
        context,
        rows,
        overview.INCIDENCE,
        title="Adverse events per 100 sessions, by week",
        y_title=overview.Y_TITLE,
        events=events,
        limits={row["interval_start"]: row for row in limits},
    )
    return Page(
        context.title,
        say(
            "The 365 days up to {day}; the clinic's clock is {zone}",
            day=words.day(context.as_of),
            zone=clinic["time_zone"],
        ),
        leading=1,
        tiles=tuple(overview.tiles(context, results, rows, _TILES)),
        trail=(("Network", context.state.to("/", clinic=NETWORK)),) if context.network_seen else (),
        panels=(
            signals.open_panel(context),
            trend,
            _reporting(context, rows),
            _mix(context),
            tables.devices_panel(context),
            tables.people_panel(context),
            tables.sessions_panel(context),
        ),
        links=(
            ("Safety of this clinic", context.state.to("/safety")),
            ("Adherence", context.state.to("/adherence")),
        ),
    )


def _reporting(context: Context, rows: list[Row]) -> Panel:
    """How far what we know of the clinic can be trusted, beside the network."""
    results = index(rows)
    reporting = context.queries.of_clinic(
        "group", context.clinic, metrics=["adverse_event_reporting"], scopes=["clinic"], clinic=None
    )
    lines = [
        Line(
            metric_id,
            (
                text(words.title(metric_id)),
                figure(results.get((metric_id, "clinic", context.chosen))),
                figure(results.get((metric_id, NETWORK, NETWORK))),
            ),
        )
        for metric_id in _REPORTING
    ]
    lines += [
        Line(row["metric_id"], (text("Events reported over expected"), figure(row), text(None)))
        for row in reporting
    ]
    columns = (
        Column("measure", "Measure"),
        Column(
            "clinic",
            context.title,
            numeric=True,
            parts=("", "lower", "upper", "numerator", "denominator", "reason"),
            sortable=False,
        ),
        Column(
            "network",
            "Network",
            numeric=True,
            parts=("", "lower", "upper", "numerator", "denominator", "reason"),
            sortable=False,
        ),
    )
    table = Table(
        "reporting", "Reporting and follow-up", columns, tuple(lines), "Nothing computed yet.", wide=34
    )
    note = "A clinic that does not follow up has unknown adverse events, not few."
    return Panel("reporting", "Reporting and follow-up", table, note, **freshness_of(rows, context.now))


def _mix(context: Context) -> Panel:
    """Which protocols were used in the period, and for which skin types."""
    rows = context.queries.read("mix", clinic=context.clinic, start=context.start, as_of=context.as_of)
    lines = [
        Line(
            f"{row['protocol_id']}.{row['skin_type']}",
            (
                text(row["protocol_id"]),
                Cell(SKIN_TYPES.get(str(row["skin_type"]), say("unknown")), raw={"": row["skin_type"]}),
                Cell(words.count(row["sessions"]), raw={"": row["sessions"]}),
                Cell(words.count(row["patients"]), raw={"": row["patients"]})
                if row["patients"] is not None
                else Cell(words.SUPPRESSED, tone="missing", raw={"": None}),
                text(None)
                if row["depth_mm"] is None
                else Cell(number(row["depth_mm"], 2), raw={"": row["depth_mm"]}),
            ),
        )
        for row in rows
    ]
    columns = (
        Column("protocol", "Protocol"),
        Column("skin", "Skin type"),
        Column("sessions", "Sessions", numeric=True),
        Column("patients", "Patients", numeric=True),
        Column("depth", "Mean depth, mm", numeric=True),
    )
    table = Table("mix", "Protocol mix", columns, tuple(lines), "No session in this period.", shown=30)
    return Panel("mix", "Protocol mix", table, data_to=words.moment(context.as_of))
