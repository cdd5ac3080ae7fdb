"""The warehouse from tools that are not ours: Ibis, and DuckDB alone by the README's ATTACH line."""

import importlib.resources
import re
import subprocess
import sys
from pathlib import Path

import ibis
import pytest

import warehouse
from tests.operations.lake import Lake
from warehouse import store

pytestmark = pytest.mark.integration

README = Path(__file__).parents[2] / "README.md"


def test_ibis_reads_and_cannot_write(lake: Lake, tmp_path: Path):
    """A table expression gives what SQL gives; without the lock it still neither writes nor reads files."""
    lake.land(0, 1)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    db = ibis.duckdb.from_connection(warehouse.connect(lake.home, lock=False))
    sessions = db.table("session_completed", database="raw")
    assert sessions.count().execute() == 40
    by_skin = sessions.group_by("skin_type").agg(n=sessions.count()).order_by("skin_type").to_polars()
    counted = lake.connection.sql(
        "FROM raw.session_completed SELECT skin_type, count(*) AS n GROUP BY 1 ORDER BY 1"
    )
    assert by_skin.equals(counted.pl())
    for text in (
        "DELETE FROM raw.session_completed",
        f"COPY (SELECT 1) TO '{tmp_path}/stolen.csv'",
        f"FROM '{tmp_path}/secret.csv'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(store.Error):
            db.raw_sql(text).fetchall()
    assert not (tmp_path / "stolen.csv").exists()
    assert lake.count("raw.session_completed") == 40


ALONE = """
import duckdb, sys
connection = duckdb.connect()
for extension in sys.argv[2:]:
    connection.execute(f"LOAD '{extension}'")
connection.execute(sys.argv[1])
print(connection.execute("SELECT count(*) FROM dermastream.raw.session_completed").fetchall()[0][0])
try:
    connection.execute("DELETE FROM dermastream.raw.session_completed")
except duckdb.Error as error:
    print("read-only" in str(error).lower(), error, file=sys.stderr)
else:
    sys.exit("written")
"""


def test_duckdb_alone_attaches_by_the_readmes_line(lake: Lake, tmp_path: Path):
    """From the folder in which the stack runs, beside a writer; another DuckDB, none of our code."""
    lake.land(0)
    (tmp_path / ".dermastream").symlink_to(lake.home)
    (line,) = re.findall(r"```sql\n(ATTACH .*)\n```", README.read_text())
    files = [
        next(Path(str(importlib.resources.files(f"duckdb_extension_{name}"))).rglob("*.duckdb_extension"))
        for name in ("sqlite_scanner", "ducklake")
    ]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, line, *map(str, files)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "20"), done.stderr
    assert done.stderr.startswith("True"), done.stderr  # the DELETE was refused for being read-only
    lake.land(1)
