"""The quarantine: from refused bytes to landed rows, once, with who and when; and giving up with a reason."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from flows.cli import app
from producers.contracts import CheckFailed, WarehouseConflict, decode, encode
from producers.contracts import codec as contract_codec
from tests.landing.test_land_batch import NOW, TELEMETRY, calibrated, do_land, frame, one
from warehouse import decoding, quarantine, store
from warehouse.log import claim

pytestmark = pytest.mark.integration

LATER = NOW + dt.timedelta(hours=1)
STRICT_LIMIT_MM = 0.5


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def lake(home: Path):
    location = store.Location.under(home)
    with store.connect(location) as connection:
        store.migrate(connection, location)
        claim(connection, location, {TELEMETRY: (0, 0)}, at=NOW)
        yield connection, location


def stricter(*args: Any, **kwargs: Any) -> Any:
    """Yesterday's decoder, whose rule was wrong: it refused depth errors above half a millimetre."""
    event, canonical = decode(*args, **kwargs)
    if getattr(event.data, "depth_error_mm", 0.0) > STRICT_LIMIT_MM:
        raise contract_codec.ContractViolation("depth.limit", "$.data.depth_error_mm", "above the limit")
    return event, canonical


def refused_by_yesterdays_rule(lake: Any, monkeypatch: pytest.MonkeyPatch, *extra: Any) -> None:
    with monkeypatch.context() as yesterday:
        yesterday.setattr(decoding, "decode", stricter)
        report = do_land(lake, one(calibrated("a", error_mm=0.9), b"{not json", *extra), "b1")
    assert report.by_rule["depth.limit"] >= 1


def waiting(lake: Any, **given: Any) -> list[dict[str, Any]]:
    return quarantine.choose(lake[0], quarantine.Choice(**given))


def replay(lake: Any, events: Any, batch_id: str = "replay-1") -> quarantine.Replayed:
    connection, location = lake
    return quarantine.replay(connection, location, events, batch_id=batch_id, by="ana", at=LATER)


def test_a_mended_rule_lands_the_very_bytes_that_were_refused(lake, monkeypatch):
    """From bytes to landed: the replayed row equals the event, and the quarantine says who and when."""
    refused_by_yesterdays_rule(lake, monkeypatch)
    done = replay(lake, waiting(lake))
    assert (done.replayed, done.duplicate) == (1, 0)
    assert [(r["place"], r["rule"]) for r in done.refused] == [
        ("clinic.device-telemetry/0/1", "json.invalid")
    ]
    connection, _ = lake
    assert connection.execute(
        "SELECT id, depth_error_mm, batch_id, landed_at FROM raw.device_calibrated"
    ).fetchall() == [("a", 0.9, "replay-1", LATER)]
    (row,) = waiting(lake, place="clinic.device-telemetry/0/0", resolved=True)
    assert (row["resolution"], row["resolved_by"], row["resolved_at"]) == ("replayed", "ana", LATER)
    assert row["value"] == encode(calibrated("a", error_mm=0.9))


def test_a_replay_done_again_changes_nothing(lake, monkeypatch):
    """The event waits no longer; even asked for with the old list, it does not land twice."""
    refused_by_yesterdays_rule(lake, monkeypatch)
    before = waiting(lake, rule="depth.limit")
    assert replay(lake, before).replayed == 1
    assert replay(lake, waiting(lake, rule="depth.limit"), "replay-2").replayed == 0
    with pytest.raises(WarehouseConflict, match="resolved by somebody else"):
        replay(lake, before, "replay-3")
    connection, _ = lake
    assert connection.execute("SELECT count(*), count(DISTINCT id) FROM raw.event_key").fetchall() == [(1, 1)]
    assert connection.execute("SELECT count(*) FROM landing.event_key").fetchall() == [(1,)]


def test_what_landed_otherwise_meanwhile_is_a_duplicate(lake, monkeypatch):
    """The clinic sent it again after the rule was mended; the replay finds that, also twice in itself."""
    refused_by_yesterdays_rule(
        lake, monkeypatch, calibrated("z", error_mm=0.8), calibrated("z", error_mm=0.8)
    )
    do_land(lake, one(calibrated("a", error_mm=0.9), start=4), "b2")
    done = replay(lake, waiting(lake, rule="depth.limit"))
    assert (done.replayed, done.duplicate) == (1, 2)
    resolutions = [(e["offset"], e["resolution"]) for e in waiting(lake, rule="depth.limit", resolved=True)]
    assert sorted(resolutions) == [(0, "duplicate"), (2, "replayed"), (3, "duplicate")]


def test_a_conflict_waits_on(lake):
    """Other content under a landed id is refused again by a replay."""
    do_land(lake, one(calibrated("a"), calibrated("a", error_mm=0.4)), "b1")
    done = replay(lake, waiting(lake))
    assert (done.replayed, [r["rule"] for r in done.refused]) == (0, ["id.conflict"])
    assert len(waiting(lake)) == 1


def test_frames_replay_too(lake, monkeypatch):
    """A frame that reached the wrong door lands as a frame."""
    broken = encode(frame("f")).replace(b'"sequence":1', b'"sequence":1.5')
    do_land(lake, one(broken), "b1")
    (event,) = waiting(lake)
    assert replay(lake, [event | {"value": encode(frame("f"))}]).replayed == 1
    assert lake[0].execute("SELECT id FROM raw.telemetry_frame").fetchall() == [("f",)]


def test_discarding_needs_a_reason_and_keeps_the_event(lake):
    """A discarded event stays, marked; it is not counted as waiting and never replayed."""
    connection, location = lake
    do_land(lake, one(b"{not json", None), "b1")
    with pytest.raises(CheckFailed, match="reason"):
        quarantine.discard(connection, location, waiting(lake), reason=" ", by="ana", at=LATER)
    assert (
        quarantine.discard(
            connection,
            location,
            waiting(lake, rule="json.invalid"),
            reason="a test of the clinic",
            by="ana",
            at=LATER,
        )
        == 1
    )
    assert [c["rule"] for c in quarantine.counts(connection)] == ["value.missing"]
    (row,) = waiting(lake, rule="json.invalid", resolved=True)
    assert (row["resolution"], row["resolution_note"]) == ("discarded", "a test of the clinic")


def test_the_commands_say_it_all(lake, home, monkeypatch, capsys):
    """list, show, replay and discard do on the command line what they say."""
    refused_by_yesterdays_rule(lake, monkeypatch)
    here = ["--home", str(home)]
    app(["quarantine", "list", "--json", *here])
    assert {c["rule"]: c["events"] for c in json.loads(capsys.readouterr().out)} == {
        "depth.limit": 1, "json.invalid": 1,
    }  # fmt: skip
    app(["quarantine", "show", "clinic.device-telemetry/0/0", "--json", *here])
    assert json.loads(json.loads(capsys.readouterr().out)["value"])["id"] == "a"
    app(["quarantine", "replay", "--rule", "depth.limit", "--json", *here])
    assert json.loads(capsys.readouterr().out)["replayed"] == 1
    app(["quarantine", "discard", "--rule", "json.invalid", "--reason", "noise", *here])
    assert "1 discarded" in capsys.readouterr().out
    app(["quarantine", "list", *here])
    assert "nothing waits" in capsys.readouterr().out
    with pytest.raises(CheckFailed, match="nothing waits in quarantine at nowhere/0/0"):
        app(["quarantine", "show", "nowhere/0/0", *here])
