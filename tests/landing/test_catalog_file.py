"""The catalog's file between processes: held open while landing works, its log reset all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from warehouse import store

pytestmark = pytest.mark.integration

WRITE = "INSERT INTO landing.horizon VALUES ('raw.device_calibrated', now(), now())"
_READ = """
import sys
from pathlib import Path
from warehouse import store
with store.connect(store.Location.under(Path(sys.argv[1])), read_only=True) as connection:
    print(connection.execute("SELECT count(*) FROM landing.horizon").fetchall()[0][0])
"""


@pytest.fixture
def location(tmp_path: Path) -> store.Location:
    found = store.Location.under(tmp_path)
    with store.connect(found) as connection:
        store.migrate(connection, found)
    return found


def test_nobody_removes_the_log_of_a_catalog_that_is_held_open(location: store.Location, tmp_path: Path):
    """Held, the log outlives every transaction and other readers' coming and going; afterwards it is gone."""
    log = location.catalog_file.with_name("catalog.sqlite-wal")
    with store.connect(location) as connection:
        connection.execute(WRITE)
        assert not log.exists()  # whoever is last removes it: what makes another process wait
        with store.kept_open(connection, location):
            connection.execute(WRITE)
            command = [sys.executable, "-c", _READ, str(tmp_path)]
            assert subprocess.run(command, capture_output=True, check=True).stdout == b"2\n"
            assert log.exists()
        connection.execute(WRITE)
        assert not log.exists()


def test_the_log_of_a_catalog_that_is_held_open_does_not_grow(location: store.Location):
    """Holding it holds no state of it: SQLite copies the log back at 1,000 pages and begins it anew."""
    log = location.catalog_file.with_name("catalog.sqlite-wal")
    with store.connect(location) as connection, store.kept_open(connection, location):
        sizes = []
        for _ in range(160):
            connection.execute(WRITE)
            sizes.append(log.stat().st_size)
    assert sizes[-1] == sizes[-40] <= 2 * 1000 * 4096


def test_a_relation_without_rows_has_no_files(location: store.Location):
    """As the snapshot that is read says, also inside a transaction."""
    with store.connect(location) as connection:
        assert not store.has_files(connection, "landing", "horizon")
        connection.execute("BEGIN")
        assert not store.has_files(connection, "landing", "horizon")
        connection.execute("ROLLBACK")
        connection.execute(WRITE)
        assert store.has_files(connection, "landing", "horizon")
