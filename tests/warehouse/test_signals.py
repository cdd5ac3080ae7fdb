"""Signals: hysteresis as a specification, what people may do, the clocks; and the way from events to a
signal.
"""

import datetime as dt
import json

import polars as pl
import pytest

from producers.contracts.errors import CheckFailed
from tests.table import table
from warehouse import signals as store_signals
from warehouse.metrics.cards import ADVERSE_EVENT_RATIO, SAFETY_CARDS
from warehouse.metrics.signals import CLOCKS, EVENT, act, due_dates, due_on, follow
from warehouse.refresh import refresh

DAY = dt.timedelta(days=1)
FIRST = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def rows(flag: str | None, times: int, as_of: dt.datetime, version: int = 1) -> pl.DataFrame:
    """Today's one row: clinic north, flagged so many days in a row."""
    return pl.DataFrame(
        {
            "metric_id": [ADVERSE_EVENT_RATIO.id],
            "metric_version": [version],
            "scope": ["clinic"],
            "scope_id": ["north"],
            "period": ["year"],
            "as_of": [as_of],
            "value": [2.5],
            "q": [0.01],
            "flag": [flag],
            "consecutive_flags": [times],
        },
        schema_overrides={"flag": pl.String, "metric_version": pl.Int32},
    )


def current(events: pl.DataFrame, last_flagged_at: dt.datetime) -> pl.DataFrame:
    """A plain loop over the history that says what mart.signal says."""
    found = []
    for name in dict.fromkeys(events["signal_id"]):
        mine = events.filter(pl.col("signal_id") == name).sort("number").to_dicts()
        state = mine[0] | {"status": "open", "owner": None, "snoozed_until": None, "closed_at": None}
        for event in mine:
            match event["kind"]:
                case "opened" | "reopened":
                    state |= {"status": "open", "snoozed_until": None}
                case "cleared":
                    state["status"] = "cleared"
                case "acknowledged" | "assigned":
                    state["status"] = "acknowledged" if state["status"] == "open" else state["status"]
                case "snoozed":
                    state["snoozed_until"] = event["until"]
                case "closed":
                    state |= {"status": "closed", "closed_at": event["happened_at"]}
            state["owner"] = event["owner"] or state["owner"]
        found.append(
            state
            | {"opened_at": mine[0]["happened_at"], "events": len(mine), "last_flagged_at": last_flagged_at}
        )
    schema = EVENT | {
        "status": pl.String(),
        "snoozed_until": EVENT["happened_at"],
        "closed_at": EVENT["happened_at"],
        "opened_at": EVENT["happened_at"],
        "events": pl.Int64(),
        "last_flagged_at": EVENT["happened_at"],
    }
    return pl.DataFrame(found, schema=schema)


def lived(days: str, actions: dict[int, tuple] | None = None) -> list[str]:
    """What happens, with the day, when the row is flagged (x) or not (.) day by day."""
    events, times, last = pl.DataFrame(schema=EVENT), 0, FIRST
    for number, mark in enumerate(days):
        at = FIRST + number * DAY
        times = times + 1 if mark == "x" else 0
        last = at if mark == "x" else last
        today = rows("high" if mark == "x" else None, times, at)
        events = pl.concat([events, follow(today, current(events, last), SAFETY_CARDS, at=at)])
        if actions and number in actions:
            kind, what = actions[number]
            signal = current(events, last).to_dicts()[-1]
            events = pl.concat([events, act(signal, kind, by="ann", at=at, **what)])
    return [f"{(row['happened_at'] - FIRST).days}:{row['kind']}" for row in events.iter_rows(named=True)]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("days", "happened"),
    [
        ("x.x.x.x", []),
        ("xx", ["1:opened"]),
        ("xxxxxx", ["1:opened"]),
        ("xx......x", ["1:opened"]),
        ("xx.......x", ["1:opened", "8:cleared"]),
        ("xx.......xx", ["1:opened", "8:cleared", "10:reopened"]),
        ("xx..x..x..x..x", ["1:opened"]),
    ],
)
def test_hysteresis(days, happened):
    """Two days in a row open a signal, seven days without clear it; in between nothing flickers."""
    assert lived(days) == happened


@pytest.mark.unit
def test_a_snoozed_signal_stays_quiet_until_its_end():
    """Cleared while snoozed, it comes back only after the snooze has ended and two flags in a row."""
    snooze = ("snoozed", {"until": FIRST + 15 * DAY, "note": "new lot ordered"})
    assert lived("xx.......xxxxxx.xx", {2: snooze}) == ["1:opened", "2:snoozed", "8:cleared", "17:reopened"]


@pytest.mark.unit
def test_a_closed_signal_stays_closed():
    """The same run of flags does not open it again; a new run opens a new signal."""
    close = ("closed", {"note": "lot recalled"})
    assert lived("xxxxxx", {2: close}) == ["1:opened", "2:closed"]
    assert lived("xxx...xx", {2: close}) == ["1:opened", "2:closed", "7:opened"]


@pytest.mark.unit
def test_a_new_rule_version_leaves_old_signals_alone():
    """A signal of version 1 is neither cleared nor reopened by rows of version 2, which open their own."""
    old = follow(rows("high", 2, FIRST), current(pl.DataFrame(schema=EVENT), FIRST), SAFETY_CARDS, at=FIRST)
    later = FIRST + 30 * DAY
    unflagged = follow(rows(None, 0, later, version=2), current(old, FIRST), SAFETY_CARDS, at=later)
    assert unflagged.height == 0
    flagged = follow(rows("high", 2, later, version=2), current(old, FIRST), SAFETY_CARDS, at=later)
    assert flagged.select("kind", "metric_version").rows() == [("opened", 2)]
    assert flagged["signal_id"].to_list() != old["signal_id"].to_list()


@pytest.mark.unit
@pytest.mark.parametrize(
    ("kind", "what", "message"),
    [
        ("assigned", {}, "needs an owner"),
        ("snoozed", {"note": "x"}, "needs an end of the snooze"),
        ("snoozed", {"until": FIRST, "note": "x"}, "needs an end of the snooze in the future"),
        ("snoozed", {"until": FIRST + DAY}, "needs a reason"),
        ("closed", {"note": "  "}, "needs a conclusion"),
        ("deleted", {}, "must be one of"),
    ],
)
def test_what_a_person_cannot_do(kind, what, message):
    """Each step has what it needs, or is refused with the rule."""
    signal = {"signal_id": "abc", "status": "open", "owner": None, "events": 1}
    with pytest.raises(CheckFailed, match=f"^signal abc: .*{message}"):
        act(signal, kind, by="ann", at=FIRST, **what)
    with pytest.raises(CheckFailed, match="is closed"):
        act(signal | {"status": "closed"}, "acknowledged", by="ann", at=FIRST)


@pytest.mark.unit
def test_clocks():
    """10 and 5 work days, 30 and 15 calendar days, from the day of becoming aware; holidays do not count."""
    by_id = {clock.id: clock for clock in CLOCKS}
    friday = dt.date(2026, 7, 3)
    expected = table("""
      clock                  | due
      -----------------------+-----------
      us-user-facility       | 2026-07-17
      us-manufacturer        | 2026-08-02
      us-manufacturer-urgent | 2026-07-10
      eu-serious             | 2026-07-18
    """)
    for name, due in expected.iter_rows():
        assert due_on(friday, by_id[name]) == due
    assert due_on(friday, by_id["us-user-facility"], holidays={dt.date(2026, 7, 6)}) == dt.date(2026, 7, 20)
    assert due_dates(friday)["due_on"].is_sorted()


# ── from events to a signal ─────────────────────────────────────────────────────────────────────────────

AS_OF = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)


def put_sessions(warehouse, bad_lot_events: int, sessions: int = 40) -> None:
    """Ten lots of 40 followed-up sessions in two clinics, two events a lot, and lot-9 with more."""
    facts = [
        (clinic, f"s{lot}-{clinic}-{i}", f"lot-{lot}", i < (bad_lot_events if lot == 9 else 1))
        for lot in range(10)
        for clinic in ("east", "north")
        for i in range(sessions // 2)
    ]
    base = pl.DataFrame(
        facts, schema=["clinic_id", "session_id", "cartridge_lot", "event"], orient="row"
    ).with_columns(completed_at=pl.lit(AS_OF - 60 * DAY), patient_key=pl.col("session_id"))
    warehouse.put("session_completed", base.drop("event"))
    warehouse.put(
        "follow_up_completed",
        base.select(
            "clinic_id",
            "session_id",
            follow_up_id=pl.col("session_id"),
            occurred_at=pl.col("completed_at") + DAY,
        ),
    )
    warehouse.put(
        "adverse_event_reported",
        base.filter("event").select(
            "clinic_id",
            "session_id",
            adverse_event_id=pl.col("session_id"),
            term=pl.lit("infection"),
            onset_at=pl.col("completed_at") + DAY,
        ),
    )


@pytest.mark.integration
def test_a_bad_lot_becomes_a_signal_that_people_look_after(warehouse):
    """Flagged by ratio and by sequential test; opened, acknowledged, snoozed, closed; the history
    only grows."""
    put_sessions(warehouse, 12)
    for day in range(3):
        refresh(
            warehouse.connection, warehouse.location, as_of=AS_OF + day * DAY, computed_at=AS_OF + day * DAY
        )
    flagged = warehouse.read(
        "SELECT metric_id, scope_id, consecutive_flags FROM mart.metric_current "
        "WHERE flag = 'high' AND scope = 'cartridge_lot' ORDER BY metric_id"
    )
    assert flagged.rows() == [
        ("adverse_event_ratio", "lot-9", 3),
        ("adverse_event_surveillance", "lot-9", 3),
    ]
    looks = warehouse.read("SELECT scope, scope_id, look FROM mart.surveillance_look")
    assert (
        looks.n_unique() == looks.height == 10
    )  # nothing new was expected on the later days: no second look
    opened = {row["metric_id"]: row for row in store_signals.listed(warehouse.connection)}
    assert {row["scope_id"] for row in opened.values()} == {"lot-9"}
    name = opened["adverse_event_ratio"]["signal_id"]

    def do(kind: str, hours: int, **what):
        at = AS_OF + 3 * DAY + dt.timedelta(hours=hours)
        return store_signals.act(
            warehouse.connection, warehouse.location, name[:6], kind, by="ann", at=at, **what
        )

    assert do("acknowledged", 1)["owner"] == "ann"
    assert do("assigned", 2, owner="bob")["owner"] == "bob"
    assert do("snoozed", 3, until=AS_OF + 30 * DAY, note="supplier asked")["status"] == "acknowledged"
    assert do("closed", 4, note="lot withdrawn")["conclusion"] == "lot withdrawn"
    signal, history = store_signals.shown(warehouse.connection, name)
    assert [event["kind"] for event in history] == ["opened", "acknowledged", "assigned", "snoozed", "closed"]
    assert [event["number"] for event in history] == [1, 2, 3, 4, 5]
    assert signal["status"] == "closed"
    with pytest.raises(CheckFailed, match="is closed"):
        do("acknowledged", 5)
    with pytest.raises(CheckFailed, match="no such signal"):
        store_signals.shown(warehouse.connection, "nothing")
    after = [row["metric_id"] for row in store_signals.listed(warehouse.connection)]
    assert after == ["adverse_event_surveillance"]


@pytest.mark.integration
def test_nothing_wrong_opens_nothing_and_a_past_day_moves_nothing(warehouse):
    """Equal lots have no flag; a day recomputed later takes no look and opens no signal."""
    put_sessions(warehouse, 1)
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=AS_OF)
    looks = warehouse.read("FROM mart.surveillance_look").sort(pl.all())
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF - 20 * DAY, computed_at=AS_OF)
    assert warehouse.read("FROM mart.surveillance_look").sort(pl.all()).equals(looks)
    assert store_signals.listed(warehouse.connection, every=True) == []
    kept = warehouse.read(
        "SELECT term, coefficient FROM mart.case_mix_coefficient WHERE as_of = $as_of", {"as_of": AS_OF}
    )
    assert "intercept" in kept["term"].to_list()


@pytest.mark.integration
def test_the_command(warehouse, tmp_path, capsys, monkeypatch):
    """signals list, show, ack, assign, snooze and close, on the warehouse of a home folder."""
    from flows.cli import app

    put_sessions(warehouse, 12)
    for day in range(2):
        refresh(
            warehouse.connection, warehouse.location, as_of=AS_OF + day * DAY, computed_at=AS_OF + day * DAY
        )
    home = ["--home", str(tmp_path)]

    def said(*tokens: str) -> str:
        app([*tokens, *home])
        return capsys.readouterr().out

    found = json.loads(said("signals", "list", "--json"))
    name = found[0]["signal_id"]
    assert name in said("signals", "list")
    traced = json.loads(said("signals", "trace", name, "--json"))
    lot = {"sessions": 40, "sessions_with_event": 24, "patients_with_event": 24, "cartridge_lots": 1}
    assert {key: traced["counts"][key] for key in lot} == lot
    assert len(traced["sessions_with_event"]) == 24
    assert "24 sessions with event" in said("signals", "trace", name)
    assert "21 CFR 803.30" in said("signals", "show", name)
    assert "ann" in said("signals", "ack", name, "--by", "ann")
    assert "bob" in said("signals", "assign", name, "--to", "bob", "--by", "ann")
    said("signals", "snooze", name, "--until", "2999-01-01", "--reason", "supplier asked", "--by", "bob")
    assert (
        json.loads(said("signals", "close", name, "--conclusion", "done", "--by", "bob", "--json"))["status"]
        == "closed"
    )
    assert name not in said("signals", "list")
    assert len(json.loads(said("signals", "show", name, "--json"))["history"]) == 5
