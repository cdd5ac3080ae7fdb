"""People's own SQL on a terminal: one statement or a shell, limited in time and memory, out in any format."""

import atexit
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from flows.printing import print_rows
from producers.contracts import SettingsError
from warehouse import store
from warehouse.limits import time_limit

Format = Literal["table", "json", "csv", "parquet", "arrow"]

HELP = """\
End a statement with a semicolon; it may span lines. Tab completes relations, columns and keywords.
.tables [schema]     relations with their comments
.describe RELATION   columns with their comments
.format table|json|csv
.quit"""

_KEYWORDS = (
    "SELECT FROM WHERE GROUP BY ORDER BY LIMIT JOIN LEFT JOIN USING ON AND OR NOT NULL AS DISTINCT COUNT "
    "HAVING QUALIFY WITH UNION ALL BETWEEN CASE WHEN THEN ELSE END DESCRIBE SUMMARIZE AT VERSION TIMESTAMP"
)


def answer(
    connection: store.Connection, query: str, format_: Format, *, out: Path | None, limit: int, seconds: float
) -> None:
    """Ask one SELECT, and print it or write it to a file: all of the file or nothing."""
    with time_limit(connection, seconds):
        if out is None:
            if format_ not in ("table", "json", "csv"):
                raise SettingsError(f"--format {format_} needs --out FILE")
            print_rows(store.ask(connection, query), format_, limit)
            return
        unfinished = out.with_name(f".{out.name}.tmp")
        try:
            _write(connection, query, format_, unfinished)
            unfinished.rename(out)
        except OSError as error:
            raise SettingsError(f"cannot write {out}: {error.strerror or error}") from None
        finally:
            unfinished.unlink(missing_ok=True)


def _write(connection: store.Connection, query: str, format_: Format, file: Path) -> None:
    if format_ in ("table", "json", "csv"):
        with file.open("w", newline="") as text, contextlib.redirect_stdout(text):
            print_rows(store.ask(connection, query), format_, sys.maxsize)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    reader = store.ask_arrow(connection, query)
    make = pq.ParquetWriter if format_ == "parquet" else pa.ipc.new_file
    with make(str(file), reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


class Shell:
    """Statements line by line; a statement ends with a semicolon, a dot begins a command."""

    def __init__(self, connection: store.Connection, *, limit: int, seconds: float) -> None:
        self._connection = connection
        self._limit = limit
        self._seconds = seconds
        self._format: Format = "table"
        self._words: list[str] | None = None
        self.pending = ""

    def feed(self, line: str) -> bool:
        """Take one line; false when the user is done. What goes wrong is said, and the shell goes on."""
        if not self.pending and line.strip().startswith("."):
            return self._command(*line.split())
        self.pending = f"{self.pending}\n{line}".strip()
        if self.pending.endswith(";"):
            query, self.pending = self.pending.rstrip("; \n"), ""
            if query:
                self._ask(query, self._format)
        return True

    def _command(self, name: str, *arguments: str) -> bool:
        if name in (".quit", ".exit", ".q"):
            return False
        if name == ".tables":
            wanted = f"{arguments[0]}.%" if arguments else "%"
            self._ask(store.statement("shell/tables").replace("$pattern", _text(wanted)))
        elif name == ".describe" and arguments:
            self._ask(store.statement("shell/describe").replace("$relation", _text(arguments[0])))
        elif name == ".format" and arguments and arguments[0] in ("table", "json", "csv"):
            self._format = arguments[0]  # type: ignore[assignment]
        else:
            print(HELP)
        return True

    def _ask(self, query: str, format_: Format = "table") -> None:
        try:
            answer(self._connection, query, format_, out=None, limit=self._limit, seconds=self._seconds)
        except SettingsError as error:
            print(error, file=sys.stderr)
        except KeyboardInterrupt:
            self._connection.interrupt()
            print("interrupted", file=sys.stderr)

    def complete(self, text: str, state: int) -> str | None:
        """The `state`-th word that begins with `text`, as readline asks for it."""
        if self._words is None:
            _, rows = store.ask(self._connection, store.statement("shell/words"))
            self._words = sorted({*(str(row[0]) for row in rows), *_KEYWORDS.split()})
        found = [word for word in self._words if word.lower().startswith(text.lower())]
        return found[state] if state < len(found) else None


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def converse(shell: Shell, history: Path, read: Callable[[str], str] = input) -> None:
    """Read lines until the end, with history and completion where the terminal has them."""
    _readline(shell, history)
    print("Ask in SQL, read-only; .help tells more.")
    while True:
        try:
            if not shell.feed(read("   ...> " if shell.pending else "derma> ")):
                return
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            shell.pending = ""
            print()


def _readline(shell: Shell, history: Path) -> None:
    try:
        import readline
    except ImportError:
        return
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(2_000)
    readline.set_completer_delims(" \t\n,()=<>;")
    readline.set_completer(shell.complete)
    readline.parse_and_bind("tab: complete")

    def keep() -> None:
        with contextlib.suppress(OSError):
            readline.write_history_file(history)
            history.chmod(0o600)

    atexit.register(keep)


def from_stdin(shell: Shell, lines: Any) -> None:
    """Statements from a pipe, one after the other; the last needs no semicolon."""
    for line in lines:
        if not shell.feed(line.rstrip("\n")):
            return
    if shell.pending:
        shell.feed(";")
