"""A child process of the door: holds a locked read-only connection and asks it one SELECT at a time.

Messages are JSON, one a line, over its standard input and output; the first is the `Task`. A result goes into
a file that comes as an open descriptor. Where DuckDB does not listen to the time limit, the process ends.
"""

import csv
import io
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from producers.contracts.errors import DermastreamError, SettingsError
from warehouse import limits, store

Batches = Iterator[pa.RecordBatch]

NICENESS, THREADS = 19, 1
"""Landing comes first where both want the processor; and no statement takes it all from the others."""


@dataclass(frozen=True)
class Task:
    """Which warehouse, and how much one statement may take: seconds, MB of memory, rows and bytes given."""

    catalog: str
    data_path: str
    seconds: float
    memory_mb: int
    rows: int
    bytes: int


class Asked:
    """One warehouse, opened for other people's SQL."""

    def __init__(self, task: Task) -> None:
        self._task = task
        location = store.Location(task.catalog, task.data_path)
        self._connection = store.connect_analyst(
            location, memory_limit=f"{task.memory_mb}MB", threads=THREADS
        )
        self._known = store.words(self._connection)

    def check(self, sql: str) -> str:
        """The statement as the log may keep it. Raises SettingsError where it is not for this door."""
        store.only_select(self._connection, sql)
        return store.without_values(sql, self._known)

    def run(self, sql: str, format_: str, out: BinaryIO) -> dict[str, int]:
        """Write the result; its number of rows and the snapshot it was read from. Raises SettingsError."""
        with (
            limits.time_limit(self._connection, self._task.seconds),
            store.reading(self._connection) as snapshot,
        ):
            try:
                reader = store.ask_arrow(self._connection, sql)
                counted = _Counted(reader, self._task, out)
                FORMATS[format_](counted.batches(), reader.schema, out)
            except MemoryError:
                raise SettingsError("Out of Memory") from None
            except (pa.ArrowException, OSError, store.Error) as error:
                raise SettingsError(store.first_line(error)) from None
        return {"rows": counted.rows, "snapshot": snapshot}


class _Counted:
    """Batches of a result, as long as it is not too large."""

    def __init__(self, reader: Any, task: Task, out: BinaryIO) -> None:
        self._reader = reader
        self._task = task
        self._out = out
        self.rows = 0

    def batches(self) -> Batches:
        for batch in self._reader:
            self.rows += batch.num_rows
            if self.rows > self._task.rows:
                raise SettingsError(
                    f"more than {self._task.rows} rows, the most of one answer: use LIMIT or GROUP BY"
                )
            yield batch
            if self._out.tell() > self._task.bytes:
                raise SettingsError(
                    f"more than {self._task.bytes} bytes, the most of one answer: ask for less"
                )


def _arrow(batches: Batches, schema: pa.Schema, out: BinaryIO) -> None:
    with pa.ipc.new_stream(out, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _csv(batches: Batches, schema: pa.Schema, out: BinaryIO) -> None:
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(schema.names)
    for batch in batches:
        writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    text.detach()


def _json(batches: Batches, schema: pa.Schema, out: BinaryIO) -> None:
    mark = b"["
    for batch in batches:
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            try:
                row = json.dumps(dict(zip(schema.names, values, strict=True)), default=str, allow_nan=False)
            except ValueError:
                raise SettingsError("JSON has no NaN and no infinity: ask for Arrow or CSV") from None
            out.write(mark + row.encode())
            mark = b",\n"
    out.write(b"[]\n" if mark == b"[" else b"]\n")


FORMATS: dict[str, Callable[[Batches, pa.Schema, BinaryIO], None]] = {
    "application/vnd.apache.arrow.stream": _arrow,
    "text/csv": _csv,
    "application/json": _json,
}
"""By media type; the first is what one gets who has no wish."""


def _say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def _answer(asked: Asked, message: dict[str, str], files: socket.socket) -> dict[str, Any]:
    if "check" in message:
        return {"said": asked.check(message["check"])}
    _, (descriptor,), _, _ = socket.recv_fds(files, 1, 1)
    with os.fdopen(descriptor, "wb") as out:
        return asked.run(message["run"], message["format"], out)


def main() -> None:
    """Serve until standard input ends."""
    os.nice(NICENESS)
    files = socket.socket(fileno=int(sys.argv[1]))
    task = Task(**json.loads(sys.stdin.readline()))
    try:
        asked = Asked(task)
    except DermastreamError as error:
        _say(unavailable=str(error))
        return
    limits.limit_memory(task.memory_mb)
    _say(ready=True)
    for line in sys.stdin:
        try:
            _say(**_answer(asked, json.loads(line), files))
        except SettingsError as error:
            _say(refused=str(error))


if __name__ == "__main__":
    main()
