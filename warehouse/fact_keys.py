"""Which facts landed on the days that a batch speaks of, which de-duplication asks beside the batch's time.

A fact is any event but a telemetry frame. A sender that repeats one under a new `time` is found as long as
both times fall on one UTC day, or the second on the day after. The keys of those days are few; they stay in a
temporary table of the connection and follow the change feed, so that other workers' facts are in them, too.
"""

import datetime as dt

from warehouse.decoding import Decoded
from warehouse.store import Connection, has_files, rows, snapshot_id, statement

MOST_DAYS = 32
"""Days whose keys are kept at once; a batch that speaks of more is held against the relation itself [A]."""

_DAY = dt.timedelta(days=1)


def look_up(connection: Connection, decoded: Decoded) -> None:
    """Add to temp.known the landed facts that have the key of an event of the batch, on days near its facts.

    Inside the landing transaction: what it leaves in temp.fact_key is undone with it.
    """
    days = sorted({near for day in decoded.fact_days() for near in (day - _DAY, day)})
    if not days or not has_files(connection, "landing", "event_key"):
        return
    if len(days) > MOST_DAYS:
        between = {"first": _begin(days[0]), "last": _begin(days[-1] + _DAY)}
        connection.execute(statement("landing/known_facts_between"), between)
        return
    _follow(connection, days)
    connection.execute(statement("landing/known_facts"))


def _follow(connection: Connection, days: list[dt.date]) -> None:
    """Bring temp.fact_key to the snapshot that is read, with the keys of these days among its own."""
    now = snapshot_id(connection)
    connection.execute(statement("landing/fact_keys"))
    kept = rows(connection, statement("landing/fact_keys_state"))[0]
    if (kept["days"] and not kept["reachable"]) or len({*kept["days"], *days}) > MOST_DAYS:
        connection.execute(statement("landing/forget_fact_keys"))
        kept = {"days": [], "snapshot_id": now}
    if kept["days"] and kept["snapshot_id"] < now:
        interval = {"first": kept["snapshot_id"] + 1, "last": now}
        connection.execute(statement("landing/add_fact_keys"), interval)
    for day in set(days) - set(kept["days"]):
        connection.execute(
            statement("landing/read_fact_keys"), {"first": _begin(day), "last": _begin(day + _DAY)}
        )
    held = {"days": [*{*kept["days"], *days}], "snapshot_id": now}
    connection.execute(statement("landing/fact_keys_as_of"), held)


def _begin(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
