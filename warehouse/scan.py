"""Looking for a person in files, byte by byte and, where bytes are compressed, value by value.

This is the proof of an erasure, so it shares nothing with what did the erasing: plain reads, and pyarrow
instead of DuckDB.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_CHUNK = 1 << 22


@dataclass
class Scanned:
    """What was read, and the files in which the name stood."""

    files: int = 0
    bytes: int = 0
    hits: list[str] = field(default_factory=list)


def mentions(raw: bytes | None, name: str) -> bool:
    """Whether bytes of any kind speak of `name`: in either case, as UTF-16, or with JSON escapes."""
    if not raw:
        return False
    plain = raw.replace(b"\x00", b"").lower()
    needle = name.lower().encode()
    return needle in plain or (b"\\u" in plain and needle in _unescaped(plain))


def _unescaped(text: bytes) -> bytes:
    return re.sub(rb"\\u00([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text).lower()


def scan(folders: Iterable[Path], name: str, *, leave_out: Iterable[Path] = ()) -> Scanned:
    """Read every file under `folders` but those in `leave_out`, and give where `name` stands."""
    done = Scanned()
    left_out = [path.resolve() for path in leave_out]
    for path in _files(folders):
        if any(path.is_relative_to(each) for each in left_out):
            continue
        done.files += 1
        done.bytes += path.stat().st_size
        if _in_bytes(path, name) or (path.suffix == ".parquet" and _in_values(path, name)):
            done.hits.append(str(path))
    return done


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    seen = set()
    for folder in folders:
        for path in sorted(folder.resolve().rglob("*")):
            if path.is_file() and not path.is_symlink() and path not in seen:
                seen.add(path)
                yield path


def _in_bytes(path: Path, name: str) -> bool:
    """Chunks overlap, so that a name across a boundary is found; UTF-16 takes two bytes a character."""
    overlap = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if mentions(overlap + chunk, name):
                return True
            overlap = chunk[-12 * len(name) :]
    return False


def _in_values(path: Path, name: str) -> bool:
    """Every text and byte value of a Parquet file."""
    file = pq.ParquetFile(path)
    texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
    for batch in file.iter_batches(columns=texts) if texts else ():
        for column in batch.columns:
            if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
                found = any(mentions(value.as_py(), name) for value in column)
            else:
                found = bool(pc.any(pc.match_substring(column, name, ignore_case=True)).as_py())
            if found:
                return True
    return False


def _is_text(type_: pa.DataType) -> bool:
    return any(
        check(type_)
        for check in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
        )
    )
