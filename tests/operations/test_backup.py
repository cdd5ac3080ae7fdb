"""A backup is consistent though landing goes on, and comes back elsewhere with equal checksums."""

import shutil
import threading
from pathlib import Path

import pytest

from producers.contracts import CheckFailed, SettingsError
from tests.operations.lake import NOW, Lake
from warehouse import store
from warehouse.backup import MANIFEST, Manifest, backup, restore
from warehouse.verify import checksums, verify

pytestmark = pytest.mark.integration


def back_up(lake: Lake, folder: Path, **options: bool) -> Manifest:
    return backup(lake.connection, lake.location, folder, now=NOW, actor="op", **options)


@pytest.mark.parametrize("hard_links", [False, True], ids=["copied", "hard links"])
def test_a_restore_elsewhere_has_equal_checksums(lake: Lake, tmp_path: Path, hard_links: bool):
    """Backed up, lost, restored in another folder: equal table by table, and its books hold."""
    lake.land(0, 1, 2)
    expected = checksums(lake.connection)
    manifest = back_up(lake, tmp_path / "backup", hard_links=hard_links)
    lake.connection.close()
    shutil.rmtree(lake.home)

    restore(tmp_path / "backup", tmp_path / "elsewhere", now=NOW)

    restored = Lake.under(tmp_path / "elsewhere")
    assert checksums(restored.connection) == manifest.relations
    facts = [r for r in manifest.relations if not r.relation.startswith("privacy.")]
    assert facts == [r for r in expected if not r.relation.startswith("privacy.")]
    assert manifest.progress == {"clinic.sessions/0": 123}
    assert verify(restored.connection, restored.location).findings == []
    restored.land(3)  # and it goes on where the backup stood
    assert verify(restored.connection, restored.location).findings == []
    restored.connection.close()


def test_a_backup_made_while_landing_writes_is_whole(lake: Lake, tmp_path: Path):
    """Rows, ledger and progress in the copy belong to one and the same commit."""
    writer = Lake(lake.home, store.cursor(lake.connection), lake.location)
    writer.land(0)
    thread = threading.Thread(target=lambda: writer.land(*range(1, 40)))
    thread.start()
    manifest = back_up(lake, tmp_path / "backup")
    thread.join()
    restore(tmp_path / "backup", tmp_path / "elsewhere", now=NOW)
    restored = Lake.under(tmp_path / "elsewhere")
    assert verify(restored.connection, restored.location).findings == []
    offset = manifest.progress["clinic.sessions/0"]
    assert restored.count("raw.session_completed") * 2 + restored.count("landing.quarantine") == offset
    restored.connection.close()


def test_a_damaged_backup_is_refused_and_the_home_stays_untouched(lake: Lake, tmp_path: Path):
    """One flipped byte in any file: the file is named, and what was there before is still in use."""
    lake.land(0)
    back_up(lake, tmp_path / "backup")
    victim = next((tmp_path / "backup" / "data" / "raw").rglob("*.parquet"))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    with pytest.raises(CheckFailed, match="not what the manifest says"):
        restore(tmp_path / "backup", lake.home, set_aside=True, now=NOW)
    assert verify(lake.connection, lake.location).findings == []
    victim.unlink()
    with pytest.raises(CheckFailed, match="missing from the backup"):
        restore(tmp_path / "backup", tmp_path / "elsewhere", now=NOW)


def test_a_warehouse_is_set_aside_never_overwritten(lake: Lake, tmp_path: Path):
    """Restoring over a warehouse needs a word for it, and renames what is there."""
    lake.land(0)
    back_up(lake, tmp_path / "backup")
    with pytest.raises(SettingsError, match="--set-aside"):
        restore(tmp_path / "backup", lake.home, now=NOW)
    lake.connection.close()
    (lake.home / "warehouse" / "catalog.sqlite").write_bytes(b"not a catalog any more")
    restore(tmp_path / "backup", lake.home, set_aside=True, now=NOW)
    (aside,) = lake.home.glob("warehouse.aside-*")
    assert (aside / "catalog.sqlite").read_bytes() == b"not a catalog any more"
    assert Lake.under(lake.home).count("raw.session_completed") == 20


def test_folders_in_use_are_refused_unfinished_backups_are_taken_up(lake: Lake, tmp_path: Path):
    """A finished backup and a stranger's folder stay as they are; without its manifest a backup is redone."""
    lake.land(0)
    folder = tmp_path / "backup"
    back_up(lake, folder)
    with pytest.raises(SettingsError, match="finished backup"):
        back_up(lake, folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(SettingsError, match="no finished backup"):
        restore(folder, tmp_path / "elsewhere", now=NOW)
    back_up(lake, folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    with pytest.raises(SettingsError, match="not empty"):
        back_up(lake, tmp_path / "mine")
