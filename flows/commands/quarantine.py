"""`dermastream quarantine`: events that were refused, kept whole, and what to do with them."""

import contextlib
import datetime as dt
import getpass
import json
import uuid
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.commands import AsJson, Home, settings_of

app = App(name="quarantine", help="Refused events: list, show, replay, discard.")

Rule = Annotated[str | None, Parameter(help="Only events refused by this rule, like field.unknown")]
Topic = Annotated[str | None, Parameter(help="Only events of this topic")]
Since = Annotated[dt.datetime | None, Parameter(help="Only events refused since then, UTC unless it says")]
Limit = Annotated[int, Parameter(help="Most events")]
Place = Annotated[str, Parameter(help="topic/partition/offset, as `list --each` prints it")]


@contextlib.contextmanager
def _opened(home: Any, *, read_only: bool) -> Iterator[tuple[Any, Any]]:
    from warehouse import store

    location = settings_of(home).location
    with contextlib.closing(store.connect(location, read_only=read_only)) as connection:
        if not read_only:
            store.migrate(connection, location)
        yield connection, location


def _choice(**given: Any) -> Any:
    from warehouse.quarantine import Choice

    since = given.get("since")
    if since is not None and since.tzinfo is None:
        given["since"] = since.replace(tzinfo=dt.UTC)
    return Choice(**given)


@app.command(name="list")
def list_(
    *,
    each: Annotated[bool, Parameter(negative="", help="Each event, instead of counts")] = False,
    resolved: Annotated[bool, Parameter(negative="", help="With --each: resolved ones, too")] = False,
    rule: Rule = None,
    topic: Topic = None,
    since: Since = None,
    limit: Limit = 100,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """How many events wait by topic and rule, or, with --each, every one of them."""
    from flows.printing import print_records
    from warehouse import quarantine

    with _opened(home, read_only=True) as (connection, _):
        if not (each or resolved or rule or topic or since):
            found = quarantine.counts(connection)
        else:
            chosen = _choice(rule=rule, topic=topic, since=since, resolved=resolved, limit=limit)
            found = [_brief(event) for event in quarantine.choose(connection, chosen)]
    print(json.dumps(found, indent=2, default=str)) if json_ else print_records(found, "nothing waits")


def _brief(event: dict[str, Any]) -> dict[str, Any]:
    from warehouse.quarantine import place

    kept = ("rule", "path", "detail", "received_at", "resolution", "resolved_by")
    return {"place": place(event)} | {name: event[name] for name in kept}


@app.command
def show(place: Place, /, *, json_: AsJson = False, home: Home = None) -> None:
    """One event with all that is known of it, its bytes included: this prints what a clinic sent."""
    from warehouse import quarantine

    with _opened(home, read_only=True) as (connection, _):
        (event,) = quarantine.choose(connection, _choice(place=place, resolved=True))
    told = {name: _readable(value) for name, value in event.items()}
    if json_:
        print(json.dumps(told, indent=2))
    else:
        print("\n".join(f"{name:16} {value}" for name, value in told.items() if value is not None))


def _readable(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if value is None or isinstance(value, int | str) else str(value)


@app.command
def replay(
    place: Place | None = None,
    /,
    *,
    rule: Rule = None,
    topic: Topic = None,
    since: Since = None,
    limit: Limit = 50_000,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Land waiting events after all, as far as today's rules accept them. Doing it again changes nothing."""
    from flows.clock import utc_now
    from warehouse import quarantine
    from warehouse.tombstones import Key, Tombstones

    key_file = settings_of(home).privacy_key
    tombstones = Tombstones(Key.of(key_file) if key_file.exists() else None)
    with _opened(home, read_only=False) as (connection, location):
        tombstones.refresh(connection)
        chosen = _choice(place=place, rule=rule, topic=topic, since=since, limit=limit)
        events = quarantine.choose(connection, chosen)
        done = quarantine.replay(
            connection,
            location,
            events,
            batch_id=f"replay-{uuid.uuid4().hex[:12]}",
            by=getpass.getuser(),
            at=utc_now(),
            tombstones=tombstones,
        )
    if json_:
        print(json.dumps(vars(done), indent=2))
    else:
        print(f"{done.replayed} landed, {done.duplicate} were duplicates, {len(done.refused)} refused again")
        for refused in done.refused[:20]:
            print(f"  {refused['place']}: {refused['rule']} at {refused['path']}: {refused['detail']}")


@app.command
def discard(
    place: Place | None = None,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why; kept with the events")],
    rule: Rule = None,
    topic: Topic = None,
    since: Since = None,
    limit: Limit = 50_000,
    home: Home = None,
) -> None:
    """Give waiting events up, for a reason. They stay in the quarantine, marked, with your name."""
    from flows.clock import utc_now
    from producers.contracts import SettingsError
    from warehouse import quarantine

    if not (place or rule or topic or since):
        raise SettingsError("discard what? Name a place, or choose by --rule, --topic or --since")
    with _opened(home, read_only=False) as (connection, location):
        chosen = _choice(place=place, rule=rule, topic=topic, since=since, limit=limit)
        events = quarantine.choose(connection, chosen)
        number = quarantine.discard(
            connection, location, events, reason=reason, by=getpass.getuser(), at=utc_now()
        )
    print(f"{number} discarded")
