"""Backup and restore: one consistent copy of catalog and files while landing goes on.

The catalog is copied in one writers' turn by SQLite's online backup; the data files it names never change, so
they are copied afterwards at leisure, while maintenance is kept from removing any.

<folder>/catalog.sqlite   the catalog at one snapshot
         data/…           every file that a snapshot in it needs
         delivery.sqlite  the send ledger, where there is one; copied after the catalog, so that it knows more
         manifest.json    checksums of files and relations, the progress; written last: without it, unfinished
"""

import contextlib
import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from producers.contracts.errors import CheckFailed, SettingsError
from warehouse import audit, catalog_file, deliveries, store
from warehouse.log import progress
from warehouse.maintenance import alone, live_files
from warehouse.store import Connection, Location
from warehouse.verify import Relation, checksums

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class File:
    """A file of a backup: path within it, size, SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. `progress`: first offset not yet landed, as `topic/partition`."""

    format: int
    made_at: dt.datetime
    snapshot_id: int
    relations: list[Relation]
    progress: dict[str, int]
    files: list[File]

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Raises SettingsError where there is no finished backup."""
        try:
            found = json.loads((folder / MANIFEST).read_text())
        except FileNotFoundError:
            raise SettingsError(f"{folder} holds no finished backup: it has no {MANIFEST}") from None
        except ValueError:
            raise CheckFailed(f"{folder / MANIFEST} is damaged") from None
        if found.get("format") != FORMAT:
            raise SettingsError(f"{folder}: unknown backup format {found.get('format')}")
        return cls(
            FORMAT,
            dt.datetime.fromisoformat(found["made_at"]),
            found["snapshot_id"],
            [Relation(**each) for each in found["relations"]],
            found["progress"],
            [File(**each) for each in found["files"]],
        )

    def write(self, folder: Path) -> None:
        _write(folder / MANIFEST, json.dumps(asdict(self), indent=1, default=str).encode())


def at(folder: Path) -> Location:
    """A backup's own catalog and data, to be opened where they lie."""
    return Location(f"sqlite:{folder.resolve() / 'catalog.sqlite'}", f"{folder.resolve() / 'data'}/")


def backup(
    connection: Connection,
    location: Location,
    folder: Path,
    *,
    now: dt.datetime,
    actor: str,
    hard_links: bool = False,
    ledger: Path | None = None,
) -> Manifest:
    """Copy the warehouse at its newest snapshot into `folder`, which is new, empty or an unfinished backup;
    and the send ledger, where `ledger` is one.

    `hard_links` shares the data files with the warehouse where both lie on one disk: quick, and no help
    against the loss of that disk. Raises SettingsError for a folder in use, WarehouseConflict while
    maintenance runs, CheckFailed for a damaged ledger.
    """
    _only_embedded(location)
    folder = folder.resolve()
    with alone(location):
        _claim(folder)
        with store.transaction(
            connection, location
        ):  # first, so that an erasure knows of unfinished ones, too
            connection.execute(
                store.statement("privacy/register_backup"),
                {"path": str(folder), "made_at": now, "snapshot_id": store.snapshot_id(connection)},
            )
        copy = at(folder)
        with store.writer_turn(location):
            catalog_file.copy(location.catalog_file, copy.catalog_file)
        if ledger is not None and ledger.exists():
            catalog_file.copy(ledger, folder / deliveries.FILE)
            _check_ledger(folder / deliveries.FILE)
        catalog_file.move_data(copy.catalog_file, copy.data_path)
        manifest = _describe(folder, now, fill=(location, hard_links))
        manifest.write(folder)
        with store.transaction(connection, location):
            detail = {
                "files": len(manifest.files),
                "snapshot_id": manifest.snapshot_id,
                "folder": str(folder),
            }
            audit.append(connection, "backup", actor=actor, at=now, detail=detail)
    return manifest


def describe(folder: Path, *, now: dt.datetime) -> Manifest:
    """Write a backup's manifest anew, after its contents were changed on purpose."""
    manifest = _describe(folder.resolve(), now)
    manifest.write(folder)
    return manifest


@contextlib.contextmanager
def _probed(folder: Path) -> Iterator[tuple[Connection, list[Path]]]:
    """A backup opened through a second copy of its catalog, since opening one changes it; and its files."""
    probe = folder / "probe.sqlite"
    _remove(probe)
    shutil.copyfile(folder / "catalog.sqlite", probe)
    location = Location(f"sqlite:{probe}", at(folder).data_path)
    connection = store.connect(location, read_only=True)
    try:
        yield connection, [Path(file.path) for file in live_files(connection, location)]
    except store.Error as error:
        raise CheckFailed(f"{folder}: {store.first_line(error)}") from None
    finally:
        connection.close()
        _remove(probe)


def _describe(folder: Path, now: dt.datetime, fill: tuple[Location, bool] | None = None) -> Manifest:
    """Read the whole backup, after filling it where asked."""
    with _probed(folder) as (connection, paths):
        if fill:
            _fill(folder, paths, *fill)
        relations = checksums(connection)
        snapshot = store.snapshot_id(connection)
        offsets = {f"{p.topic}/{p.number}": offset for p, offset in sorted(progress(connection).items())}
    alone = [file for file in (folder / "catalog.sqlite", folder / deliveries.FILE) if file.exists()]
    files = [_file(folder, path) for path in [*alone, *paths]]
    return Manifest(FORMAT, now, snapshot, relations, offsets, files)


def _fill(folder: Path, paths: Iterable[Path], source: Location, hard_links: bool) -> None:
    for path in paths:
        origin = Path(source.data_path) / path.relative_to(folder / "data")
        path.parent.mkdir(parents=True, exist_ok=True)
        if hard_links:
            os.link(origin, path)
        else:
            shutil.copyfile(origin, path)


def restore(folder: Path, home: Path, *, set_aside: bool = False, now: dt.datetime) -> Manifest:
    """Put a backup into `<home>/warehouse`, checked file by file and relation by relation.

    A warehouse already there is refused, or with `set_aside` renamed; nothing is ever deleted. A send ledger
    already there stays where it knows all that the backup's does; else it is refused or renamed, too. What
    the backup's has not seen the end of is unknown from then on: it may have been sent since. Raises
    CheckFailed naming the file or relation that is not what the manifest says; `home` is untouched then.
    """
    manifest = Manifest.read(folder)
    final = home.resolve() / "warehouse"
    if final.exists() and not set_aside:
        raise SettingsError(f"{final} exists: move it away, or say --set-aside")
    staging = home.resolve() / "warehouse.restoring"
    shutil.rmtree(staging, ignore_errors=True)
    for file in manifest.files:
        target = staging / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(folder / file.path, target)
        except FileNotFoundError:
            raise CheckFailed(f"{folder / file.path} is missing from the backup") from None
        if _file(staging, target) != file:
            raise CheckFailed(f"{folder / file.path} is not what the manifest says: the backup is damaged")
    _check(staging, manifest)
    catalog_file.move_data(staging / "catalog.sqlite", f"{final / 'data'}/")
    _restore_ledger(staging / deliveries.FILE, manifest, home.resolve(), set_aside=set_aside, now=now)
    if final.exists():
        _set_aside(final, now)
    staging.rename(final)
    return manifest


def _restore_ledger(copy: Path, manifest: Manifest, home: Path, *, set_aside: bool, now: dt.datetime) -> None:
    """Before the warehouse: with a warehouse and without its ledger, everything would be sent again."""
    if not copy.exists():
        return
    _check_ledger(copy)
    final = home / deliveries.FILE
    restored = deliveries.Ledger(copy)
    if final.exists():
        if restored.ids() <= deliveries.Ledger(final).ids():
            _remove(copy)
            return
        if not set_aside:
            raise SettingsError(f"{final} lacks what the backup's knows: move it away, or say --set-aside")
        _set_aside(final, now)
    restored.restored(manifest.made_at, at=now)
    copy.rename(final)


def _check_ledger(file: Path) -> None:
    if wrong := deliveries.Ledger(file).broken():
        raise CheckFailed(f"the send ledger {file}: {wrong[0]}")


def _set_aside(path: Path, now: dt.datetime) -> None:
    path.rename(path.with_name(f"{path.name}.aside-{now:%Y%m%dT%H%M%SZ}"))


def _check(staging: Path, manifest: Manifest) -> None:
    """Open what was copied, and compare every relation."""
    catalog_file.move_data(staging / "catalog.sqlite", at(staging).data_path)
    with _probed(staging) as (connection, _):
        there = {relation.relation: relation for relation in checksums(connection)}
    for expected in manifest.relations:
        if there.get(expected.relation) != expected:
            raise CheckFailed(f"{expected.relation}: the restored contents are not what the manifest says")


def _only_embedded(location: Location) -> None:
    if location.kind != "sqlite" or "://" in location.data_path:
        raise SettingsError(
            "backup is for a SQLite catalog and a data folder; scaled out, use pg_dump and the object "
            "store's versions, catalog first"
        )


def _claim(folder: Path) -> None:
    """Take a folder, or take up an unfinished backup from its beginning."""
    if (folder / MANIFEST).exists():
        raise SettingsError(f"{folder} holds a finished backup already")
    discard(folder)
    if any(folder.glob("*")):
        raise SettingsError(f"{folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def discard(folder: Path) -> None:
    """Remove what an unfinished backup left, and nothing else: from that nothing can be restored."""
    if (folder / "catalog.sqlite").exists():
        shutil.rmtree(folder / "data", ignore_errors=True)
        _remove(folder / "probe.sqlite")
        _remove(folder / deliveries.FILE)
        _remove(folder / "catalog.sqlite")


def _remove(database: Path) -> None:
    for suffix in ("-wal", "-shm", "-journal", ""):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _file(folder: Path, path: Path) -> File:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return File(str(path.relative_to(folder)), path.stat().st_size, digest)


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, even when the machine stops."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
