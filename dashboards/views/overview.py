"""The overview: open signals first, the headlines, the trend, every clinic, every protocol."""

from dashboards import words
from dashboards.language import percent_sign, say
from dashboards.page import Cell, Column, Line, Page, Panel, Table, Tile
from dashboards.queries import Row
from dashboards.views import signals
from dashboards.views.context import NETWORK, Context
from dashboards.views.figures import (
    Results,
    figure,
    figure_column,
    freshness_of,
    index,
    spark,
    trend_panel,
)
from dashboards.words import METRICS

INCIDENCE = "adverse_event_incidence"
CLINIC_METRICS = (INCIDENCE, "follow_up_coverage", "maintenance_on_time", "device_in_calibration")
TILE_METRICS = (*CLINIC_METRICS, "protocol_improvement")
PROTOCOL_METRICS = (INCIDENCE, "protocol_improvement")
Y_TITLE = "per 100 sessions"


def build(context: Context) -> Page:
    """Raises NotThere for a clinic the reader does not reach."""
    rows = context.queries.results(TILE_METRICS, [NETWORK, context.chosen])
    results = index(rows)
    panels = [signals.open_panel(context)]
    if any(row["period"] == "week" for row in rows):
        title = "Adverse events per 100 sessions, by week"
        panels.append(trend_panel(context, rows, INCIDENCE, title=title, y_title=Y_TITLE))
    panels.append(clinics_panel(context, results, rows))
    if protocols := context.queries.protocols():
        panels.append(_protocols_panel(context, protocols, results, rows))
    as_of = context.freshness["newest_as_of"]
    return Page(
        context.title,
        say("The 365 days up to {day}", day=words.day(as_of)) if as_of else "No metrics yet",
        leading=1,
        tiles=tuple(tiles(context, results, rows, TILE_METRICS)),
        panels=tuple(panels),
    )


def tiles(context: Context, results: Results, rows: list[Row], metrics: tuple[str, ...]) -> list[Tile]:
    """The metrics of what the page is about; a clinic's tile names the network's value beside it."""
    shown = []
    for metric_id in metrics:
        row = results.get((metric_id, context.scope_name, context.chosen))
        if row is None:
            continue
        network = results.get((metric_id, NETWORK, NETWORK)) if context.clinic else None
        path, said = spark(rows, metric_id, context.scope_name, context.chosen)
        shown.append(
            Tile(
                metric_id,
                words.title(metric_id),
                METRICS[metric_id].explanation if metric_id in METRICS else "",
                words.value_text(row),
                words.interval_text(row),
                words.counts_text(row),
                change(row),
                f"{say('Network')} {words.value_text(network)}" if network else "",
                row["value"] is not None,
                path,
                said,
            )
        )
    return shown


def change(row: Row) -> str:
    """`+0.6 since 23 February 2026`: a difference between two days of knowledge, not a finding."""
    if row["value"] is None or row["earlier_value"] is None:
        return ""
    since = words.day(row["earlier_as_of"])
    text = words.number(row["metric_id"], abs(row["value"] - row["earlier_value"]))
    if not any(digit in text for digit in "123456789"):
        return say("unchanged since {day}", day=since)
    text = ("+" if row["value"] > row["earlier_value"] else "−") + text
    if text.endswith("%"):
        return say("{number} points since {day}", number=text.removesuffix(percent_sign()), day=since)
    return say("{number} since {day}", number=text, day=since)


def clinics_panel(context: Context, results: Results, rows: list[Row]) -> Panel:
    """Every clinic the reader sees, one figure a metric; a click goes one step down."""
    columns = [Column("name", "Clinic"), *(figure_column(metric_id) for metric_id in CLINIC_METRICS)]
    lines = []
    for clinic_id, clinic in context.clinics.items():
        name = Cell(clinic["display_name"], href=context.state.to("/clinic", clinic=clinic_id))
        cells = [figure(results.get((metric_id, "clinic", clinic_id))) for metric_id in CLINIC_METRICS]
        lines.append(Line(clinic_id, (name, *cells), chosen=clinic_id == context.chosen))
    table = Table(
        "clinics",
        "Clinics",
        tuple(columns),
        tuple(lines),
        "No clinic is registered yet.",
        sort="name",
        wide=44,
    )
    note = (
        "Each figure with its 95% interval and what it was counted from. Follow-up coverage tells how far "
        "the adverse events are known."
    )
    return Panel("clinics", "Clinics", table, note, **freshness_of(rows, context.now))


def _protocols_panel(context: Context, protocols: list[Row], results: Results, rows: list[Row]) -> Panel:
    columns = [Column("protocol", "Protocol"), *(figure_column(metric_id) for metric_id in PROTOCOL_METRICS)]
    lines = [
        Line(
            row["protocol_id"],
            (
                Cell(
                    row["protocol_id"],
                    words.version_for(row),
                    href=context.state.to("/protocols", protocol=row["protocol_id"]),
                ),
                *(figure(results.get((m, "protocol", row["protocol_id"]))) for m in PROTOCOL_METRICS),
            ),
            chosen=row["protocol_id"] == context.state.protocol,
        )
        for row in protocols
    ]
    table = Table(
        "protocols", "Protocols", tuple(columns), tuple(lines), "No protocol is published yet.", wide=34
    )
    note = (
        "Protocols are not compared like with like here: deeper protocols are chosen for older, deeper scars."
    )
    link = ("Compared with patients made alike", context.state.to("/protocols"))
    return Panel("protocols", "Protocols", table, note, link=link, **freshness_of(rows, context.now))
