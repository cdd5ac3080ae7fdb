"""Erasing one person: gone from every row, file, snapshot and backup, and nothing brings them back."""

import json
import shutil
from pathlib import Path

import pytest

from producers.contracts import SettingsError, WarehouseConflict
from tests.operations.lake import ANN, NOW, Lake
from warehouse import audit, kept, store
from warehouse.backup import backup, restore
from warehouse.privacy import Proof, Request, erase, export, read_list, reapply
from warehouse.scan import mentions, scan
from warehouse.tombstones import Key, Tombstones
from warehouse.verify import verify

pytestmark = pytest.mark.integration


def erase_ann(lake: Lake) -> Proof:
    request = Request(ANN, lake.key, NOW, "op")
    return erase(
        lake.connection,
        lake.location,
        request,
        also_scan=[lake.home],
        list_file=lake.home / "tombstones.jsonl",
    )


@pytest.fixture
def landed(lake: Lake) -> Lake:
    lake.land(0, 1, 2)
    void = """INSERT INTO raw.event_voided BY NAME
              SELECT '/clinics/north' AS source, 'v' AS id, 's0-5' AS voided_id"""
    with store.transaction(lake.connection, lake.location):
        lake.connection.execute(void)
    return lake


def test_nothing_of_the_person_is_left(landed: Lake):
    """Sessions, their telemetry, voids of them and refused events go; a search of every byte finds nothing,
    where before it did; everybody else is untouched and the books still balance."""
    others = landed.connection.execute(
        "SELECT count(*), sum(hash(s)) FROM raw.session_completed AS s WHERE patient_key <> $ann",
        {"ann": ANN},
    ).fetchall()
    assert len(scan([landed.home], ANN).hits) >= 7

    proof = erase_ann(landed)

    assert proof.complete
    assert proof.removed == {"raw.event_voided": 1, "raw.session_completed": 12, "raw.telemetry_frame": 12}
    assert proof.quarantined == 3
    assert proof.scanned.files > 10
    assert scan([landed.home], ANN).hits == []
    left = landed.connection.execute(
        "SELECT count(*), sum(hash(s)) FROM raw.session_completed AS s"
    ).fetchall()
    assert left == others
    assert verify(landed.connection, landed.location).findings == []


def test_no_snapshot_still_shows_the_person(landed: Lake):
    """Time travel to before the erasure is refused, not answered."""
    before = store.snapshot_id(landed.connection)
    erase_ann(landed)
    with pytest.raises(store.Error):
        landed.count(f"raw.session_completed AT (VERSION => {before})")


def test_a_refresh_under_way_does_not_bring_the_person_back(landed: Lake):
    """One that read the person's rows before they went cannot save its marts; the next one may."""
    begun = store.cursor(landed.connection)
    with kept.update(begun) as marts:
        pass
    with store.transaction(begun, landed.location):
        kept.save(begun, marts)
    kept.forget(begun)
    landed.land(3)
    with kept.update(begun) as marts:
        assert marts.patients > 0
    erase_ann(landed)
    with pytest.raises(WarehouseConflict), store.transaction(begun, landed.location):
        kept.save(begun, marts)
    kept.forget(begun)
    assert landed.count("mart.session_outcome", f"patient_key = '{ANN}'") == 0
    with kept.update(begun) as marts:
        pass
    with store.transaction(begun, landed.location):
        kept.save(begun, marts)
    assert landed.count("mart.session_outcome") > 0
    assert landed.count("mart.session_outcome", f"patient_key = '{ANN}'") == 0


def test_backups_are_erased_as_well_and_still_restore(landed: Lake, tmp_path: Path):
    """The person is gone from backups, too; their manifests are renewed; they restore and verify."""
    for name in ("first", "second"):
        backup(
            landed.connection,
            landed.location,
            tmp_path / name,
            now=NOW,
            actor="op",
            hard_links=name == "second",
        )
    proof = erase_ann(landed)
    assert sorted(proof.backups) == [str(tmp_path / "first"), str(tmp_path / "second")]
    assert scan([tmp_path], ANN).hits == []
    for name in ("first", "second"):
        restore(tmp_path / name, tmp_path / f"from-{name}", now=NOW)
        restored = Lake.under(tmp_path / f"from-{name}")
        assert restored.count("raw.session_completed") == 48
        assert verify(restored.connection, restored.location).findings == []
        restored.connection.close()


def test_a_backup_that_is_not_there_makes_the_proof_incomplete(landed: Lake, tmp_path: Path):
    """Nobody may believe in an erasure that could not look everywhere."""
    backup(landed.connection, landed.location, tmp_path / "away", now=NOW, actor="op")
    shutil.move(tmp_path / "away", tmp_path / "elsewhere")
    proof = erase_ann(landed)
    assert not proof.complete
    assert proof.backups_missing == [str(tmp_path / "away")]
    shutil.move(tmp_path / "elsewhere", tmp_path / "away")
    assert erase_ann(landed).complete


def test_an_unfinished_backup_is_emptied(landed: Lake, tmp_path: Path):
    """A backup that was killed half-way holds the person, too; nothing could be restored from it anyway."""
    backup(landed.connection, landed.location, tmp_path / "backup", now=NOW, actor="op")
    (tmp_path / "backup" / "manifest.json").unlink()
    assert erase_ann(landed).complete
    assert list((tmp_path / "backup").iterdir()) == []


def test_a_restored_older_copy_is_erased_again(landed: Lake, tmp_path: Path):
    """A copy of a backup that no register knows still holds the person; restoring it erases again."""
    backup(landed.connection, landed.location, tmp_path / "backup", now=NOW, actor="op")
    shutil.copytree(tmp_path / "backup", tmp_path / "unknown")
    erase_ann(landed)
    restore(tmp_path / "unknown", tmp_path / "other", now=NOW)
    restored = Lake.under(tmp_path / "other")
    shutil.rmtree(tmp_path / "backup")
    shutil.rmtree(tmp_path / "unknown")
    listed = read_list(landed.home / "tombstones.jsonl")
    (proof,) = reapply(restored.connection, restored.location, listed, key=landed.key, at=NOW, actor="op")
    assert proof.removed["raw.session_completed"] == 12
    assert scan([tmp_path / "other"], ANN).hits == []
    assert verify(restored.connection, restored.location).findings == []


def test_tombstones_tell_landing_whom_to_refuse(landed: Lake):
    """The person, the person's sessions and the erased events are refused; everybody else is not."""
    erase_ann(landed)
    stones = Tombstones(landed.key)
    stones.refresh(landed.connection)

    def forbids(clinic: str = "north", id_: str = "new", **data: str) -> bool:
        return stones.forbid(clinic_id=clinic, source=f"/clinics/{clinic}", id_=id_, data=data)

    assert forbids(patient_key=ANN)
    assert forbids(clinic="south", patient_key=ANN)
    assert forbids(session_id="ses-1-5")
    assert forbids(voided_id="s2-10")
    assert forbids(id_="s0-0")
    assert not forbids(patient_key="0" * 32, session_id="ses-1-6", voided_id="s2-11")
    assert not forbids(clinic="south", session_id="ses-1-5")
    assert stones.forbidden_sessions([("north", "ses-0-0"), ("north", "ses-0-1")]) == {("north", "ses-0-0")}


def test_without_tombstones_nothing_is_asked():
    """A warehouse in which nobody was erased costs landing nothing, not even a key."""
    assert not Tombstones(None).forbid(clinic_id="c", source="s", id_="i", data={"patient_key": ANN})


def test_tombstones_name_nobody_and_need_their_own_key(landed: Lake, tmp_path: Path):
    """Neither table nor list nor audit holds the person's key; under another key nobody is let in unseen."""
    erase_ann(landed)
    told = json.dumps(audit.trail(landed.connection), default=str)
    told += (landed.home / "tombstones.jsonl").read_text()
    told += str(landed.connection.execute("FROM privacy.tombstone").fetchall())
    assert ANN not in told
    assert "ses-0-0" not in told
    other = Key.of(tmp_path / "other.key")
    with pytest.raises(SettingsError, match="another tombstone key"):
        Tombstones(other).refresh(landed.connection)
    assert (tmp_path / "other.key").stat().st_mode & 0o077 == 0


def test_a_session_of_two_patients_keeps_the_other_ones_data(landed: Lake):
    """Entered for Ann by mistake and stated again for Ben: Ben's row and the telemetry stay."""
    with store.transaction(landed.connection, landed.location):
        landed.connection.execute(
            """INSERT INTO raw.session_completed BY NAME
               SELECT '/clinics/north' AS source, 'again' AS id, 'north' AS clinic_id,
                 'ses-0-0' AS session_id, repeat('b', 32) AS patient_key"""
        )
    erase_ann(landed)
    assert landed.count("raw.session_completed", "session_id = 'ses-0-0'") == 1
    assert landed.count("raw.telemetry_frame", "session_id = 'ses-0-0'") == 1


def test_everything_known_of_a_person_is_given_and_the_access_recorded(landed: Lake):
    """An access request gives rows by relation, only the person's; the trail says that it was made."""
    found = export(landed.connection, landed.location, Request(ANN, landed.key, NOW, "op"))
    assert {relation: len(rows) for relation, rows in found.items()} == {
        "raw.session_completed": 12,
        "raw.telemetry_frame": 12,
        "landing.quarantine": 3,
    }
    assert {row["patient_key"] for row in found["raw.session_completed"]} == {ANN}
    (act,) = audit.trail(landed.connection)
    assert (act["action"], act["actor"], act["subject"]) == ("export", "op", landed.key.patient(ANN))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (ANN.encode(), True),
        (ANN.upper().encode(), True),
        (("x" + ANN).encode("utf-16"), True),
        ("".join(f"\\u{ord(c):04X}" for c in ANN).encode(), True),
        (ANN[:-1].encode(), False),
        (b"", False),
        (None, False),
    ],
    ids=["plain", "upper case", "UTF-16", "JSON escapes", "another", "empty", "none"],
)
def test_a_mention_is_found_in_any_spelling(raw: bytes | None, expected: bool):
    """Refused bytes may spell a key in ways that a decoder refuses; the search knows them."""
    assert mentions(raw, ANN) is expected
