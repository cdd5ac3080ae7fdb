"""Verification finds what was broken, and names the relation."""

from pathlib import Path

import pytest

from tests.operations.lake import NOW, Lake
from warehouse import audit, store
from warehouse.maintenance import live_files
from warehouse.verify import Finding, checksums, verify

pytestmark = pytest.mark.integration


def found(lake: Lake) -> list[tuple[str, str]]:
    return [(finding.relation, finding.rule) for finding in verify(lake.connection, lake.location).findings]


def test_a_sound_warehouse_has_no_findings(lake: Lake):
    """Books, rows, checksums and files hold; every table was looked at."""
    lake.land(0, 1, 2)
    done = verify(lake.connection, lake.location)
    assert done.findings == []
    assert {r.relation: r.rows for r in done.relations}["raw.session_completed"] == 60
    assert done.files == len(lake.files())


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("DELETE FROM raw.session_completed WHERE id = 's1-3'", ("raw", "ledger")),
        ("DELETE FROM landing.quarantine WHERE batch_id = 'b1'", ("landing.quarantine", "ledger")),
        ("UPDATE landing.progress SET next_offset = next_offset - 1", ("landing.progress", "progress")),
        (
            "UPDATE landing.batch SET landed = landed + 1 WHERE batch_id = 'b0'",
            ("landing.batch", "unbalanced"),
        ),
        ("DELETE FROM landing.batch WHERE batch_id = 'b1'", ("landing.batch", "gaps")),
        (
            "INSERT INTO raw.session_completed SELECT * FROM raw.session_completed LIMIT 1",
            ("raw", "duplicate"),
        ),
    ],
    ids=["row lost", "quarantined lost", "progress back", "books cooked", "batch lost", "row twice"],
)
def test_books_and_rows_are_held_against_each_other(lake: Lake, damage: str, expected: tuple[str, str]):
    """One row too few or too many anywhere is found."""
    lake.land(0, 1, 2)
    with store.transaction(lake.connection, lake.location):
        lake.connection.execute(damage)
    assert expected in found(lake)


def path_of(lake: Lake, relation: str) -> Path:
    return next(Path(f.path) for f in live_files(lake.connection, lake.location) if f.relation == relation)


def test_a_lost_file_is_found(lake: Lake):
    """A file that the catalog names and the disk has not: its relation is named."""
    lake.land(0, 1)
    path_of(lake, "raw.session_completed").unlink()
    assert ("raw.session_completed", "missing file") in found(lake)


def test_a_cut_file_is_found(lake: Lake):
    """A file of the wrong size cannot be read, and its relation is named."""
    lake.land(0, 1)
    path = path_of(lake, "raw.session_completed")
    path.write_bytes(path.read_bytes()[:-100])
    assert ("raw.session_completed", "damaged file") in found(lake)


def test_the_checksum_of_a_relation_does_not_depend_on_order(lake: Lake):
    """The same rows, written in another order, have the same checksum; one changed value has another."""
    lake.land(0)
    before = {r.relation: r.checksum for r in checksums(lake.connection)}
    with store.transaction(lake.connection, lake.location):
        lake.connection.execute("CREATE TABLE core.copy AS FROM raw.session_completed ORDER BY hash(id)")
    copied = {r.relation: r.checksum for r in checksums(lake.connection)}
    assert copied["core.copy"] == before["raw.session_completed"]
    with store.transaction(lake.connection, lake.location):
        lake.connection.execute("UPDATE core.copy SET skin_type = 6 WHERE id = 's0-0'")
    assert {r.relation: r.checksum for r in checksums(lake.connection)}["core.copy"] != copied["core.copy"]


def test_orphans_are_counted_and_are_no_finding(lake: Lake):
    """A file that a dead writer left wastes space and changes no answer."""
    lake.land(0)
    Path(f"{lake.location.data_path}raw/stray.parquet").write_bytes(b"PAR1")
    done = verify(lake.connection, lake.location)
    assert (done.orphans, done.findings) == (1, [])


def test_a_changed_audit_trail_is_found(lake: Lake):
    """A row that was altered, and one that was taken out, break the chain."""
    for action in ("export", "backup", "restore"):
        with store.transaction(lake.connection, lake.location):
            audit.append(lake.connection, action, actor="op", at=NOW)
    assert found(lake) == []
    with store.transaction(lake.connection, lake.location):
        lake.connection.execute("UPDATE privacy.audit SET actor = 'nobody' WHERE number = 2")
    (finding,) = verify(lake.connection, lake.location).findings
    assert finding == Finding("privacy.audit", "chain", "row 2 was changed after it was written")
    with store.transaction(lake.connection, lake.location):
        lake.connection.execute("DELETE FROM privacy.audit WHERE number = 2")
    (finding,) = verify(lake.connection, lake.location).findings
    assert finding.detail == "row 3 does not follow row 1"
