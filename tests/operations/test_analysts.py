"""What an analyst's connection gives, and what it denies: a fixed corpus, held as it was measured."""

import contextlib
import datetime as dt
import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from scipy.stats import chi2

import warehouse
from flows import asking
from producers.contracts import SettingsError
from tests.operations.lake import Lake
from warehouse import store
from warehouse.maintenance import Policy, maintain

pytestmark = pytest.mark.integration


@pytest.fixture
def analyst(lake: Lake):
    lake.land(0, 1)
    connection = warehouse.connect(lake.home)
    yield connection
    connection.close()


DENIED = {
    "insert": "INSERT INTO raw.session_completed SELECT * FROM raw.session_completed",
    "insert under WITH": "WITH x AS (SELECT 1) INSERT INTO landing.progress SELECT 't', 0, 0, 'b', now(), 0",
    "update": "UPDATE landing.progress SET next_offset = 0",
    "delete": "DELETE FROM raw.session_completed",
    "drop": "DROP TABLE raw.session_completed",
    "create table": "CREATE TABLE mart.mine AS SELECT 1 AS a",
    "create view": "CREATE VIEW mart.mine AS SELECT 1 AS a",
    "copy to a file": "COPY (SELECT 1) TO '{elsewhere}/stolen.csv'",
    "copy from a file": "COPY landing.progress FROM '{elsewhere}/secret.csv'",
    "export": "EXPORT DATABASE '{elsewhere}/export'",
    "read text": "SELECT * FROM read_text('{elsewhere}/secret.csv')",
    "read blob": "SELECT * FROM read_blob('/etc/passwd')",
    "read csv": "SELECT * FROM read_csv('{elsewhere}/secret.csv')",
    "file by name": "SELECT * FROM '{elsewhere}/secret.csv'",
    "glob": "SELECT * FROM glob('/etc/*')",
    "an address": "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "attach": "ATTACH '{elsewhere}/other.duckdb'",
    "install": "INSTALL httpfs",
    "load": "LOAD '{elsewhere}/x.duckdb_extension'",
    "set": "SET memory_limit = '100GB'",
    "external access again": "SET enable_external_access = true",
    "reset": "RESET memory_limit",
    "pragma": "PRAGMA memory_limit='100GB'",
    "unlock": "SET lock_configuration = false",
    "environment": "SELECT getenv('HOME')",
    "python variables": "SELECT * FROM a_frame_of_the_host",
    "snapshot maintenance": "CALL ducklake_expire_snapshots('dermastream', versions => [1])",
}


def test_denied_on_the_bare_connection(lake: Lake, analyst: store.Connection, tmp_path: Path):
    """Nothing is written, nothing outside is read, no setting changes, with the connection alone."""
    a_frame_of_the_host = pl.DataFrame({"secret": [1]})
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = store.snapshot_id(lake.connection), lake.files()
    for what, text in DENIED.items():
        with pytest.raises(store.Error):  # noqa: PT012
            analyst.execute(text.format(elsewhere=tmp_path, home=lake.home)).fetchall()
            pytest.fail(f"{what} was not denied")
        assert (store.snapshot_id(lake.connection), lake.files()) == before, what
    assert not (tmp_path / "stolen.csv").exists()
    assert a_frame_of_the_host.height == 1


REFUSED_BY_THE_DOOR = [
    "SELECT 1; SELECT 2",
    "COPY (SELECT 1) TO '{data}x.parquet'",
    "EXPLAIN ANALYZE SELECT 1",
    "CREATE TEMP TABLE t AS SELECT 1",
    "SELEKT",
    "",
    "SELECT * FROM ducklake_cleanup_old_files('dermastream', cleanup_all => true)",
    "SELECT * FROM ducklake_delete_orphaned_files('dermastream', cleanup_all => true)",
    "SELECT * FROM dermastream.cleanup_old_files(cleanup_all => true)",
    "WITH x AS (FROM Ducklake_Cleanup_Old_Files('dermastream', cleanup_all => true)) FROM x",
    "SELECT (SELECT count(*) FROM query('FROM ducklake_cleanup_old_files(''dermastream'')'))",
    "SELECT 1 WHERE EXISTS (FROM sqlite_scan('{home}/warehouse/catalog.sqlite', 'ducklake_snapshot'))",
    "SELECT * FROM read_blob('{home}/warehouse/catalog.sqlite')",
    "SELECT * FROM read_parquet('{data}**/*.parquet')",
    "DESCRIBE FROM ducklake_cleanup_old_files('dermastream', cleanup_all => true)",
    "PRAGMA database_size",
    "FROM '{data}**/*.parquet'",
    "DESCRIBE '{data}**/*.parquet'",
    "FROM duckdb_databases",
    "FROM pragma_database_list",
    "FROM __ducklake_metadata_dermastream.ducklake_data_file",
    "FROM __ducklake_metadata_dermastream.main.ducklake_data_file",
    "FROM pg_catalog.pg_database",
    "FROM (WITH duckdb_databases AS (SELECT 1) FROM duckdb_databases), duckdb_databases",
    "WITH a AS (FROM duckdb_databases), duckdb_databases AS (SELECT 1) FROM a",
    'WITH a AS (FROM "{data}**/*.parquet"), "{data}**/*.parquet" AS (SELECT 1) FROM a',
]

TAKEN_BY_THE_DOOR = [
    "FROM dermastream.raw.session_completed",
    "FROM raw.session_completed AT (VERSION => 1)",
    "FROM information_schema.tables",
    "SHOW TABLES",
    "SUMMARIZE raw.session_completed",
    "WITH RECURSIVE R (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) FROM R",
    "FROM range(3) AS n (i), (VALUES (1)) AS one",
    "FROM ae_rate('2026-01-01', '2027-01-01')",
    "FROM duckdb_tables()",
]


def test_the_command_takes_exactly_one_select(lake: Lake, analyst: store.Connection):
    """The door of `dermastream sql` refuses what the connection alone would take: writing into the data
    folder, reading the catalog's file, and removing files over a read-only connection."""
    policy = Policy(snapshots_for=dt.timedelta(0))
    maintain(lake.connection, lake.location, policy, pins=[], now=dt.datetime.now(dt.UTC))
    Path(f"{lake.location.data_path}raw/in-the-making.parquet").write_bytes(b"PAR1")
    before = lake.files()
    for query in REFUSED_BY_THE_DOOR:
        with pytest.raises(SettingsError):  # noqa: PT012
            store.ask(analyst, query.format(data=lake.location.data_path, home=lake.home))
            pytest.fail(f"not refused: {query}")
        assert lake.files() == before, query


def test_what_analysts_write_is_taken(lake: Lake, analyst: store.Connection):
    """The door's list does not stand in the way of an honest SELECT."""
    for query in TAKEN_BY_THE_DOOR:
        store.ask(analyst, query)


def test_a_log_keeps_a_statement_without_its_values(analyst: store.Connection):
    """Neither constants, nor comments, nor names of the writer's own: a patient's key may stand in each."""
    known = store.words(analyst)
    query = """
      SELECT skin_type, 'é' AS "00a11ce0", count(*) /* 00a11ce0 */ -- 00a11ce0
      FROM raw.session_completed AS k00a11ce0 WHERE patient_key = '00a11ce0' AND skin_type > 3+/* 00a1 */4
        AND id <> $$00a11ce0$$ GROUP BY ALL
    """
    store.only_select(analyst, query)
    assert store.without_values(query, known) == (
        "SELECT skin_type, ? AS _, count(*)FROM raw.session_completed AS _ "
        "WHERE patient_key = ? AND skin_type > ? + ? AND id <> ? GROUP BY ALL"
    )


def test_the_read_only_connection_alone_does_not_protect_files(lake: Lake, analyst: store.Connection):
    """Why the door has its list: over a read-only connection DuckLake removes files that wait for their
    readers. Should this fail one day, DuckLake has mended it."""
    policy = Policy(snapshots_for=dt.timedelta(0))
    maintain(lake.connection, lake.location, policy, pins=[], now=dt.datetime.now(dt.UTC))
    before = lake.files()
    with contextlib.suppress(store.Error):
        analyst.execute("FROM ducklake_cleanup_old_files('dermastream', cleanup_all => true)").fetchall()
    assert lake.files() < before


def test_python_gets_frames_while_the_warehouse_is_written(lake: Lake, analyst: store.Connection):
    """`warehouse.connect()` answers in polars, sees what lands meanwhile, and reads the past."""
    snapshot = store.snapshot_id(analyst)
    count = "SELECT count(*) AS n FROM raw.session_completed"
    assert analyst.sql(count).pl()["n"].to_list() == [40]
    lake.land(2)
    assert analyst.sql(count).pl()["n"].to_list() == [60]
    assert analyst.sql(f"{count} AT (VERSION => {snapshot})").pl()["n"].to_list() == [40]


def test_no_warehouse_is_one_clear_line(tmp_path: Path):
    """Asking where nothing is says so, and makes nothing."""
    with pytest.raises(SettingsError, match="no warehouse at"):
        warehouse.connect(tmp_path)
    assert list(tmp_path.iterdir()) == []


# ── the command's limits, formats and shell ─────────────────────────────────────────────────────────────


def test_a_query_that_runs_too_long_is_stopped(analyst: store.Connection):
    """A cross join of everything with everything ends at the limit, and the connection lives on."""
    endless = "SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b"
    with pytest.raises(SettingsError, match=r"stopped after 0\.2 s"), store.time_limit(analyst, 0.2):
        store.ask(analyst, endless)
    assert store.ask(analyst, "SELECT 1 AS one") == (["one"], [(1,)])


def run_sql(lake: Lake, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "flows.cli", "sql", *arguments, "--home", str(lake.home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limit is set on Linux only: NOT tried here")
def test_a_query_that_takes_too_much_memory_is_refused(lake: Lake):
    """One string of three gigabytes, which DuckDB's own limit lets pass, is refused in one line."""
    done = run_sql(lake, "SELECT length(repeat('a', 3000000000))", "--memory-mb", "256")
    assert done.returncode == 2
    assert "Out of Memory" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_format_holds_the_same_rows(lake: Lake, analyst: store.Connection, tmp_path: Path):
    """JSON, CSV, Parquet and Arrow files of one query agree; a refused query leaves no file."""
    query = "SELECT id, skin_type, occurred_at FROM raw.session_completed ORDER BY id"
    expected = analyst.sql(query).pl()

    def write(format_: asking.Format, sql: str = query) -> Path:
        out = tmp_path / f"x.{format_}"
        asking.answer(analyst, sql, format_, out=out, limit=1, seconds=60)
        return out

    assert pl.read_parquet(write("parquet")).equals(expected)
    assert pl.read_ipc(write("arrow")).equals(expected)
    assert pl.read_csv(write("csv"))["id"].equals(expected["id"])
    assert [row["skin_type"] for row in json.loads(write("json").read_text())] == expected[
        "skin_type"
    ].to_list()
    with pytest.raises(SettingsError):
        write("parquet", "SELECT nothing")
    with pytest.raises(SettingsError, match="needs --out"):
        asking.answer(analyst, query, "arrow", out=None, limit=1, seconds=60)
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["x.arrow", "x.csv", "x.json", "x.parquet"]


def told(shell: asking.Shell, *lines: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        asking.from_stdin(shell, lines)
    return out.getvalue()


def test_the_shell_takes_statements_over_lines_and_goes_on_after_an_error(analyst: store.Connection):
    """A statement ends with a semicolon; an error is one line; the next statement is answered."""
    shell = asking.Shell(analyst, limit=10, seconds=60)
    said = told(shell, ".format csv", "SELECT 40", "  + 2 AS answer;", "SELECT nothing;", "SELECT 7 AS last")
    assert "answer\r\n42" in said
    assert "nothing" in said
    assert said.endswith("last\r\n7\r\n")


def test_the_shell_completes_relations_columns_and_keywords(analyst: store.Connection):
    """Tab after `core.se` offers the sessions, after `completed_` the columns, after `SEL` the keyword."""
    shell = asking.Shell(analyst, limit=10, seconds=60)

    def offered(text: str) -> set[str]:
        words = (shell.complete(text, state) for state in range(100))
        return {word for word in words if word}

    assert "core.session" in offered("core.se")
    assert "completed_at" in offered("completed_")
    assert offered("SELEC") == {"SELECT"}


# ── macros and dictionary ───────────────────────────────────────────────────────────────────────────────


def test_poisson_limits_are_exact(analyst: store.Connection):
    """Garwood's limits as the chi-squared quantiles give them; Byar's are near from five events on."""
    rows = analyst.execute(
        "SELECT n, poisson_exact(n), byar(n), poisson_exact(n, level := 0.9) "
        "FROM unnest([0, 1, 5, 40, 300]) AS x (n)"
    ).fetchall()
    for n, exact, byar, ninety in rows:
        for limits, alpha in ((exact, 0.05), (ninety, 0.1)):
            assert limits["lower"] == pytest.approx(
                chi2.ppf(alpha / 2, 2 * n) / 2 if n else 0, abs=1e-9, rel=1e-9
            )
            assert limits["upper"] == pytest.approx(chi2.ppf(1 - alpha / 2, 2 * n + 2) / 2, rel=1e-9)
        if n >= 5:
            assert byar["lower"] == pytest.approx(exact["lower"], rel=0.01)
            assert byar["upper"] == pytest.approx(exact["upper"], rel=0.01)


def test_wilson_is_the_metrics_own(analyst: store.Connection):
    """The macro gives what the published metrics give; nobody at risk gives nothing."""
    from statsmodels.stats.proportion import proportion_confint

    for events, total in ((0, 7), (3, 10), (10, 10), (17, 400)):
        (got,) = analyst.execute("SELECT wilson($e, $t)", {"e": events, "t": total}).fetchall()[0]
        lower, upper = proportion_confint(events, total, method="wilson")
        assert (got["lower"], got["upper"]) == (pytest.approx(lower, abs=1e-12), pytest.approx(upper))
    assert analyst.execute("SELECT wilson(0, 0)").fetchall() == [(None,)]


def test_ae_rate_counts_as_the_metric_does(lake: Lake):
    """Known outcomes only, expected reactions out, half-open interval."""
    statements = """
    INSERT INTO raw.session_completed BY NAME
      SELECT '/clinics/east' AS source, 'x' || i AS id, 'east' AS clinic_id, 'x' || i AS session_id,
        'p' || i AS patient_key, TIMESTAMPTZ '2026-05-01' + to_days(i) AS completed_at,
        TIMESTAMPTZ '2026-05-01' + to_days(i) AS occurred_at
      FROM range(10) AS number (i);
    INSERT INTO raw.follow_up_completed BY NAME
      SELECT '/clinics/east' AS source, 'f' || i AS id, 'east' AS clinic_id, 'f' || i AS follow_up_id,
        'x' || i AS session_id, TIMESTAMPTZ '2026-05-20' AS occurred_at
      FROM range(4) AS number (i);
    INSERT INTO raw.adverse_event_reported BY NAME
      SELECT '/clinics/east' AS source, 'a' || i AS id, 'east' AS clinic_id, 'a' || i AS adverse_event_id,
        'x' || (i + 4) AS session_id, ['infection', 'erythema'][i + 1] AS term, [2, 1][i + 1] AS grade,
        false AS serious, TIMESTAMPTZ '2026-05-06' + to_days(i) AS onset_at,
        TIMESTAMPTZ '2026-05-06' + to_days(i) AS occurred_at
      FROM range(2) AS number (i);
    INSERT INTO raw.adverse_event_resolved BY NAME
      SELECT '/clinics/east' AS source, 'r' AS id, 'east' AS clinic_id, 'a1' AS adverse_event_id,
        TIMESTAMPTZ '2026-05-08' AS resolved_at, TIMESTAMPTZ '2026-05-08' AS occurred_at;
    """
    for text in statements.split(";\n"):
        if text.strip():
            lake.connection.execute(text)
    rate = "SELECT sessions, with_adverse_event, per_100_sessions FROM ae_rate('2026-05-01', '2026-06-01')"
    assert lake.connection.execute(rate).fetchall() == [(6, 1, pytest.approx(100 / 6))]
    before = "SELECT sessions, with_adverse_event FROM ae_rate('2026-05-01', '2026-05-07')"
    assert lake.connection.execute(before).fetchall() == [(1, 1)]


def test_the_dictionary_says_what_everything_is(analyst: store.Connection):
    """Every relation of raw, core and mart has a comment, and so has every column of raw."""
    silent = analyst.execute(
        """SELECT DISTINCT relation FROM mart.data_dictionary
           WHERE relation_comment IS NULL OR (column_comment IS NULL AND relation LIKE 'raw.%'
             AND kind = 'table')"""
    ).fetchall()
    assert silent == []
    (row,) = analyst.execute(
        """SELECT column_comment FROM mart.data_dictionary
           WHERE relation = 'core.session' AND "column" = 'patient_key'"""
    ).fetchall()
    assert "keyed hash" in row[0]
