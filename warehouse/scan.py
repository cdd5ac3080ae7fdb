"""Looking for a person in files, byte by byte and, where bytes are compressed, value by value.

This is the proof of an erasure, so it shares nothing with what did the erasing: plain reads, and pyarrow
instead of DuckDB. Encrypted Parquet is the exception: pyarrow cannot read what DuckDB encrypts, so DuckDB
reads it, file by file with the file's own key, and never through the warehouse.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import store

_CHUNK = 1 << 22
_ENCRYPTED = b"PARE"
"""How an encrypted Parquet file begins; others begin with PAR1."""


@dataclass
class Scanned:
    """What was read, the files in which the name stood, and encrypted ones that no key opened."""

    files: int = 0
    bytes: int = 0
    hits: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def mentions(raw: bytes | None, name: str) -> bool:
    """Whether bytes of any kind speak of `name`: in either case, as UTF-16, or with JSON escapes."""
    if not raw:
        return False
    plain = raw.replace(b"\x00", b"").lower()
    needle = name.lower().encode()
    return needle in plain or (b"\\u" in plain and needle in _unescaped(plain))


def _unescaped(text: bytes) -> bytes:
    return re.sub(rb"\\u00([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text).lower()


def scan(
    folders: Iterable[Path],
    name: str,
    *,
    leave_out: Iterable[Path] = (),
    keys: Mapping[Path, str] | None = None,
) -> Scanned:
    """Read every file under `folders` but those in `leave_out`, and give where `name` stands. `keys` are
    those of encrypted files, in base64."""
    done = Scanned()
    left_out = [path.resolve() for path in leave_out]
    for path in _files(folders):
        if any(path.is_relative_to(each) for each in left_out):
            continue
        done.files += 1
        done.bytes += path.stat().st_size
        try:
            if _in_bytes(path, name) or (path.suffix == ".parquet" and _in_values(path, name, keys or {})):
                done.hits.append(str(path))
        except (KeyError, store.Error):
            done.unreadable.append(str(path))
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


def _batches(path: Path, keys: Mapping[Path, str]) -> Iterator[pa.RecordBatch]:
    """A Parquet file's text and byte columns. Raises KeyError or store.Error where no key opens it."""
    with path.open("rb") as opened:
        encrypted = opened.read(4) == _ENCRYPTED
    if encrypted:
        for batch in store.read_encrypted(path, keys[path]):
            yield batch.select([field.name for field in batch.schema if _is_text(field.type)])
        return
    file = pq.ParquetFile(path)
    texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
    yield from file.iter_batches(columns=texts) if texts else ()


def _in_values(path: Path, name: str, keys: Mapping[Path, str]) -> bool:
    """Every text and byte value of a Parquet file."""
    for batch in _batches(path, keys):
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
