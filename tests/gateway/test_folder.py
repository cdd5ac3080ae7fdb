"""Files: whole or not at all, again after a crash, and never taken while they are being written."""

import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.gateway.folder import CHUNK, MAX_REFUSALS_TOLD, Files, InboxWatcher
from producers.gateway.intake import Intake
from producers.gateway.outbox import Outbox, OutboxFull
from producers.gateway.pseudonyms import PatientPseudonyms
from producers.gateway.settings import GatewaySettings
from tests.gateway.harness import stated

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
KEYS = {"north": PatientPseudonyms(b"k" * 32)}


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.sqlite") as opened:
        yield opened


def lines(*numbers: int, **data: str) -> str:
    return "".join(json.dumps(stated(number, **data)) + "\n" for number in numbers)


def watcher(home: Path, outbox: Outbox, *, now: dt.datetime = NOW, **settings: float) -> InboxWatcher:
    """Of one clinic, not started: a test calls `look`."""
    loaded = GatewaySettings.load(home).model_copy(
        update={"clinics": ("north",), "inbox_settle_seconds": 0, **settings}
    )
    made = InboxWatcher(loaded, "north", Intake(outbox, KEYS), lambda: now)
    for name in ("done", "refused"):
        (loaded.inbox("north") / name).mkdir(parents=True, exist_ok=True)
    return made


def test_a_file_is_taken_whole_or_not_at_all(tmp_path: Path, outbox: Outbox):
    """With one bad line nothing of many chunks is stored; each bad line is named by number."""
    file = tmp_path / "events.ndjson"
    file.write_text(lines(*range(2 * CHUNK)) + "\n\n" + lines(9_000, mood="x") + "{\n")
    files = Files(Intake(outbox, KEYS), "north", 10**9, lambda: NOW)
    report = files.take(file, None)
    assert (report.events, report.refused, report.stored) == (2 * CHUNK + 2, 2, 0)
    assert [(refusal.line, refusal.rule) for refusal in report.refusals] == [
        (2 * CHUNK + 3, "field.unknown"),
        (2 * CHUNK + 4, "json.invalid"),
    ]
    assert outbox.state().accepted == 0
    file.write_text(lines(*range(2 * CHUNK + 1)))
    assert files.take(file, None).stored == 2 * CHUNK + 1


def test_a_file_in_conflict_with_what_is_stored_is_refused_whole(tmp_path: Path, outbox: Outbox):
    """An id known with other content is found before anything is stored."""
    files = Files(Intake(outbox, KEYS), "north", 10**9, lambda: NOW)
    (tmp_path / "a.ndjson").write_text(lines(1))
    files.take(tmp_path / "a.ndjson", None)
    (tmp_path / "b.ndjson").write_text(lines(2) + lines(1, channel="app"))
    report = files.take(tmp_path / "b.ndjson", None)
    assert [(refusal.line, refusal.rule) for refusal in report.refusals] == [(2, "id.conflict")]
    assert outbox.state().accepted == 1


def test_a_conflict_within_a_file_is_told_even_where_it_comes_late(tmp_path: Path, outbox: Outbox):
    """Two contents under one id, chunks apart: the report says that part of the file was stored."""
    files = Files(Intake(outbox, KEYS), "north", 10**9, lambda: NOW)
    (tmp_path / "a.ndjson").write_text(lines(*range(CHUNK)) + lines(7, channel="app"))
    report = files.take(tmp_path / "a.ndjson", None)
    assert (report.stored, report.refused) == (CHUNK, 1)
    assert report.refusals[0].line == CHUNK + 1


def test_reports_stay_small_and_say_nothing_of_the_content(tmp_path: Path, outbox: Outbox):
    """Of endless refusals the first are named, all are counted, and no value is told."""
    (tmp_path / "a.ndjson").write_text(lines(1, mood="hunter2") * (MAX_REFUSALS_TOLD + 7))
    report = Files(Intake(outbox, KEYS), "north", 10**9, lambda: NOW).take(tmp_path / "a.ndjson", None)
    assert (report.refused, len(report.refusals)) == (MAX_REFUSALS_TOLD + 7, MAX_REFUSALS_TOLD)
    assert "hunter2" not in str(report)
    assert "mood" not in str(report)


def test_a_file_beyond_all_bounds_is_refused_unread(tmp_path: Path, outbox: Outbox):
    """By its size, before any of it is looked at; and one endless line is one refusal."""
    file = tmp_path / "a.ndjson"
    file.write_bytes(b"x" * 1_000_000)
    small = Files(Intake(outbox, KEYS), "north", 100_000, lambda: NOW).take(file, None)
    assert [refusal.rule for refusal in small.refusals] == ["file.size"]
    large = Files(Intake(outbox, KEYS), "north", 10**9, lambda: NOW).take(file, None)
    assert [refusal.rule for refusal in large.refusals] == ["size.exceeded"]


def test_files_go_to_done_and_refused(tmp_path: Path, outbox: Outbox):
    """With a report beside each; a second file of the same name replaces none."""
    inbox = tmp_path / "inbox" / "north"
    watching = watcher(tmp_path, outbox)
    for text in (lines(1), lines(2), "{"):
        (inbox / "a.ndjson").write_text(text)
        watching.look()
    assert sorted(path.name[-8:] for path in (inbox / "done").glob("*.ndjson")) == ["a.ndjson", "a.ndjson"]
    assert (inbox / "refused" / "a.ndjson").read_text() == "{"
    assert json.loads((inbox / "refused" / "a.ndjson.report.json").read_text())["refused"] == 1
    assert [path for path in inbox.iterdir() if path.is_file()] == []
    assert outbox.state().accepted == 2


def test_a_file_is_left_until_it_has_settled(tmp_path: Path, outbox: Outbox):
    """Not while it changes, not under a name that says it is not ready, and never through a link."""
    inbox = tmp_path / "inbox" / "north"
    watching = watcher(tmp_path, outbox, inbox_settle_seconds=3_600)
    (inbox / "a.ndjson").write_text(lines(1))
    watching.look()
    assert (inbox / "a.ndjson").exists()
    watching = watcher(tmp_path, outbox)
    (inbox / "a.ndjson").rename(inbox / "a.ndjson.part")
    (inbox / ".hidden.ndjson").write_text(lines(2))
    (tmp_path / "outside.ndjson").write_text(lines(3))
    (inbox / "link.ndjson").symlink_to(tmp_path / "outside.ndjson")
    watching.look()
    assert outbox.state().accepted == 0


def test_a_full_outbox_leaves_the_file_for_later(tmp_path: Path):
    """What did not fit stays in the inbox, and is taken whole once there is room."""
    inbox = tmp_path / "inbox" / "north"
    inbox.mkdir(parents=True)
    (inbox / "a.ndjson").write_text(lines(*range(3 * CHUNK)))
    with Outbox(tmp_path / "outbox.sqlite", max_bytes=2**19) as outbox:
        watcher(tmp_path, outbox).look()
        assert (inbox / "a.ndjson").exists()
        assert 0 < outbox.state().accepted < 3 * CHUNK
        with pytest.raises(OutboxFull):
            Files(Intake(outbox, KEYS), "north", 10**9, lambda: NOW).take(inbox / "a.ndjson", None)
    with Outbox(tmp_path / "outbox.sqlite") as outbox:
        watcher(tmp_path, outbox).look()
        assert outbox.state().accepted == 3 * CHUNK
    report = json.loads((inbox / "done" / "a.ndjson.report.json").read_text())
    assert report["stored"] + report["repeated"] == 3 * CHUNK > report["stored"]


def test_a_broken_mapping_leaves_the_file_alone(tmp_path: Path, outbox: Outbox):
    """The export is good as far as anyone knows: it waits until the mapping is mended."""
    inbox, mappings = tmp_path / "inbox" / "north", tmp_path / "mappings" / "north"
    watching = watcher(tmp_path, outbox)
    mappings.mkdir(parents=True)
    (mappings / "a.toml").write_text("files = ")
    (inbox / "a.csv").write_text("a,b\n")
    watching.look()
    assert (inbox / "a.csv").exists()
    (mappings / "a.toml").unlink()
    watching.look()
    assert (inbox / "refused" / "a.csv").exists()


def test_old_files_are_removed(tmp_path: Path, outbox: Outbox):
    """Files taken hold patient numbers: after `keep_files_days` they and their reports are gone."""
    inbox = tmp_path / "inbox" / "north"
    (inbox / "done").mkdir(parents=True)
    (inbox / "done" / "a.ndjson").write_text("x")
    created = dt.datetime.fromtimestamp(os.stat(inbox / "done" / "a.ndjson").st_ctime, dt.UTC)
    watcher(tmp_path, outbox, now=created + dt.timedelta(days=29), keep_files_days=30).look()
    assert (inbox / "done" / "a.ndjson").exists()
    watcher(tmp_path, outbox, now=created + dt.timedelta(days=31), keep_files_days=30).look()
    assert not (inbox / "done" / "a.ndjson").exists()
