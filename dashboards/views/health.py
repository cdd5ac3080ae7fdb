"""Data health: is everything arriving, was anything refused, who is silent, do the books balance?"""

import datetime as dt

from dashboards import charts, words
from dashboards.language import number, say
from dashboards.page import Cell, Chart, Column, Field, Form, Key, Line, Page, Panel, Table, text
from dashboards.queries import Row
from dashboards.views.context import Context

HOURS = 48
SILENT_AFTER = dt.timedelta(days=4)
"""No session of a clinic for so long is worth a call: a weekend and two days off [assumption]."""


def build(context: Context) -> Page:
    operations = context.account.rights.operations
    quarantine = context.queries.read("quarantine") if operations else []
    waiting = sum(row["events"] for row in quarantine)
    newest = context.freshness
    facts = [
        ("Consumed", words.count(newest["consumed"])),
        ("Landed", words.count(newest["landed"])),
        ("Duplicates", words.count(newest["duplicate"])),
        ("Refused", words.count(newest["quarantined"])),
    ]
    panels = [_heard(context)]
    if operations:
        facts.append(("Waiting in quarantine", words.count(waiting)))
        panels = [_quarantine(quarantine), *panels, _ledger(context), _partitions(context)]
    return Page(
        "Data health",
        "What has arrived, what was refused, who is silent",
        facts=tuple(facts),
        panels=tuple(panels),
        links=(("Checks of what landed", context.state.to("/checks")),),
        forms=_forms(context, quarantine),
        asking="Land refused events after all",
    )


def _forms(context: Context, quarantine: list[Row]) -> tuple[Form, ...]:
    if not context.account.rights.replay or not quarantine:
        return ()
    rules = sorted({row["rule"] for row in quarantine})
    choice = Field("rule", "Rule that refused them", "select", options=tuple((rule, rule) for rule in rules))
    note = "Once a rule or a sender is mended. What is still refused waits on; done twice it changes nothing."
    return (Form("replay", "Replay", "/health/replay", "Replay", (choice,), note),)


def _quarantine(rows: list[Row]) -> Panel:
    lines = [
        Line(
            f"{row['topic']}.{row['rule']}",
            (
                Cell(row["rule"], row["detail"] or "", raw={"": row["rule"]}, lang="en"),
                text(row["topic"]),
                Cell(words.count(row["events"]), raw={"": row["events"]}),
                Cell(
                    words.moment(row["oldest_received_at"]), raw={"": row["oldest_received_at"].isoformat()}
                ),
                Cell(
                    words.moment(row["newest_received_at"]), raw={"": row["newest_received_at"].isoformat()}
                ),
            ),
        )
        for row in rows
    ]
    columns = (
        Column("rule", "Rule"),
        Column("topic", "Topic"),
        Column("events", "Events", numeric=True),
        Column("oldest", "Oldest"),
        Column("newest", "Newest"),
    )
    table = Table(
        "quarantine",
        "Refused events that wait, by rule",
        columns,
        tuple(lines),
        "Nothing waits: every event was accepted or dealt with.",
        wide=44,
    )
    note = "Kept whole, and never shown here: `dermastream quarantine show` prints one."
    return Panel("quarantine", "Refused events that wait", table, note)


def _heard(context: Context) -> Panel:
    rows = context.queries.read("clinic_heard", as_of=context.as_of)
    lines = [
        Line(row["clinic_id"], _heard_cells(context, row))
        for row in rows
        if context.clinic in (None, row["clinic_id"])
    ]
    columns = (
        Column("clinic", "Clinic"),
        Column("session", "Last session heard of"),
        Column("follow_up", "Last follow-up"),
        Column("lag", "Reporting lag, hours", numeric=True),
        Column("state", "State"),
    )
    table = Table(
        "clinics",
        "When each clinic was last heard of",
        columns,
        tuple(lines),
        "No clinic is registered yet.",
        sort="session",
        wide=34,
    )
    note = say(
        "Reporting lag: median from what happened to its arrival, last 30 days. Silent: no session for "
        "{span}.",
        span=words.span(SILENT_AFTER),
    )
    return Panel("clinics", "Late and silent clinics", table, note, data_to=words.moment(context.now))


def _heard_cells(context: Context, row: Row) -> tuple[Cell, ...]:
    at = row["session_received_at"]
    silent = at is None or context.now - at > SILENT_AFTER
    lag = row["lag_hours"]
    return (
        Cell(row["display_name"], href=context.state.to("/clinic", clinic=row["clinic_id"])),
        _moment(at, "not in 30 days"),
        _moment(row["follow_up_received_at"], "not in 30 days"),
        text(None) if lag is None else Cell(number(lag, 1), raw={"": lag}),
        Cell("silent", tone="alert", raw={"": "silent"})
        if silent
        else Cell("reporting", raw={"": "reporting"}),
    )


def _moment(at: dt.datetime | None, without: str = "never") -> Cell:
    return (
        Cell(without, tone="missing", raw={"": None})
        if at is None
        else Cell(words.moment(at), raw={"": at.isoformat()})
    )


def build_checks(context: Context) -> Page:
    """What the checks of landed events found when refresh last looked."""
    return Page(
        "Checks of what landed",
        "Events that miss or contradict others; they landed all the same",
        trail=(("Data health", context.state.to("/health")),),
        panels=(_quality(context),),
    )


def _quality(context: Context) -> Panel:
    rows = context.queries.read("data_quality")
    looked_at = context.queries.read("data_quality_at")
    lines = [
        Line(
            f"{row['check_id']}.{row['clinic_id']}",
            (
                text(row["check_id"]),
                text(row["display_name"] or row["clinic_id"]),
                Cell(words.count(row["subjects"]), raw={"": row["subjects"]}),
                Cell(words.count(row["events"]), raw={"": row["events"]}),
                _moment(row["first_occurred_at"]),
                _moment(row["last_occurred_at"]),
            ),
        )
        for row in rows
        if context.clinic in (None, row["clinic_id"])
    ]
    columns = (
        Column("check", "Check"),
        Column("clinic", "Clinic"),
        Column("subjects", "Subjects", numeric=True),
        Column("events", "Events", numeric=True),
        Column("first", "First"),
        Column("last", "Last"),
    )
    table = Table(
        "checks",
        "Events that miss or contradict others",
        columns,
        tuple(lines),
        "Every event has what it refers to." if looked_at else "Not looked at yet.",
        wide=44,
    )
    note = (
        "These landed all the same; a row goes away by itself once the missing event has arrived. Looked at "
        "again with the first change an hour later."
    )
    seen = words.moment(looked_at[0]["as_of"]) if looked_at else ""
    return Panel("checks", "Checks of what landed", table, note, data_to=seen)


def _ledger(context: Context) -> Panel:
    rows = context.queries.read("ledger", most=HOURS)
    ordered = list(reversed(rows))
    data = [
        {
            "on": f"{row['hour']:%Y-%m-%dT%H:%M:%SZ}",
            "name": words.moment(row["hour"]),
            "value": row["landed"],
            "second": row["quarantined"],
            "text": words.count(row["landed"]),
            "note": say(
                "{duplicate} duplicates, {refused} refused",
                duplicate=words.count(row["duplicate"]),
                refused=words.count(row["quarantined"]),
            ),
        }
        for row in ordered
    ]
    names = ("batches", "consumed", "landed", "duplicate", "quarantined")
    lines = [
        Line(
            f"{row['hour']:%Y%m%d%H}",
            (
                Cell(words.moment(row["hour"]), raw={"": row["hour"].isoformat()}),
                *(Cell(words.count(row[name]), raw={"": row[name]}) for name in names),
                text(None)
                if row["slowest_seconds"] is None
                else Cell(number(row["slowest_seconds"], 1), raw={"": row["slowest_seconds"]}),
                Cell("yes", raw={"": True}) if row["balanced"] else Cell("no", tone="alert", raw={"": False}),
            ),
        )
        for row in rows
    ]
    columns = (
        Column("hour", "Hour from"),
        *(Column(name, name.capitalize(), numeric=True) for name in names),
        Column("slowest", "Slowest, s", numeric=True),
        Column("balanced", "Adds up"),
    )
    table = Table(
        "ledger",
        "Landing ledger by hour",
        columns,
        tuple(lines),
        "Nothing has been landed yet.",
        shown=48,
        wide=56,
    )
    total = words.count(sum(row["landed"] for row in rows))
    said = say(
        "Bar chart of events landed in each of the newest {n} hours with any: {total} together. The "
        "table has every hour.",
        n=len(rows),
        total=total,
    )
    legend = (Key("range", "Landed"), Key("event", "Some were refused"))
    chart = Chart(charts.bars(data, "events landed", time=True), said, legend, 240)
    return Panel(
        "ledger",
        "Landing ledger",
        table,
        "Consumed = landed + duplicate + quarantined, or it does not add up.",
        chart if data else None,
    )


def _partitions(context: Context) -> Panel:
    rows = context.queries.read("partition")
    lines = [
        Line(
            f"{row['topic']}.{row['partition']}",
            (
                text(row["topic"]),
                Cell(str(row["partition"]), raw={"": row["partition"]}),
                Cell(words.count(row["next_offset"]), raw={"": row["next_offset"]}),
                _moment(row["newest_received_at"]),
                _moment(row["updated_at"]),
            ),
        )
        for row in rows
    ]
    columns = (
        Column("topic", "Topic"),
        Column("partition", "Partition", numeric=True),
        Column("next_offset", "Next offset", numeric=True),
        Column("received", "Newest event"),
        Column("updated", "Moved"),
    )
    table = Table(
        "partitions",
        "Progress by partition",
        columns,
        tuple(lines),
        "Landing has not begun.",
        shown=60,
        wide=34,
    )
    return Panel("partitions", "Progress by partition", table)
