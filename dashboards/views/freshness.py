"""How fresh the service is, in words: the line at the top of every page."""

import datetime as dt
from dataclasses import dataclass

from dashboards import words
from dashboards.language import say
from dashboards.queries import Row

STALE_AFTER = dt.timedelta(minutes=15)
"""Silence of all clinics after which the page says so [assumption: devices send a heartbeat every 5 min]."""


@dataclass(frozen=True)
class Freshness:
    """`state` is `fresh`, `stale` or `empty`, and `summary` says it in words."""

    state: str
    summary: str
    times: tuple[tuple[str, str], ...]
    counts: tuple[tuple[str, str], ...]


def of(row: Row | None, now: dt.datetime) -> Freshness:
    """`row` is null while there is no warehouse."""
    if row is None or row["newest_received_at"] is None:
        return Freshness("empty", "No event has been landed yet", (), ())
    age = now - row["newest_received_at"]
    stale = age > STALE_AFTER
    summary = say("No event for {span}", span=words.span(age)) if stale else "Events are arriving"
    as_of = row["newest_as_of"]
    times = (
        ("Newest event", words.moment(row["newest_received_at"])),
        ("Metrics computed", words.moment(row["newest_metric_at"]) if row["newest_metric_at"] else "not yet"),
        ("Metrics as of", words.moment(as_of) if as_of else "not yet"),
    )
    counts = tuple(
        (title, words.count(row[name]))
        for title, name in (("Landed", "landed"), ("Duplicates", "duplicate"), ("Quarantined", "quarantined"))
    )
    return Freshness("stale" if stale else "fresh", summary, times, counts)
