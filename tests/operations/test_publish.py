"""A published file holds what its audience may see, and nothing else anywhere in its bytes."""

import os
from pathlib import Path

import duckdb
import pytest

from producers.contracts import SettingsError
from tests.operations.lake import ANN, Lake
from warehouse import store
from warehouse.publish import publish
from warehouse.scan import scan

pytestmark = pytest.mark.integration

METRICS = """
INSERT INTO mart.metric_result BY NAME
SELECT 'adverse_event_incidence' AS metric_id, scope, scope_id, denominator AS denominator, 1.0 AS numerator,
  0.5 AS value, 0.1 AS lower, 0.9 AS upper, TIMESTAMPTZ '2026-11-20' AS as_of, 'year' AS period
FROM (VALUES ('network', 'network', 100.0), ('clinic', 'north', 4.0), ('clinic', 'south', 50.0))
  AS row (scope, scope_id, denominator)
"""


@pytest.fixture
def published(lake: Lake) -> Lake:
    lake.land(0, 1)
    for clinic in ("north", "south"):
        lake.connection.execute(
            """INSERT INTO raw.clinic_registered BY NAME
               SELECT '/clinics/' || $c AS source, 'c' AS id, $c AS clinic_id, now() AS occurred_at""",
            {"c": clinic},
        )
    lake.connection.execute(
        """INSERT INTO raw.session_completed BY NAME
           SELECT '/clinics/south' AS source, 'z' || i AS id, 'south' AS clinic_id, 'southern-' || i
             AS session_id,
             md5('s' || i) AS patient_key, '60+' AS age_band, 2 AS skin_type
           FROM range(8) AS number (i)"""
    )
    lake.connection.execute(METRICS)
    return lake


def read(file: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_the_file_is_plain_duckdb_with_comments_and_macros(published: Lake, tmp_path: Path):
    """Any DuckDB opens it: rows as in the warehouse, comments on tables and columns, macros that work."""
    file = tmp_path / "all.duckdb"
    done = publish(published.connection, file)
    assert done.rows["core.session"] == 48
    assert read(file, "SELECT count(*) FROM core.session") == [(48,)]
    assert read(file, "SELECT wilson(1, 2).value") == [(0.5,)]
    assert read(file, "SELECT count(*) FROM ae_rate('2026-01-01', '2027-01-01')") == [(1,)]
    assert read(file, "SELECT count(*) > 50 FROM mart.data_dictionary") == [(True,)]
    assert read(file, "SELECT tags['storage_version'] FROM duckdb_databases() WHERE path IS NOT NULL") == [
        ("v1.4.0+",)
    ]
    commented = (
        """SELECT count(*) FROM duckdb_columns() WHERE table_name = 'session' AND comment IS NOT NULL"""
    )
    assert read(file, commented)[0][0] > 10


def test_patients_have_other_names_and_nobody_s_key_is_in_the_file(published: Lake, tmp_path: Path):
    """Keys are replaced consistently within a file and differently in the next; the bytes hold none."""
    first, second = tmp_path / "a.duckdb", tmp_path / "b.duckdb"
    publish(published.connection, first)
    publish(published.connection, second)
    people = "SELECT patient_key, count(*) AS n FROM core.session WHERE clinic_id = 'north' GROUP BY ALL"
    a, b = read(first, people), read(second, people)
    assert sorted(n for _, n in a) == sorted(n for _, n in b)
    assert not {key for key, _ in a} & {key for key, _ in b}
    assert scan([tmp_path], ANN, leave_out=[published.home]).hits == []


def test_one_clinic_s_file_holds_no_other_clinic(published: Lake, tmp_path: Path):
    """Its own rows, its own and the network's results; no byte of the other clinic."""
    file = tmp_path / "out" / "north.duckdb"
    file.parent.mkdir()
    publish(published.connection, file, clinics=["north"])
    assert read(file, "SELECT DISTINCT clinic_id FROM core.session") == [("north",)]
    scopes = read(file, "SELECT scope, scope_id FROM mart.metric_result ORDER BY ALL")
    assert scopes == [("clinic", "north"), ("network", "network")]
    assert scan([file.parent], "southern-").hits == []
    with pytest.raises(SettingsError, match="no clinic 'west'"):
        publish(published.connection, file, clinics=["west"])


def test_small_cells_are_not_shown(published: Lake, tmp_path: Path):
    """A result over four people has no numbers; traits that fewer than five people share are blank."""
    file = tmp_path / "all.duckdb"
    publish(published.connection, file)
    figures = (
        "SELECT numerator, denominator, value, lower, upper, reason FROM mart.metric_result WHERE scope_id = "
    )
    assert read(file, figures + "'north'") == [(None,) * 5 + ("suppressed: fewer than 5",)]
    assert read(file, figures + "'south'") == [(1.0, 50.0, 0.5, 0.1, 0.9, None)]
    assert read(file, "SELECT DISTINCT age_band, skin_type FROM core.session WHERE clinic_id = 'south'") == [
        ("60+", 2)
    ]
    assert read(file, "SELECT DISTINCT age_band, skin_type FROM core.session WHERE clinic_id = 'north'") == [
        (None, None)
    ]


def test_a_reader_sees_the_old_file_or_the_new_one(published: Lake, tmp_path: Path):
    """Published again, the file changes as a whole; a failure leaves the old one and no rest."""
    file = tmp_path / "all.duckdb"
    publish(published.connection, file)
    inode = os.stat(file).st_ino
    with duckdb.connect(str(file), read_only=True) as reader:
        publish(published.connection, file)
        assert reader.execute("SELECT count(*) FROM core.session").fetchall() == [(48,)]
    assert os.stat(file).st_ino != inode
    with pytest.raises(SettingsError, match="cannot write"):
        publish(published.connection, tmp_path / "nowhere" / "x.duckdb")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.duckdb", "home"]
    assert store.ask(published.connection, "SELECT 1 AS a") == (["a"], [(1,)])
