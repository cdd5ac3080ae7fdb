"""The one place that opens DuckDB: DuckLake attached as `dermastream`, transactions, migrations.

Writers on a SQLite catalog take turns across threads and processes by an OS file lock held from BEGIN to
COMMIT; the kernel drops it when a process dies. With a PostgreSQL catalog there is no such lock, and
DuckLake's own conflict detection decides.
"""

import contextlib
import fcntl
import functools
import graphlib
import importlib.resources
import itertools
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from producers.contracts.errors import SettingsError, WarehouseConflict, WarehouseUnavailable

Connection = duckdb.DuckDBPyConnection
Error = duckdb.Error
"""Whatever DuckDB raises."""

CATALOG = "dermastream"
_MIGRATIONS = Path(__file__).parent / "migrations"
_SQL = Path(__file__).parent / "sql"
_EXTENSIONS = {"sqlite": ("sqlite_scanner",), "postgres": ("postgres_scanner",)}


@dataclass(frozen=True)
class Location:
    """Where the warehouse lives: `sqlite:<file>` or `postgres:<dsn>`, and the folder or URL of its data.

    `encrypted` is about a warehouse yet to be made: whether its data files will be. One that is there stays
    what it is; its catalog says which, and holds the files' keys.
    """

    catalog: str
    data_path: str
    encrypted: bool = False

    @classmethod
    def under(cls, home: Path) -> "Location":
        """The embedded default: everything in `<home>/warehouse`."""
        root = home.resolve() / "warehouse"
        return cls(f"sqlite:{root / 'catalog.sqlite'}", f"{root / 'data'}/")

    @property
    def kind(self) -> str:
        return self.catalog.split(":", 1)[0]

    @property
    def catalog_file(self) -> Path:
        return Path(self.catalog.split(":", 1)[1])

    def hidden(self, text: str) -> str:
        """The text without the catalog's address, which may hold a password."""
        return text if self.kind == "sqlite" else text.replace(self.catalog.split(":", 1)[1], "…")

    def exists(self) -> bool:
        return self.kind != "sqlite" or self.catalog_file.exists()


def cursor(connection: Connection) -> Connection:
    """A second session on the same DuckDB, for another thread: own transaction, same warehouse."""
    session = connection.cursor()
    _settle(session)
    return session


def _settle(session: Connection) -> None:
    """What every session needs and none inherits: UTC, no look-up of Python variables, our catalog."""
    session.execute("SET TimeZone = 'UTC'")
    session.execute("SET python_enable_replacements = false")
    session.execute(f"USE {CATALOG}")


@contextlib.contextmanager
def kept_open(connection: Connection, location: Location) -> Iterator[None]:
    """Meanwhile this process is never the last to close a SQLite catalog's file. Nothing happens for others.

    Who closes it last copies the log back and removes it, and whoever opens it just then finds it busy, for
    which the SQLite inside DuckDB, built without usleep, waits a whole second. DuckDB opens the file for each
    transaction anew, so two processes meet like this all the time. An open transaction that has read nothing
    holds the file, but no state of it: the log is still reset.
    """
    if location.kind != "sqlite":
        yield
        return
    session = connection.cursor()
    session.execute("BEGIN")
    session.execute(f"USE __ducklake_metadata_{CATALOG}.main")
    try:
        yield
    finally:
        session.close()


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _load_extensions(connection: Connection, location: Location) -> None:
    """What the catalog and the data need."""
    for name in (*_EXTENSIONS[location.kind], "ducklake"):
        _load(connection, name, location)
    if location.data_path.startswith("s3://") or location.encrypted:
        _load(connection, "httpfs", location)


def _load(connection: Connection, name: str, location: Location) -> None:
    """Load a signed extension from its wheel; nothing is ever downloaded. Raises SettingsError."""
    try:
        package = importlib.resources.files(f"duckdb_extension_{name}")
    except ModuleNotFoundError:
        reason = f"{location.catalog} or {location.data_path} needs DuckDB's {name}"
        raise SettingsError(f"{location.hidden(reason)}: install dermastream[scale-out]") from None
    file = package / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    connection.execute(f"LOAD {_quote(str(file))}")


def is_encrypted(connection: Connection) -> bool:
    """Whether the warehouse's data files are encrypted, each with a key of its own."""
    sql = "SELECT value FROM ducklake_options(?) WHERE option_name = 'encrypted'"
    return connection.execute(sql, [CATALOG]).fetchall() == [("true",)]


def read_encrypted(file: Path, key: str) -> Any:
    """An encrypted file's rows as a pyarrow.RecordBatchReader, past the warehouse: also the deleted ones.

    Raises Error where the key is not the file's.
    """
    sql = "SELECT * FROM read_parquet($file, encryption_config = {footer_key_value: from_base64($key)})"
    return duckdb.connect().execute(sql, {"file": str(file), "key": key}).to_arrow_reader(10_000)


_SQLITE_OPTIONS = ("META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 10000")


def connect(
    location: Location, *, read_only: bool = False, memory_limit: str = "1GB", snapshot: int | None = None
) -> Connection:
    """A DuckDB connection whose current catalog is the warehouse; with `snapshot`, read-only, as it was then.

    Raises SettingsError when the warehouse does not exist (read-only) or cannot be opened, and
    WarehouseConflict where another process seems to be making its catalog.
    """
    read_only = read_only or snapshot is not None
    if read_only and not location.exists():
        raise SettingsError(
            f"no warehouse at {location.catalog_file}: start `dermastream up` or `demo` first"
        )
    if location.kind not in _EXTENSIONS:
        raise SettingsError(f"catalog {location.kind!r} is neither sqlite nor postgres")
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "memory_limit": memory_limit,
        }
    )
    _load_extensions(connection, location)
    options = ["DATA_INLINING_ROW_LIMIT 0"]
    if location.kind == "sqlite":
        options += _SQLITE_OPTIONS
        if not read_only:
            with contextlib.suppress(FileExistsError):
                location.catalog_file.parent.mkdir(parents=True, exist_ok=True)
    if snapshot is not None:
        options.append(f"SNAPSHOT_VERSION {int(snapshot)}")
    options.append("READ_ONLY" if read_only else f"DATA_PATH {_quote(location.data_path)}")
    if location.encrypted and not read_only:
        options.append("ENCRYPTED")
    try:
        connection.execute(
            f"ATTACH {_quote('ducklake:' + location.catalog)} AS {CATALOG} ({', '.join(options)})"
        )
    except duckdb.Error as error:
        connection.close()
        reason = location.hidden(f"cannot open the warehouse {location.catalog}: {first_line(error)}")
        if "Failed to initialize DuckLake" in reason:
            raise WarehouseConflict(f"{reason} (is another process making it just now?)") from None
        if "Failed to set encryption" in reason:
            reason = location.hidden(
                f"the warehouse {location.catalog} was made without encryption and stays so: unset "
                "DERMASTREAM_ENCRYPTED, or land its events anew into another"
            )
        raise SettingsError(reason) from None
    if is_encrypted(connection):
        _load(connection, "httpfs", location)  # what DuckDB has built in can only decrypt
        connection.execute("SET temp_file_encryption = true")
    _settle(connection)
    return connection


def attach_past(connection: Connection, location: Location, name: str, snapshot: int) -> None:
    """The warehouse as of a snapshot, read-only, under another name beside the one that is connected.

    Raises WarehouseConflict where that snapshot is gone.
    """
    options = ["READ_ONLY", f"SNAPSHOT_VERSION {int(snapshot)}"]
    if location.kind == "sqlite":
        options += _SQLITE_OPTIONS
    try:
        connection.execute(
            f"ATTACH {_quote('ducklake:' + location.catalog)} AS {name} ({', '.join(options)})"
        )
    except duckdb.Error as error:
        raise WarehouseConflict(location.hidden(f"snapshot {snapshot}: {first_line(error)}")) from None


def connect_analyst(
    location: Location, *, memory_limit: str = "1GB", threads: int | None = None, lock: bool = True
) -> Connection:
    """A connection for people's own SQL: read-only, no file access outside the data, settings locked; or not,
    for a library that makes settings of its own. `threads`: most that work on a statement; null: one a core.

    Denied: any write through it to the warehouse, other files and addresses, extensions, settings, the
    environment and Python's variables. Not denied by DuckDB: whatever the account may do to the data folder
    and the catalog's file, and opening any SQLite file (`sqlite_scan`, ATTACH). So give other people's SQL
    only through `ask`, or a published file (`warehouse.publish`), or an account that may only read.
    """
    connection = connect(location, read_only=True, memory_limit=memory_limit)
    connection.execute("SET max_temp_directory_size = '0B'")
    if location.kind == "sqlite":
        connection.execute(f"SET allowed_directories = [{_quote(location.data_path)}]")
        connection.execute("SET enable_external_access = false")
    if threads is not None:
        connection.execute(f"SET threads = {int(threads)}")
    if lock:
        connection.execute("SET lock_configuration = true")
    return connection


_TABLE_FUNCTIONS = frozenset(
    (
        "range", "generate_series", "unnest", "json_each", "json_tree", "ducklake_snapshots",
        "ducklake_current_snapshot", "ducklake_table_insertions", "ducklake_table_deletions",
        "ducklake_table_changes", "ducklake_table_info", "ducklake_list_files", "ducklake_options",
        "table_changes", "duckdb_tables", "duckdb_views", "duckdb_columns", "duckdb_schemas",
        "duckdb_functions", "duckdb_types", "duckdb_keywords", "duckdb_settings",
        "pragma_table_info",
    )
)  # fmt: skip
"""What somebody else's FROM may call. A list of what is allowed, because read-only alone is not enough:
`FROM ducklake_cleanup_old_files(…)` removes files over a read-only connection."""


def only_select(connection: Connection, sql: str) -> None:
    """Refuse anything but exactly one SELECT that reads our relations, calls no table function but the listed
    ones and our macros. Read-only is also a property of the connection.

    Raises SettingsError naming the rule.
    """
    try:
        statements = connection.extract_statements(sql)
        parsed = connection.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0]
    except duckdb.Error as error:
        raise SettingsError(first_line(error)) from None
    tree = json.loads(parsed)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT or tree["error"]:
        raise SettingsError("exactly one SELECT statement, please: this door is read-only")
    ours = {file.stem for file in (_SQL / "main").glob("*.sql")}
    if refused := sorted(set(_called(tree)) - _TABLE_FUNCTIONS - ours):
        raise SettingsError(f"{refused[0]}() is not for this door")
    if unknown := sorted(_read(tree) - _readable(connection, tree)):
        raise SettingsError(f"{unknown[0]} is not a relation of this door")


def _readable(connection: Connection, tree: Any) -> set[str]:
    """What a FROM may name: a schema of ours, as `schema.`, and without one what the statement itself names.

    A list again, since a name may be a file, the catalog's own tables (they hold the files' keys), or
    DuckDB's view of databases with their addresses.
    """
    own = connection.execute("SELECT schema_name FROM duckdb_schemas() WHERE database_name = ?", [CATALOG])
    schemas = {f"{schema}." for (schema,) in own.fetchall()}
    # A name given by WITH does not hold everywhere: elsewhere it would be DuckDB's view or a file again.
    theirs = {
        name
        for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE internal").fetchall()
    }
    given = {name for name in _named(tree) - theirs if re.fullmatch(r"\w+", name)}
    return {*schemas, "information_schema.", *_TABLE_FUNCTIONS, *given}


def _read(node: Any) -> set[str]:
    """What a parsed statement reads by name: `schema.` for what has one, else the name itself."""
    found: set[str] = set()
    if isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            catalog, schema, name = (
                str(node[key]).lower() for key in ("catalog_name", "schema_name", "table_name")
            )
            ours = catalog in ("", CATALOG)
            schema = "main" if schema == CATALOG and not catalog else schema
            found.add((f"{schema}." if ours else f"{catalog}.{schema}.") if schema else name)
        node = list(node.values())
    if isinstance(node, list):
        found |= {name for each in node for name in _read(each)}
    return found


def _named(node: Any) -> set[str]:
    """Names that a parsed statement gives to queries of its own, by WITH."""
    found: set[str] = set()
    if isinstance(node, dict):
        if isinstance(entries := node.get("cte_map"), dict):
            found |= {str(entry["key"]).lower() for entry in entries["map"]}
        node = list(node.values())
    if isinstance(node, list):
        found |= {name for each in node for name in _named(each)}
    return found


def _called(node: Any) -> Iterator[str]:
    """Names of the table functions in a parsed statement, however deep."""
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            yield str(node["function"]["function_name"]).lower()
        for value in node.values():
            yield from _called(value)
    elif isinstance(node, list):
        for value in node:
            yield from _called(value)


_CONSTANTS = (duckdb.token_type.numeric_const, duckdb.token_type.string_const)
_OPERATOR = re.compile(r"(?:(?!--|/\*)[^\w\s'\"$])+")


def words(connection: Connection) -> frozenset[str]:
    """Every name that says nothing of a patient: relations, columns, schemas, functions."""
    names = connection.execute(statement("shell/words")).fetchall()
    names += connection.execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()
    parts = (part for (name,) in names for part in str(name).lower().split("."))
    return frozenset((CATALOG, "information_schema", *parts))


def without_values(sql: str, known: frozenset[str]) -> str:
    """A statement as a log may keep it: `?` for a constant, `_` for a name that is not `known`, no comments.

    Only for what `only_select` took: in what does not parse, nothing tells a value from a word.
    """
    tokens = duckdb.tokenize(sql)
    ends = [start for start, _ in tokens[1:]] + [len(sql.encode())]
    text, said = sql.encode(), []
    for (start, kind), end in zip(tokens, ends, strict=True):
        part = text[start:end].decode(errors="replace")
        if kind in _CONSTANTS:
            said.append("?")
        elif kind == duckdb.token_type.operator:
            said += [found[0]] if (found := _OPERATOR.match(part)) else []
        elif found := re.match(r'"?(\w+)', part):
            plain = kind == duckdb.token_type.keyword or found[1].lower() in known
            said.append(found[1] if plain else "_")
    return re.sub(r" ?([.,()]) ?", r"\1", " ".join(said)).replace(",", ", ")


def ask(connection: Connection, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one SELECT of somebody else's: column names and rows. Raises SettingsError in one line."""
    only_select(connection, sql)
    try:
        result = connection.execute(sql)
        return [column[0] for column in result.description or []], result.fetchall()
    except duckdb.Error as error:
        raise SettingsError(first_line(error)) from None


def ask_arrow(connection: Connection, sql: str) -> Any:
    """Run one SELECT of somebody else's: a pyarrow.RecordBatchReader. Raises SettingsError in one line."""
    only_select(connection, sql)
    try:
        return connection.execute(sql).to_arrow_reader(100_000)
    except duckdb.Error as error:
        raise SettingsError(first_line(error)) from None


@contextlib.contextmanager
def time_limit(connection: Connection, seconds: float) -> Iterator[None]:
    """Interrupt what the connection does once the time is over. Raises SettingsError instead of the error
    that the interrupted query gives."""
    over = threading.Event()

    def stop() -> None:
        over.set()
        connection.interrupt()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (duckdb.Error, SettingsError):
        if over.is_set():
            raise SettingsError(f"stopped after {seconds:g} s, the time limit") from None
        raise
    finally:
        timer.cancel()


def first_line(error: Exception) -> str:
    """What went wrong, without DuckDB's hints and position."""
    return str(error).strip().splitlines()[0]


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────

_CONFLICT = re.compile(r"database is locked|conflict|Failed to commit DuckLake transaction", re.IGNORECASE)
_NO_SPACE = re.compile(r"No space left|disk is full|disk I/O error", re.IGNORECASE)
_writers = threading.Lock()


@contextlib.contextmanager
def writer_turn(location: Location) -> Iterator[None]:
    """The one place among the writers of a SQLite catalog; the kernel gives it back when we die."""
    if location.kind != "sqlite":
        yield
        return
    with _writers, open(location.catalog_file.with_suffix(".writer.lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def naming_failures(location: Location) -> Iterator[None]:
    """What DuckDB raises for a full disk or a conflict becomes the error that says what to do about it."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        if _NO_SPACE.search(str(error)):
            raise WarehouseUnavailable(f"no space left for the warehouse {location.data_path}") from error
        if isinstance(error, duckdb.Error) and _CONFLICT.search(str(error)):
            raise WarehouseConflict(f"warehouse commit: {first_line(error)}") from error
        raise


@contextlib.contextmanager
def transaction(connection: Connection, location: Location) -> Iterator[Connection]:
    """One atomic write. On any exception the transaction is rolled back and the exception re-raised:
    DuckDB's COMMIT on an aborted transaction would say OK and drop the rows.

    Raises WarehouseConflict where another writer came first: run the whole transaction again; and
    WarehouseUnavailable where its disk is full.
    """
    with naming_failures(location), writer_turn(location):
        connection.execute("BEGIN")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                connection.execute("ROLLBACK")
            raise


def snapshot_id(connection: Connection) -> int:
    """The newest committed snapshot; inside a transaction, the one that it reads."""
    row = connection.execute("SELECT id FROM ducklake_current_snapshot(?)", [CATALOG]).fetchone()
    assert row is not None
    return int(row[0])


def has_files(connection: Connection, schema: str, table: str) -> bool:
    """Whether the snapshot that is read has rows of this table, or had. Where mostly there are none, ask this
    first: DuckLake asks its catalog for the statistics of an empty table again and again (10 ms, this 2)."""
    sql = "SELECT count(*) FROM ducklake_list_files(?, ?, schema => ?)"
    return bool(connection.execute(sql, [CATALOG, table, schema]).fetchall()[0][0])


@contextlib.contextmanager
def reading(connection: Connection, *, keeping: bool = False) -> Iterator[int]:
    """Everything read inside sees one snapshot, whatever others commit meanwhile; gives its id. Temporary
    tables made inside end with it, except where `keeping`."""
    connection.execute("BEGIN")
    try:
        yield snapshot_id(connection)
        if keeping:
            connection.execute("COMMIT")
    finally:
        with contextlib.suppress(duckdb.Error):
            connection.execute("ROLLBACK")


_scratches = itertools.count()


@contextlib.contextmanager
def scratch(connection: Connection) -> Iterator[str]:
    """An empty catalog in memory, of this connection's own; gives its name. Ends after its transactions."""
    name = f"scratch_{next(_scratches)}"
    connection.execute(f"ATTACH ':memory:' AS {name}")
    try:
        yield name
    finally:
        connection.execute(f"DETACH {name}")


@contextlib.contextmanager
def inside(connection: Connection, catalog: str) -> Iterator[None]:
    """Names without a catalog mean that one; afterwards the warehouse again."""
    connection.execute(f"USE {catalog}")
    try:
        yield
    finally:
        connection.execute(f"USE {CATALOG}")


def statement(name: str) -> str:
    """The text of `sql/<name>.sql`, where `name` is like `landing/advance`."""
    return (_SQL / f"{name}.sql").read_text()


def statements(folder: str) -> list[str]:
    """The names of all statements of a folder, for `statement`, in order."""
    return [f"{folder}/{file.stem}" for file in sorted((_SQL / folder).glob("*.sql"))]


def rows(
    connection: Connection, sql: str, parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Run a query and give its rows as dictionaries."""
    result = connection.execute(sql, parameters or {})
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


# ── a plain DuckDB file beside the warehouse ────────────────────────────────────────────────────────────


def attach_file(connection: Connection, file: Path, storage_version: str) -> None:
    """Begin a DuckDB file, as catalog `published`, that DuckDB of that version and later can open."""
    connection.execute(f"ATTACH {_quote(str(file))} AS published (STORAGE_VERSION {_quote(storage_version)})")


def finish_file(connection: Connection) -> None:
    """End the transaction: everything is in the file."""
    connection.execute("COMMIT")


def detach_file(connection: Connection) -> None:
    """Close the file, if there is one."""
    connection.execute("DETACH DATABASE IF EXISTS published")


def make_macros(connection: Connection, catalog: str) -> None:
    """The macros of `sql/main` in another catalog, which holds the relations they read."""
    with inside(connection, catalog):
        for name, text in _views():
            if name.startswith("main."):
                connection.execute(text)


def comment(connection: Connection, subject: str, text: str | None) -> None:
    """`COMMENT ON <subject>`, which takes no bound value."""
    if text:
        connection.execute(f"COMMENT ON {subject} IS {_quote(text)}")


# ── migrations ──────────────────────────────────────────────────────────────────────────────────────────

_VIEW_SCHEMAS = ("main", "raw", "core", "mart")


def migrate(connection: Connection, location: Location) -> list[str]:
    """Bring the warehouse to this code's version: numbered tables once, views whenever their text changed.

    Forward only. Raises SettingsError when the warehouse is newer than this code.
    Returns the names of what was applied.
    """
    applied = []
    with transaction(connection, location):
        connection.execute("CREATE SCHEMA IF NOT EXISTS meta")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS meta.migration (name VARCHAR, digest VARCHAR, applied_at TIMESTAMPTZ)"
        )
        done = dict(connection.execute("SELECT name, digest FROM meta.migration").fetchall())
        known = {file.name for file in _MIGRATIONS.glob("*.sql")}
        if unknown := sorted(name for name in done if name[:4].isdigit() and name not in known):
            raise SettingsError(f"the warehouse is newer than this code: it has migration {unknown[-1]}")
        for file in sorted(_MIGRATIONS.glob("*.sql")):
            if file.name not in done:
                connection.execute(file.read_text())
                _remember(connection, file.name, "")
                applied.append(file.name)
        for name, text in _views():
            digest = connection.execute("SELECT md5(?)", [text]).fetchall()[0][0]
            if done.get(name) != digest:
                connection.execute(text)
                _remember(connection, name, digest)
                applied.append(name)
    return applied


def _remember(connection: Connection, name: str, digest: str) -> None:
    connection.execute("DELETE FROM meta.migration WHERE name = ?", [name])
    connection.execute("INSERT INTO meta.migration VALUES (?, ?, now())", [name, digest])


def _views() -> Iterator[tuple[str, str]]:
    """Every view and macro with its text, after those it reads: DuckDB binds a view when it is made."""
    texts, needs = _texts()
    for name in graphlib.TopologicalSorter(needs).static_order():
        yield name, texts[name]


def views_behind(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """These views and all that they read, each with its text, after those it reads."""
    texts, needs = _texts()
    wanted: set[str] = set()
    new = set(names)
    while new:
        wanted |= new
        new = {other for name in new for other in needs[name]} - wanted
    for name in graphlib.TopologicalSorter(needs).static_order():
        if name in wanted:
            yield name, texts[name]


@functools.cache
def _texts() -> tuple[dict[str, str], dict[str, list[str]]]:
    """The text of every view and macro, and the names of those that each reads."""
    texts = {
        f"{schema}.{file.stem}": file.read_text()
        for schema in _VIEW_SCHEMAS
        for file in sorted((_SQL / schema).glob("*.sql"))
    }
    needs = {
        name: [other for other in texts if other != name and _reads(text, other)]
        for name, text in texts.items()
    }
    return texts, needs


def _reads(text: str, other: str) -> bool:
    """Whether a view's text names another view, or calls a macro of schema main."""
    used = (
        rf"\b{other.removeprefix('main.')}\(" if other.startswith("main.") else rf"\b(FROM|JOIN)\s+{other}\b"
    )
    return re.search(used, text) is not None
