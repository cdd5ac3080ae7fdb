"""The signals inbox: what the rules flagged, who looks after it, what was done, and the regulators'
clocks."""

import datetime as dt

from dashboards import words
from dashboards.language import number, plural, say, short
from dashboards.page import Cell, Column, Field, Form, Line, Page, Panel, Table, text
from dashboards.queries import Row
from dashboards.views.clocks import due_dates
from dashboards.views.context import Context, NotThere
from dashboards.views.figures import group_name, group_url

_COLUMNS = (
    Column("about", "About"),
    Column("flag", "Flagged"),
    Column("value", "Value when opened", numeric=True),
    Column("status", "Status"),
    Column("owner", "Owner"),
    Column("opened_at", "Aware since"),
    Column("due", "Earliest clock"),
)
_FLAGS = {"high": "high", "low": "low", "under": "reports too few", "over": "reports too many"}
_LONGEST_NOTE = 500


def build(context: Context) -> Page:
    """The inbox; with a signal in the address, as reports link it, that signal. Raises NotThere."""
    if context.state.signal:
        return build_one(context)
    rows = _chosen(context)
    closed = [row for row in rows if row["status"] == "closed"]
    return Page(
        "Signals",
        "Flags that stayed and that a person should look into. A signal is not proof of harm.",
        panels=(
            _panel(context, "open", "Open", [row for row in rows if _is_open(row, context.now)]),
            _panel(
                context,
                "quiet",
                "Snoozed and cleared",
                [row for row in rows if row not in closed and not _is_open(row, context.now)],
            ),
            _panel(context, "closed", "Closed", closed),
        ),
    )


def open_panel(context: Context) -> Panel:
    """What stands first on the overview."""
    return _panel(
        context, "open", "Open signals", [row for row in _chosen(context) if _is_open(row, context.now)]
    )


def _chosen(context: Context) -> list[Row]:
    """Signals of the chosen clinic, or of all; those about no clinic belong to the network."""
    rows = context.queries.read("signal")
    return [row for row in rows if context.clinic in (None, row["clinic_id"])]


def _is_open(row: Row, now: dt.datetime) -> bool:
    return row["status"] in ("open", "acknowledged") and not _is_snoozed(row, now)


def _is_snoozed(row: Row, now: dt.datetime) -> bool:
    return row["snoozed_until"] is not None and row["snoozed_until"] > now and row["status"] != "closed"


def status_of(row: Row, now: dt.datetime) -> str:
    if _is_snoozed(row, now):
        return say("snoozed until {day}", day=words.date(row["snoozed_until"].date()))
    return str(row["status"])


def _panel(context: Context, panel_id: str, title: str, rows: list[Row]) -> Panel:
    empty = {
        "open": "No signal is open. The rules look every day.",
        "quiet": "Nothing is snoozed, and no flag has gone away by itself.",
        "closed": "No signal has been closed yet.",
    }[panel_id]
    lines = [Line(row["signal_id"], _cells(context, row)) for row in rows]
    table = Table(
        panel_id, f"{say(title)} ({len(rows)})" if rows else title, _COLUMNS, tuple(lines), empty, wide=44
    )
    return Panel(panel_id, title, table)


def _cells(context: Context, row: Row) -> tuple[Cell, ...]:
    scope = words.plain(row["scope"])
    where = (
        f"{scope}, {context.name_of(row['clinic_id'])}" if row["scope"] in ("operator", "device") else scope
    )
    about = Cell(
        group_name(context, row),
        where,
        words.title(row["metric_id"]),
        context.state.to("/signal", signal=row["signal_id"]),
    )
    clock = due_dates(row["opened_at"].date())[0]
    open_ = row["status"] in ("open", "acknowledged")
    left = (clock.due_on - context.now.date()).days
    said = "passed" if left < 0 else plural("in {n} day", "in {n} days", left) if left else "today"
    due = Cell(
        words.date(clock.due_on), said, raw={"": clock.due_on.isoformat()}, tone="alert" if left < 0 else ""
    )
    return (
        about,
        text(_FLAGS.get(row["flag"], row["flag"])),
        _value(row),
        text(status_of(row, context.now)),
        text(row["owner"]) if row["owner"] else Cell("nobody", tone="missing", raw={"": None}),
        Cell(words.date(row["opened_at"].date()), raw={"": row["opened_at"].isoformat()}),
        due if open_ else text(None),
    )


def _value(row: Row) -> Cell:
    if row["value"] is None:
        return text(None)
    q = "" if row["q"] is None else say("false discovery rate {q}", q=short(row["q"]))
    return Cell(number(row["value"], 2), q, raw={"": row["value"]})


# ── one signal ──────────────────────────────────────────────────────────────────────────────────────────


def build_one(context: Context) -> Page:
    """One signal with its history. Raises NotThere for one the reader's scope does not reach."""
    row = find(context)
    history = context.queries.read("signal_history", signal_id=row["signal_id"])
    value = _value(row)
    facts: list[tuple[str, str]] = [
        ("Status", status_of(row, context.now)),
        ("Owner", row["owner"] or "nobody"),
        ("Flagged", _FLAGS.get(row["flag"], str(row["flag"]))),
        (
            "Rule",
            say("{name}, version {number}", name=words.title(row["metric_id"]), number=row["metric_version"]),
        ),
        (
            "Value when opened",
            f"{value.text} ({value.interval})" if value.interval else value.text,
        ),
        ("Aware since", words.moment(row["opened_at"])),
    ]
    if row["conclusion"]:
        facts.append(("Conclusion", row["conclusion"]))
    name = group_name(context, row)
    where = group_url(context, row)
    what = name if row["scope"] == "skin_type" else f"{words.heading(row['scope'])} {name}"
    links = [("What is behind it", where)] if where else []
    return Page(
        what,
        "A flag that stayed. It asks a person to look; it is not proof of harm.",
        facts=tuple(facts),
        trail=(("Signals", context.state.to("/signals")),),
        panels=(_history_panel(history), _clock_panel(context, row)),
        forms=_forms(context, row),
        links=(*links, ("The rule's card", f"{context.state.to('/metrics')}#cards-{row['metric_id']}")),
    )


def find(context: Context) -> Row:
    """The signal the address names. Raises NotThere."""
    rows = context.queries.read("signal")
    found = [row for row in rows if row["signal_id"] == context.state.signal]
    if not found:
        raise NotThere
    return found[0]


def _history_panel(history: list[Row]) -> Panel:
    columns = (
        Column("when", "When"),
        Column("what", "What"),
        Column("who", "By"),
        Column("said", "Said", sortable=False),
    )
    lines = [
        Line(
            str(event["number"]),
            (
                Cell(words.moment(event["happened_at"]), raw={"": event["happened_at"].isoformat()}),
                text(event["kind"]),
                text("the rule" if event["actor"] == "rule" else event["actor"]),
                text(_said(event)),
            ),
        )
        for event in history
    ]
    table = Table("history", "History, which only grows", columns, tuple(lines), "Nothing has happened.")
    return Panel("history", "History", table, "Nothing that happened is changed afterwards.")


def _said(event: Row) -> str | None:
    parts = []
    if event["value"] is not None:
        parts.append(say("value {value}", value=number(event["value"], 2)))
    if event["owner"]:
        parts.append(say("owner {name}", name=event["owner"]))
    if event["until"]:
        parts.append(say("until {day}", day=words.date(event["until"].date())))
    if event["note"]:
        parts.append(event["note"])
    return "; ".join(parts) or None


def _clock_panel(context: Context, row: Row) -> Panel:
    columns = (
        Column("who", "Who must report"),
        Column("due_on", "At the latest"),
        Column("left", "Left"),
        Column("source", "Source"),
    )
    lines = []
    for clock in due_dates(row["opened_at"].date()):
        left = (clock.due_on - context.now.date()).days
        lines.append(
            Line(
                clock.id,
                (
                    text(clock.who),
                    Cell(words.date(clock.due_on), raw={"": clock.due_on.isoformat()}),
                    Cell(
                        plural("{n} day to go", "{n} days to go", left)
                        if left >= 0
                        else plural("passed {n} day ago", "passed {n} days ago", -left),
                        raw={"": left},
                        tone="alert" if left < 0 else "",
                    ),
                    text(clock.source),
                ),
            )
        )
    table = Table("clocks", "Regulators' clocks", columns, tuple(lines), "")
    note = say(
        "If it must be reported, counted from {day}, the day we became aware. Public holidays are not known "
        "here. Which of these applies is for a person to decide.",
        day=words.day(row["opened_at"]),
    )
    return Panel("clocks", "Regulators' clocks", table, note)


def _forms(context: Context, row: Row) -> tuple[Form, ...]:
    """What the reader may do to it now: nothing to a closed one."""
    if not context.account.rights.signals or row["status"] == "closed":
        return ()
    to = f"/signal/{row['signal_id']}/"
    tomorrow = (context.now + dt.timedelta(days=1)).date().isoformat()

    def note(title: str) -> Field:
        return Field(
            "note", title, "textarea", hint=say("No patient's data; at most {n} characters.", n=_LONGEST_NOTE)
        )

    until = Field("until", "Until", "date", value=tomorrow)
    quiet, final = "It stays quiet until then, unless somebody closes it.", "A new flag opens a new signal."
    forms = [
        Form("assign", "Assign", to + "assigned", "Assign", (Field("owner", "New owner"),)),
        Form("comment", "Comment", to + "commented", "Add", (note("Comment"),)),
        Form("snooze", "Snooze", to + "snoozed", "Snooze", (until, note("Reason")), quiet),
        Form("close", "Close", to + "closed", "Close", (note("What was found"),), final),
    ]
    if row["status"] == "open":
        seen = "You become its owner where it has none."
        forms.insert(0, Form("acknowledge", "Acknowledge", to + "acknowledged", "I have seen it", note=seen))
    return tuple(forms)
