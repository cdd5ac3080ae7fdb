"""Tables that several pages have: groups, devices, sessions, people due."""

import datetime as dt
from collections.abc import Callable, Sequence

from dashboards import words
from dashboards.language import number, percent, plural, say, short
from dashboards.page import FIGURE, Cell, Column, Line, Lines, Panel, Table, text
from dashboards.queries import Row
from dashboards.state import SKIN_TYPES
from dashboards.views.context import Context
from dashboards.views.figures import figure, finding, group_name, group_url

MOST_ROWS = 2_000
"""Rows of a list of sessions or patients; further ones need a narrower filter."""
SOON = dt.timedelta(days=30)

_GROUP_COLUMNS = (
    Column("name", "Group"),
    Column("ratio", "Observed / expected", numeric=True, parts=FIGURE),
    Column("q", "False discovery rate", numeric=True),
    Column("detectable", "Would be found from", numeric=True),
    Column("finding", "Finding"),
)


def group_table(
    context: Context, table_id: str, title: str, rows: Sequence[Row], *, named: str = "Group"
) -> Table:
    """One line a group, the flagged and the highest first."""
    ordered = sorted(rows, key=lambda row: (row["flag"] is None, -(row["value"] or 0.0), row["scope_id"]))
    lines = [Line(row["scope_id"], _group_cells(context, row)) for row in ordered]
    columns = (Column("name", named), *_GROUP_COLUMNS[1:])
    return Table(table_id, title, columns, tuple(lines), "Nothing to compare here yet.", shown=50, wide=44)


def _group_cells(context: Context, row: Row) -> tuple[Cell, ...]:
    where = (
        context.name_of(row["clinic_id"])
        if row["scope"] in ("operator", "device") and not context.clinic
        else ""
    )
    name = Cell(group_name(context, row), where, href=group_url(context, row), raw={"": row["scope_id"]})
    said, days = finding(row), row["consecutive_flags"]
    return (
        name,
        figure(row),
        _number(row["q"], short),
        _number(row["detectable_ratio"], lambda ratio: say("{n} times", n=number(ratio, 1))),
        Cell(
            said,
            plural("{n} day in a row", "{n} days in a row", days) if row["flag"] and days else "",
            tone="alert" if row["flag"] else "",
            raw={"": row["flag"]},
        ),
    )


def _number(value: float | None, said: Callable[[float], str]) -> Cell:
    return text(None) if value is None else Cell(said(value), raw={"": value})


# ── devices ─────────────────────────────────────────────────────────────────────────────────────────────


def devices_panel(context: Context) -> Panel:
    """Devices with their upkeep, what is overdue first."""
    rows = context.queries.of_clinic("device", context.clinic, as_of=context.as_of)
    wanted = context.owned(context.state.device)[1] if context.state.device else None
    today = context.as_of.date()
    lines = []
    for row in rows:
        its = f"{row['clinic_id']}/{row['device_id']}"
        cells = (
            Cell(
                row["device_id"],
                row["display_name"] or row["clinic_id"],
                href=context.state.to("/trace", device=its),
            ),
            text(row["model"]),
            text(row["firmware"]),
            _done(row["calibrated_at"], _error(row["depth_error_mm"])),
            _due(row["calibration_due_on"], today),
            _done(row["serviced_at"], ""),
            _due(row["service_due_on"], today),
        )
        lines.append(Line(its.replace("/", "."), cells, chosen=row["device_id"] == wanted))
    columns = (
        Column("device", "Device"),
        Column("model", "Model"),
        Column("firmware", "Firmware"),
        Column("calibrated", "Calibrated"),
        Column("calibration_due", "Next calibration"),
        Column("serviced", "Serviced"),
        Column("service_due", "Next service"),
    )
    table = Table(
        "devices",
        "Devices",
        columns,
        tuple(lines),
        "No device is registered here yet.",
        sort="calibration_due",
        shown=60,
        wide=56,
    )
    note = (
        "A calibration is taken to hold 183 days, a service 365; a device never calibrated is due "
        "from its first day."
    )
    return Panel("devices", "Devices", table, note, data_to=words.moment(context.as_of))


def _error(millimetres: float | None) -> str:
    return "" if millimetres is None else say("depth error {mm} mm", mm=number(millimetres, 2, sign=True))


def _done(at: dt.datetime | None, found: str) -> Cell:
    if at is None:
        return Cell("never", tone="missing", raw={"": None})
    return Cell(words.date(at.date()), found, raw={"": at.date().isoformat()})


def _due(on: dt.date | None, today: dt.date) -> Cell:
    if on is None:
        return text(None)
    raw = {"": on.isoformat()}
    if on < today:
        return Cell(
            words.date(on),
            plural("overdue {n} day", "overdue {n} days", (today - on).days),
            tone="alert",
            raw=raw,
        )
    soon = on - today <= SOON
    return Cell(
        words.date(on),
        plural("in {n} day", "in {n} days", (on - today).days) if soon else "",
        tone="warn" if soon else "",
        raw=raw,
    )


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────

_SESSION_COLUMNS = (
    Column("session", "Session"),
    Column("completed_at", "Completed"),
    Column("device", "Device"),
    Column("operator", "Operator"),
    Column("protocol", "Protocol"),
    Column("lot", "Cartridge lot"),
    Column("skin", "Skin type"),
    Column("depth", "Depth, mm", numeric=True),
    Column("outcome", "Outcome"),
    Column("patient", "Patient"),
)


def sessions_panel(context: Context, *, title: str = "Sessions") -> Panel:
    """The sessions that fit the filters, the newest first; none for who may not see single patients."""
    state = context.state
    clinic, device = context.owned(state.device)
    by_operator, operator = context.owned(state.operator)
    rows = context.queries.read(
        "session_list",
        clinic=clinic or by_operator or context.clinic,
        device=device,
        operator=operator,
        protocol=state.protocol,
        skin_type=int(state.skin) if state.skin else None,
        lot=state.lot,
        cartridge=state.cartridge,
        start=context.start,
        as_of=context.as_of,
        most=MOST_ROWS,
    )
    lines = Lines(
        rows, lambda row: Line(f"{row['clinic_id']}.{row['session_id']}", _session_cells(context, row))
    )
    empty = "No session fits these filters in this period."
    if not context.account.rights.people:
        empty = "Your role sees no rows about single patients."
    table = Table("sessions", title, _SESSION_COLUMNS, lines, empty, shown=15, wide=56)
    note = say("The newest {n} at most.", n=words.count(MOST_ROWS)) if len(rows) == MOST_ROWS else ""
    return Panel("sessions", title, table, note, data_to=words.moment(context.as_of))


def _session_cells(context: Context, row: Row) -> tuple[Cell, ...]:
    clinic, state = row["clinic_id"], context.state
    to = state.to
    where = "" if context.clinic else context.name_of(clinic)
    outcome, tone = _outcome(row)
    return (
        Cell(row["session_id"], where, href=to("/session", session=f"{clinic}/{row['session_id']}")),
        Cell(words.moment(row["completed_at"]), raw={"": row["completed_at"].isoformat()}),
        Cell(row["device_id"], href=to("/trace", device=f"{clinic}/{row['device_id']}")),
        _linked(row["operator_id"], to("/trace", operator=f"{clinic}/{row['operator_id']}")),
        text(row["protocol_id"]),
        _linked(row["cartridge_lot"], to("/trace", lot=row["cartridge_lot"])),
        text(SKIN_TYPES.get(str(row["skin_type"]))),
        _number(row["depth_mm"], lambda depth: number(depth, 2)),
        Cell(outcome, _gravest(row), tone=tone, raw={"": outcome}),
        Cell(row["patient_key"][:8], code=True, raw={"": row["patient_key"]}),
    )


def _linked(name: str | None, url: str) -> Cell:
    return text(None) if name is None else Cell(name, href=url)


def _gravest(row: Row) -> str:
    return "" if row["highest_grade"] is None else say("highest grade {grade}", grade=row["highest_grade"])


def _outcome(row: Row) -> tuple[str, str]:
    """What came of a session in words, and its tone. No follow-up is unknown, never none."""
    if row["signs"] > row["expected_signs"]:
        return "adverse event", "alert"
    if row["signs"]:
        return "expected reaction", ""
    return ("none found", "") if row["followed_up"] else ("unknown: no follow-up", "missing")


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────

_PEOPLE_COLUMNS = (
    Column("patient", "Patient"),
    Column("clinic", "Clinic"),
    Column("state", "State"),
    Column("days_overdue", "Days overdue", numeric=True),
    Column("window", "On time"),
    Column("last_on", "Last session"),
    Column("chance", "Chance to come in time", numeric=True),
)
_STATE_TONES = {"overdue": "alert", "at risk": "warn"}


def people_panel(context: Context) -> Panel:
    """Whom to call, by pseudonym: the clinic's own system knows who that is."""
    rows = context.queries.read("due", clinic=context.clinic, most=MOST_ROWS)
    lines = Lines(rows, lambda row: _person(context, row))
    empty = (
        "Nobody is due here."
        if context.account.rights.people
        else "Your role sees no rows about single patients."
    )
    table = Table("people", "Patients due", _PEOPLE_COLUMNS, lines, empty, shown=12, wide=44)
    note = "Pseudonyms; the clinic's own system knows who that is."
    return Panel("people", "Patients due for maintenance", table, note, data_to=words.moment(context.as_of))


def _person(context: Context, row: Row) -> Line:
    clinic = row["clinic_id"]
    return Line(
        f"{clinic}.{row['patient_key']}",
        (
            Cell(row["patient_key"][:12], code=True, raw={"": row["patient_key"]}),
            text(context.name_of(clinic)),
            Cell(row["state"], tone=_STATE_TONES.get(row["state"], ""), raw={"": row["state"]}),
            Cell(str(row["days_overdue"]), raw={"": row["days_overdue"]}),
            Cell(
                say(
                    "{lower} to {upper}",
                    lower=words.date(row["due_from"]),
                    upper=words.date(row["due_until"]),
                ),
                raw={"": row["due_until"].isoformat()},
            ),
            Cell(
                words.date(row["last_on"]),
                href=context.state.to("/session", session=f"{clinic}/{row['session_id']}"),
                raw={"": row["last_on"].isoformat()},
            ),
            _number(row["chance_in_time"], percent),
        ),
    )
