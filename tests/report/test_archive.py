"""The archive: what was issued stays, and what has changed is a new revision."""

import datetime as dt
import os
import threading
from pathlib import Path

import pytest

from dashboards.report import IsoWeek, ReportData, build, issue, newest_issue
from dashboards.report.archive import RENDERERS
from producers.contracts import SettingsError
from tests.report import world
from tests.report.conftest import Freeze
from tests.report.world import NOW, WEEK, result
from warehouse import store

pytestmark = pytest.mark.integration

Warehouse = tuple[store.Connection, store.Location]


def contents(archive: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(archive)): file.read_bytes()
        for file in sorted(archive.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    }


def test_an_edition_is_four_files_in_its_folder(warehouse: Warehouse, tmp_path: Path):
    """By default the last completed week is issued, as <week>/<edition>/<report id> in four formats."""
    paths = build(warehouse[0], week=None, clinic="north", archive=tmp_path, now=NOW)
    snapshot = store.snapshot_id(warehouse[0])
    stem = f"2026-W46-clinic-north-s{snapshot}-r1"
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        f"2026-W46/clinic-north/{stem}.{kind}" for kind in ("json", "html", "txt", "pdf", "csv")
    ]
    assert set(contents(tmp_path)) == {path.relative_to(tmp_path).as_posix() for path in paths}


def test_the_same_report_is_not_issued_twice(warehouse: Warehouse, tmp_path: Path):
    """A retry an hour later gives the same files, untouched, where no number has changed."""
    first = build(warehouse[0], week=WEEK, clinic=None, archive=tmp_path, now=NOW)
    before = contents(tmp_path)
    world.write(*warehouse, world.usual())
    again = build(warehouse[0], week=WEEK, clinic=None, archive=tmp_path, now=NOW + dt.timedelta(hours=1))
    assert again == first
    assert contents(tmp_path) == before


def test_other_numbers_are_a_new_revision(warehouse: Warehouse, tmp_path: Path):
    """Late data make a second revision beside the first, which keeps every byte."""
    build(warehouse[0], week=WEEK, clinic=None, archive=tmp_path, now=NOW)
    before = contents(tmp_path)
    world.write(*warehouse, world.replaced(world.usual(), result("maintenance_on_time", 611, 1001)))
    second = build(warehouse[0], week=WEEK, clinic=None, archive=tmp_path, now=NOW)
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(RENDERERS)
    assert second[0].stem.endswith("-r2")
    newest = newest_issue(second[0].parent)
    assert newest is not None
    assert newest.revision == 2


def test_a_revision_that_returns_to_old_numbers_is_still_new(frozen: Freeze, tmp_path: Path):
    """Only the newest issue is compared: going back to what the first one said makes a third."""
    old, new = frozen(), frozen(result("maintenance_on_time", 611, 1001))
    stems = [issue(tmp_path, data)[0].stem for data in (old, new, old)]
    assert [stem[-3:] for stem in stems] == ["-r1", "-r2", "-r3"]


def test_a_crash_half_way_is_finished_by_the_next_run(frozen: Freeze, tmp_path: Path):
    """Files lost between the first and the last are rendered again from the frozen data, byte for byte."""
    paths = issue(tmp_path, frozen())
    whole = contents(tmp_path)
    for path in paths[1:]:
        path.unlink()
    paths[2].with_name(f".{paths[2].name}.tmp").write_bytes(b"half")
    assert issue(tmp_path, frozen()) == paths
    assert contents(tmp_path) == whole
    assert not list(tmp_path.rglob(".*.tmp"))


def test_a_crash_before_new_numbers_is_finished_too(frozen: Freeze, tmp_path: Path):
    """An issue whose renderings were lost gets them back even when the next run brings other numbers."""
    first = issue(tmp_path, frozen())
    whole = contents(tmp_path)
    first[1].unlink()
    issue(tmp_path, frozen(result("maintenance_on_time", 611, 1001)))
    after = contents(tmp_path)
    assert {name: after[name] for name in whole} == whole


def test_two_at_once_issue_one(frozen: Freeze, tmp_path: Path):
    """Two workers that issue the same edition at the same moment leave one revision."""
    data, results, gate = frozen(), [], threading.Barrier(2)

    def work() -> None:
        gate.wait()
        results.append(issue(tmp_path, data))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results[0] == results[1]
    assert len(contents(tmp_path)) == len(RENDERERS)


def test_a_week_that_is_not_over_is_refused(warehouse: Warehouse, tmp_path: Path):
    """The running week has no report yet; the error says when it ends."""
    with pytest.raises(SettingsError, match=r"week 2026-W47 is not over: it ends at 2026-11-23 00:00 UTC"):
        build(warehouse[0], week=IsoWeek.of(NOW), clinic=None, archive=tmp_path, now=NOW)
    assert contents(tmp_path) == {}


def test_an_archive_we_cannot_write_to_is_named(frozen: Freeze, tmp_path: Path):
    """A file where the archive should be is one clear error naming the folder."""
    (tmp_path / "archive").write_text("in the way")
    with pytest.raises(
        SettingsError, match=f"cannot write to the report archive {tmp_path}/archive/2026-W46"
    ):
        issue(tmp_path / "archive", frozen())


def test_a_frozen_issue_is_kept_as_json(frozen: Freeze, tmp_path: Path):
    """The JSON is the frozen data, complete: reading it gives back what was issued."""
    data = frozen()
    assert ReportData.from_json(issue(tmp_path, data)[0].read_bytes()) == data
    assert os.stat(tmp_path / "2026-W46" / "network" / ".lock").st_size == 0
