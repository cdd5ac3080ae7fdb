"""`dermastream contracts`: what can be sent, and whether a file of events can be."""

import json
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

from cyclopts import App, Parameter

from flows.commands import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producers.contracts import EventClass

app = App(name="contracts", help="What clinics can send: list it, look at one event, check a file.")


@app.command(name="list")
def list_(*, json_: AsJson = False) -> None:
    """Every event type and version with its topic and Kafka key."""
    from producers.contracts import EVENTS

    found = [_summary(event_class) for event_class in EVENTS.values()]
    if json_:
        print(json.dumps(found, indent=2))
    else:
        names = ["type", "topics", "key", "says"]
        _table(names, [[row["type"], " ".join(row["topics"]), row["key"], row["says"]] for row in found])


@app.command
def show(
    type_: Annotated[str, Parameter(name="TYPE", help="Like session.completed.v1; without .v1, the newest")],
    /,
    *,
    schema: Annotated[bool, Parameter(negative="", help="Print its JSON Schema (2020-12)")] = False,
    example: Annotated[bool, Parameter(negative="", help="Print an event of it, on one line")] = False,
    json_: AsJson = False,
) -> None:
    """One event: what it says, where it goes, and each field with its limits and their origin."""
    from dataclasses import asdict

    from producers.contracts import examples, notes
    from producers.contracts.codec import encode
    from producers.contracts.documents import event_schema

    event_class = _find(type_)
    if schema:
        print(json.dumps(event_schema(event_class.type), indent=2))
        return
    if example:
        print(encode(examples.example(event_class.type)).decode())
        return
    fields = [asdict(note) for note in notes.field_notes(event_class.type)]
    if json_:
        print(json.dumps({**_summary(event_class), "fields": fields}, indent=2))
        return
    summary = _summary(event_class)
    print(f"{event_class.type}\n\n{summary['description']}\n")
    print(f"topic  {' or '.join(summary['topics'])}\nkey    {summary['key']}\ntable  {summary['table']}\n")
    rows = [[f["name"], "" if f["required"] else "optional", f["kind"], f["meaning"]] for f in fields]
    _table(["field of data", "", "takes", "meaning"], rows)
    print(
        "\n[S] the clinics' description of the treatment  [L] literature or a regulator's record  [A] assumed"
    )


@app.command
def check(
    file: Annotated[
        Path,
        Parameter(allow_leading_hyphen=True, help="Events, one JSON document a line; - is standard input"),
    ],
    /,
    *,
    json_: AsJson = False,
) -> None:
    """Check a file of events without sending it: each refused line with its rule, JSON path and reason.

    Exit code 0 when every line would be accepted, 1 when any is refused, 2 when the file cannot be read.
    """
    from dataclasses import asdict

    from flows.clock import utc_now
    from producers.contracts.checking import RefusedLine, check_lines

    refused: list[dict[str, Any]] = []
    types: Counter[str] = Counter()
    repeats = 0
    with _opened(file) as lines:
        for found in check_lines(lines, utc_now()):
            if isinstance(found, RefusedLine):
                refused.append(asdict(found))
                if not json_:
                    print(f"line {found.line}: {found.rule} at {found.path}: {found.detail}", file=sys.stderr)
            else:
                types[found.type] += 1
                repeats += found.repeat
    events = types.total() + len(refused)
    if json_:
        by_type = dict(sorted(types.items()))
        print(json.dumps({"events": events, "repeats": repeats, "by_type": by_type, "refused": refused}))
    else:
        repeated = f", {repeats} of them repeats" if repeats else ""
        print(f"{types.total()} of {events} good{repeated}, {len(refused)} refused")
    if refused:
        sys.exit(1)


@app.command
def rules(*, json_: AsJson = False) -> None:
    """Every rule under which an event is refused, and what to do about it."""
    from producers.contracts.rules import RULES

    if json_:
        print(json.dumps(RULES, indent=2))
    else:
        _table(["rule", "what to do"], [[rule, advice] for rule, advice in RULES.items()])


def _find(type_: str) -> "EventClass":
    """The event class of a type, or of an event's name. Raises SettingsError naming near ones."""
    import difflib

    from producers.contracts import EVENTS, NEWEST, SettingsError

    found = EVENTS.get(type_) or NEWEST.get(type_)
    if found is None:
        near = difflib.get_close_matches(type_, [*EVENTS, *NEWEST], n=1)
        hint = f"did you mean {near[0]}?" if near else "see `dermastream contracts list`"
        raise SettingsError(f"{type_!r} is no event type: {hint}")
    return found


def _summary(event_class: "EventClass") -> dict[str, Any]:
    from producers.contracts.documents import describe

    description = describe(event_class)
    return {
        "type": event_class.type,
        "topics": [topic.name for topic in event_class.topics],
        "key": event_class.key_form,
        "table": f"raw.{event_class.table}",
        "says": description.splitlines()[0],
        "description": description,
    }


@contextmanager
def _opened(file: Path) -> "Iterator[BinaryIO]":
    from producers.contracts import SettingsError

    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        with file.open("rb") as lines:
            yield lines
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror or error}") from None


def _table(names: list[str], rows: list[list[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from flows.printing import console

    table = Table(*names)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
