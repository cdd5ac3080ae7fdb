"""From flags to signals: opened by the rules with hysteresis, looked after and closed by people; and the
clocks.

flag for days in a row -> opened -> acknowledged, assigned, snoozed -> closed with a conclusion
                                 -> no flag for days in a row -> cleared -> flagged again -> reopened
Every step is an event at the end of the signal's history. Nothing that happened is changed afterwards.
"""

import datetime as dt
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics.cards import MetricCard
from warehouse.metrics.frames import INSTANT

EVENT: dict[str, pl.DataType] = {
    "signal_id": pl.String(),
    "number": pl.Int32(),
    "kind": pl.String(),
    "happened_at": INSTANT,
    "actor": pl.String(),
    "metric_id": pl.String(),
    "metric_version": pl.Int32(),
    "scope": pl.String(),
    "scope_id": pl.String(),
    "flag": pl.String(),
    "as_of": INSTANT,
    "value": pl.Float64(),
    "q": pl.Float64(),
    "owner": pl.String(),
    "until": INSTANT,
    "note": pl.String(),
}
"""One thing that happened to a signal: the grain of mart.signal_event."""

BY_RULE = "rule"
ACTIONS = ("acknowledged", "assigned", "commented", "snoozed", "closed")
"""What a person can do to a signal."""

_ABOUT = ("signal_id", "metric_id", "metric_version", "scope", "scope_id", "flag")


def signal_id(about: Mapping[str, object], as_of: dt.datetime) -> str:
    """A short name of a new signal, the same on every machine."""
    text = "|".join([*map(str, about.values()), as_of.date().isoformat()])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def follow(
    rows: pl.DataFrame, current: pl.DataFrame, cards: Mapping[str, MetricCard], *, at: dt.datetime
) -> pl.DataFrame:
    """What today's rows do to the signals, EVENT.

    `rows`: RESULT rows with `as_of` and `consecutive_flags`, once per metric version and scope. `current`:
    the signals so far with `status`, `changed_at` and `snoozed_until`. A flag for `flags_to_open` days in a
    row opens a signal, or reopens a cleared one, unless one is there; while snoozed it stays quiet. A signal
    whose flag has been away for `flags_to_clear` days is cleared. A signal opened by another version of a
    card is left as it is: that version's rows no longer come.
    """
    live = {
        (row["metric_id"], row["metric_version"], row["scope"], row["scope_id"], row["flag"]): row
        for row in current.sort("opened_at").iter_rows(named=True)
    }
    measured = {
        (row["metric_id"], row["metric_version"], row["scope"], row["scope_id"]): row
        for row in rows.filter(pl.col("period") == "year", pl.col("metric_id").is_in(list(cards))).iter_rows(
            named=True
        )
    }
    events = [
        event
        for row in measured.values()
        if row["flag"] is not None
        for event in _flagged(row, live, cards[row["metric_id"]], at)
    ]
    events += [
        event
        for key, signal in live.items()
        if signal["status"] in ("open", "acknowledged")
        for event in _absent(signal, measured.get(key[:4]), cards.get(key[0]), at)
    ]
    return pl.DataFrame(events, schema=EVENT)


def _flagged(row: dict, live: Mapping[tuple, dict], card: MetricCard, at: dt.datetime) -> list[dict]:
    about = {name: row[name] for name in ("metric_id", "metric_version", "scope", "scope_id", "flag")}
    known = live.get(tuple(about.values()))
    if row["consecutive_flags"] < card.flags_to_open or (
        known and known["status"] in ("open", "acknowledged")
    ):
        return []
    facts = {"happened_at": at, "actor": BY_RULE, "as_of": row["as_of"], "value": row["value"], "q": row["q"]}
    if known is None or known["status"] == "closed":
        # A closed signal stays closed. A flag that was already there when it was closed is not news.
        if (
            known
            and known["closed_at"] is not None
            and _days(known["closed_at"], row["as_of"]) < row["consecutive_flags"]
        ):
            return []
        name = signal_id(about, row["as_of"])
        return [{"signal_id": name, "number": 1, "kind": "opened", **about, **facts}]
    if known["snoozed_until"] is not None and known["snoozed_until"] > at:
        return []
    return [
        {"signal_id": known["signal_id"], "number": known["events"] + 1, "kind": "reopened", **about, **facts}
    ]


def _absent(signal: dict, row: dict | None, card: MetricCard | None, at: dt.datetime) -> list[dict]:
    if row is None or card is None or row["flag"] == signal["flag"]:
        return []
    if _days(signal["last_flagged_at"], row["as_of"]) < card.flags_to_clear:
        return []
    about = {name: signal[name] for name in _ABOUT}
    facts = {"happened_at": at, "actor": BY_RULE, "as_of": row["as_of"], "value": row["value"], "q": row["q"]}
    return [{**about, "number": signal["events"] + 1, "kind": "cleared", **facts}]


def _days(earlier: dt.datetime, later: dt.datetime) -> int:
    return (later.astimezone(dt.UTC).date() - earlier.astimezone(dt.UTC).date()).days


def act(
    signal: Mapping,
    kind: str,
    *,
    by: str,
    at: dt.datetime,
    owner: str | None = None,
    until: dt.datetime | None = None,
    note: str | None = None,
) -> pl.DataFrame:
    """One event of a person, EVENT.

    Acknowledging makes the person the owner where there is none; assigning names one; a comment says
    something; a snooze has an end and a reason; closing has a conclusion. A closed signal is closed. Raises
    CheckFailed naming the rule.
    """
    name = f"signal {signal['signal_id']}"
    if kind not in ACTIONS:
        raise CheckFailed(f"{name}: must be one of {', '.join(ACTIONS)}")
    if not by.strip():
        raise CheckFailed(f"{name}: needs the name of who does it")
    if signal["status"] == "closed":
        raise CheckFailed(f"{name}: is closed; a new flag opens a new signal")
    if kind == "assigned" and not (owner or "").strip():
        raise CheckFailed(f"{name}: needs an owner to be assigned to")
    if kind == "snoozed" and (until is None or until <= at):
        raise CheckFailed(f"{name}: needs an end of the snooze in the future")
    said = {"commented": "a comment", "snoozed": "a reason", "closed": "a conclusion"}
    if kind in said and not (note or "").strip():
        raise CheckFailed(f"{name}: needs {said[kind]}")
    if kind == "acknowledged" and signal["owner"] is None:
        owner = owner or by
    about = {key: signal[key] for key in _ABOUT}
    event = {**about, "number": signal["events"] + 1, "kind": kind, "happened_at": at, "actor": by}
    return pl.DataFrame([event | {"owner": owner, "until": until, "note": note}], schema=EVENT)


# ── regulators' clocks ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Clock:
    """A reporting duty: `days` after the day on which one became aware, counted as calendar or work days."""

    id: str
    who: str
    days: int
    work_days: bool
    source: str


CLOCKS = (
    Clock("us-user-facility", "US user facility: death or serious injury", 10, True, "21 CFR 803.30"),
    Clock(
        "us-manufacturer", "US manufacturer: death, serious injury, malfunction", 30, False, "21 CFR 803.50"
    ),
    Clock("us-manufacturer-urgent", "US manufacturer: remedial action needed", 5, True, "21 CFR 803.53"),
    Clock(
        "eu-serious-threat", "EU manufacturer: serious public health threat", 2, False, "EU MDR Art. 87(4)"
    ),
    Clock("eu-death", "EU manufacturer: death or serious deterioration", 10, False, "EU MDR Art. 87(5)"),
    Clock("eu-serious", "EU manufacturer: other serious incident", 15, False, "EU MDR Art. 87(3)"),
)


def due_on(aware_on: dt.date, clock: Clock, *, holidays: Collection[dt.date] = ()) -> dt.date:
    """The last day for the report. The day of becoming aware is day 0; work days leave out weekends and
    holidays.
    """
    if not clock.work_days:
        return aware_on + dt.timedelta(days=clock.days)
    day, left = aware_on, clock.days
    while left:
        day += dt.timedelta(days=1)
        left -= day.weekday() < 5 and day not in holidays
    return day


def due_dates(aware_on: dt.date, *, holidays: Collection[dt.date] = ()) -> pl.DataFrame:
    """Every clock's last day: `clock`, `who`, `due_on`, `source`; the earliest first. Which apply is for a
    person.
    """
    rows = [
        {"clock": clock.id, "who": clock.who, "due_on": due_on(aware_on, clock, holidays=holidays)}
        | {"source": clock.source}
        for clock in CLOCKS
    ]
    return pl.DataFrame(rows).sort("due_on", "clock")
