"""Tracing: from a device, lot, cartridge or operator to everything connected with it, and one session
whole."""

import datetime as dt
from typing import Any

from dashboards import charts, words
from dashboards.language import number, say, speaking
from dashboards.page import Cell, Chart, Column, Field, Form, Key, Line, Page, Panel, Table, text
from dashboards.queries import Row
from dashboards.state import SKIN_TYPES
from dashboards.views import tables
from dashboards.views.context import Context, NotThere

SLICES = 400
"""Points a telemetry chart has at most: more than pixels show, less than a page's weight."""


def build(context: Context) -> Page:
    """Raises NotThere for what is not of the reader's clinics."""
    state = context.state
    clinic, device = context.owned(state.device)
    by_operator, operator = context.owned(state.operator)
    asked = {
        "device": state.device,
        "operator": state.operator,
        "lot": state.lot,
        "cartridge": state.cartridge,
    }
    about = [(name, value) for name, value in asked.items() if value]
    if not about:
        return Page(
            "Trace",
            "From a device, a cartridge, a lot or an operator to every session connected with it",
            forms=(_search(context),),
            asking="What do you look for?",
            panels=(tables.devices_panel(context),),
        )
    rows = context.queries.read(
        "connected",
        clinic=clinic or by_operator or context.clinic,
        device=device,
        operator=operator,
        lot=state.lot,
        cartridge=state.cartridge,
        start=context.start,
        as_of=context.as_of,
    )
    if not rows and (state.lot or state.cartridge) and not context.account.scope.every_clinic:
        raise NotThere
    name, value = about[0]
    where = context.name_of(value.partition("/")[0]) if name in ("device", "operator") else context.title
    panels = [_connected(context, rows)]
    if device:
        panels.append(tables.devices_panel(context))
    return Page(
        f"{words.heading(name)} {value.partition('/')[2] or value}",
        say(
            "{where}; sessions of the {span} up to {day}",
            where=where,
            span=words.span(context.as_of - context.start),
            day=words.day(context.as_of),
        ),
        trail=_trail(context, clinic or by_operator),
        panels=(*panels, tables.sessions_panel(context, title="Its sessions")),
        forms=(_search(context),),
        asking="Look for something else",
    )


def _trail(context: Context, clinic: str | None) -> tuple[tuple[str, str], ...]:
    trail = (
        [("Network", context.state.to("/", clinic="network", device=None))] if context.network_seen else []
    )
    if clinic:
        trail.append((context.name_of(clinic), context.state.to("/clinic", clinic=clinic, device=None)))
    return (*trail, ("Trace", context.state.to("/trace", device=None)))


def _search(context: Context) -> Form:
    fields = (
        Field("lot", "Cartridge lot", value=context.state.lot or "", required=False),
        Field("cartridge", "Cartridge serial", value=context.state.cartridge or "", required=False),
    )
    kept = tuple(
        Field(name, "", "hidden", value)
        for name, value in context.state.hidden(
            ("lot", "cartridge", "device", "operator", "session", "sort", "order")
        )
    )
    return Form("search", "Cartridge or lot", "/trace", "Look", fields + kept, method="get")


def _connected(context: Context, rows: list[Row]) -> Panel:
    lines = []
    for row in rows:
        its, kind = row["id"], row["kind"]
        url = {
            "clinic": context.state.to("/clinic", clinic=its),
            "device": context.state.to("/trace", device=its),
            "operator": context.state.to("/trace", operator=its, device=None),
            "lot": context.state.to("/trace", lot=its, device=None),
        }.get(kind, "")
        shown = context.name_of(its) if kind == "clinic" else its.partition("/")[2] or its
        events = row["sessions_with_event"]
        lines.append(
            Line(
                f"{kind}.{its.replace('/', '.')}",
                (
                    Cell(shown, href=url, raw={"": its}),
                    text(kind),
                    Cell(words.count(row["sessions"]), raw={"": row["sessions"]}),
                    Cell(words.SUPPRESSED, tone="missing", raw={"": None})
                    if events is None
                    else Cell(words.count(events), raw={"": events}),
                ),
            )
        )
    columns = (
        Column("thing", "Connected with"),
        Column("kind", "What it is"),
        Column("sessions", "Sessions", numeric=True),
        Column("with_event", "With an adverse event", numeric=True),
    )
    table = Table(
        "connected",
        "Everything connected",
        columns,
        tuple(lines),
        "No session is connected with it in this period.",
    )
    note = "Counts say where to look, not what is to blame: for that see Safety."
    return Panel("connected", "Everything connected", table, note, data_to=words.moment(context.as_of))


# ── one session ─────────────────────────────────────────────────────────────────────────────────────────


def build_session(context: Context) -> Page:
    """One session with what the device measured and what came of it. Raises NotThere."""
    clinic, session_id = context.owned(context.state.session)
    found = context.queries.read("session", clinic=clinic, session=session_id) if session_id else []
    if not found:
        raise NotThere
    with speaking(zone=found[0]["time_zone"]):
        return _session(context, found[0])


def _session(context: Context, row: Row) -> Page:
    clinic, session_id = row["clinic_id"], row["session_id"]
    device = f"{clinic}/{row['device_id']}"
    samples = context.queries.read(
        "session_telemetry",
        clinic=clinic,
        session=session_id,
        device=row["device_id"],
        begun=row["started_at"] or row["completed_at"] - dt.timedelta(hours=2),
        ended=row["completed_at"],
        most=SLICES,
    )
    return Page(
        say("Session {name}", name=session_id),
        say(
            "{clinic}, completed {moment} (clinic's clock: {zone})",
            clinic=row["display_name"],
            moment=words.moment(row["completed_at"]),
            zone=row["time_zone"],
        ),
        facts=_facts(row),
        trail=(*_trail(context, clinic)[:-1], (row["device_id"], context.state.to("/trace", device=device))),
        panels=(
            _measured(samples, "depth", "Needle depth, mm", "depth_mm", row["depth_mm"]),
            _measured(
                samples, "stroke", "Strokes per minute", "stroke_rate_per_min", row["stroke_rate_per_min"]
            ),
            _outcomes(context, clinic, session_id),
        ),
        links=(
            ("This device", context.state.to("/trace", device=device)),
            *(
                (
                    (
                        "This operator",
                        context.state.to("/trace", operator=f"{clinic}/{row['operator_id']}", device=None),
                    ),
                )
                if row["operator_id"]
                else ()
            ),
            *(
                (("This lot", context.state.to("/trace", lot=row["cartridge_lot"], device=None)),)
                if row["cartridge_lot"]
                else ()
            ),
        ),
    )


def _facts(row: Row) -> tuple[tuple[str, str], ...]:
    return (
        ("Patient", row["patient_key"][:12]),
        ("Skin type", SKIN_TYPES.get(str(row["skin_type"]), "unknown")),
        ("Age", row["age_band"] or "unknown"),
        ("Concern", words.plain(row["indication"])),
        ("Area", words.plain(row["area"])),
        (
            "Phase",
            say("{phase}, session {number}", phase=words.plain(row["phase"]), number=row["session_number"]),
        ),
        ("Protocol", say("{name} version {number}", name=row["protocol_id"], number=row["protocol_version"])),
        ("Depth set", "–" if row["depth_mm"] is None else f"{number(row['depth_mm'], 2)} mm"),
        ("Passes", str(row["passes"] or "–")),
        (
            "Cartridge",
            say(
                "{serial}, lot {lot}", serial=row["cartridge_serial"] or "–", lot=row["cartridge_lot"] or "–"
            ),
        ),
        (
            "Contraindication overridden",
            {True: "yes", False: "no", None: "unknown"}[row["contraindication_overridden"]],
        ),
    )


def _measured(samples: list[Row], panel_id: str, title: str, name: str, set_to: float | None) -> Panel:
    """One measured quantity through the session beside what was set."""
    data: list[dict[str, Any]] = [
        {
            "minutes": round(row["seconds"] / 60, 3),
            "value": row[name],
            "lower": row[f"{name}_min"],
            "upper": row[f"{name}_max"],
        }
        for row in samples
    ]
    decimals = 0 if panel_id == "stroke" else 2
    lines = [
        Line(
            str(place),
            tuple(
                Cell(number(each[part], 2 if part == "minutes" else decimals), raw={"": each[part]})
                for part in ("minutes", "value", "lower", "upper")
            ),
        )
        for place, each in enumerate(data)
    ]
    columns = (
        Column("minutes", "Minutes", numeric=True),
        Column("mean", "Mean", numeric=True),
        Column("lowest", "Lowest", numeric=True),
        Column("highest", "Highest", numeric=True),
    )
    table = Table(
        panel_id,
        say("{title}, measured", title=say(title)),
        columns,
        tuple(lines),
        "No telemetry is kept for this session.",
        shown=60,
    )
    if not data:
        return Panel(panel_id, title, table)
    lowest, highest = min(each["lower"] for each in data), max(each["upper"] for each in data)
    chosen = None if set_to is None else number(set_to, decimals)
    setting = say("Set to {value}.", value=chosen) if chosen else say("The setting is not known.")
    said = say(
        "Line chart: {title}, through the session: {lowest} to {highest}. {setting} The table has "
        "every slice.",
        title=say(title),
        lowest=number(lowest, decimals),
        highest=number(highest, decimals),
        setting=setting,
    )
    legend = [Key("own", "Measured: mean, lowest and highest of each slice")]
    legend += [] if set_to is None else [Key("net", say("Set: {value}", value=chosen))]
    return Panel(
        panel_id,
        title,
        table,
        chart=Chart(charts.telemetry(data, set_to, say(title)), said, tuple(legend), 240),
    )


def _moment(at: dt.datetime | None) -> Cell:
    return text(None) if at is None else Cell(words.moment(at), raw={"": at.isoformat()})


def _outcomes(context: Context, clinic: str | None, session_id: str | None) -> Panel:
    rows = context.queries.read("session_outcome", clinic=clinic, session=session_id, as_of=context.now)
    lines = [
        Line(
            str(place),
            (
                _moment(row["moment"]),
                text(row["kind"]),
                text(words.plain(row["what"])),
                text(
                    None
                    if row["grade"] is None
                    else say("{grade}, serious", grade=row["grade"])
                    if row["serious"]
                    else str(row["grade"])
                ),
                text({True: "expected reaction", False: "adverse event", None: None}[row["expected"]]),
                _moment(row["ended_at"]),
            ),
        )
        for place, row in enumerate(rows)
    ]
    columns = (
        Column("at", "When"),
        Column("kind", "What"),
        Column("said", "Said"),
        Column("grade", "Grade"),
        Column("expected", "Taken as"),
        Column("ended", "Gone"),
    )
    empty = "Nobody has followed up yet: the outcome is unknown, not good."
    return Panel(
        "outcomes", "What came of it", Table("outcomes", "Outcomes", columns, tuple(lines), empty, wide=34)
    )
