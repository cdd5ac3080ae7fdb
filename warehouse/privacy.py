"""Erasing one person everywhere, for good, with proof; and giving a person all that is known.

The order of an erasure, each step safe to repeat, so that a run that was killed is simply run again:

1. one transaction: tombstones, booking, deletion from every relation and the quarantine, audit "begun";
2. files that hold deleted rows are written again without them;
3. every snapshot but the newest is forgotten, and the files only they needed are removed, as is what dead
   writers left; the catalog's statistics are narrowed, and its file is written anew;
4. the same in every backup that was made, and its manifest renewed;
5. proof: every file is searched for the person's key; audit "proved".
"""

import contextlib
import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from producers.contracts.errors import SettingsError
from warehouse import audit, backup, catalog_file, store
from warehouse.maintenance import alone, live_files, refuse_live
from warehouse.scan import Scanned, mentions, scan
from warehouse.store import Connection, Location
from warehouse.tombstones import Key


@dataclass
class Proof:
    """What an erasure removed and where it looked afterwards. `patient` is a digest; complete: 0 hits, every
    file read and every known backup reached."""

    patient: str
    removed: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    expired_snapshots: int = 0
    removed_files: int = 0
    backups: list[str] = field(default_factory=list)
    backups_missing: list[str] = field(default_factory=list)
    scanned: Scanned = field(default_factory=Scanned)

    @property
    def complete(self) -> bool:
        return not self.scanned.hits and not self.scanned.unreadable and not self.backups_missing


@dataclass(frozen=True)
class Request:
    """Whom to erase, with whose key, when, and who asked."""

    patient_key: str
    key: Key
    at: dt.datetime
    actor: str


def erase(
    connection: Connection,
    location: Location,
    request: Request,
    *,
    also_scan: Iterable[Path] = (),
    leave_out: Iterable[Path] = (),
    list_file: Path | None = None,
) -> Proof:
    """Erase one person from the warehouse and its backups, and prove it. Order: see the module.

    `also_scan` are further folders to search, `leave_out` ones that erasure cannot reach (the broker's log,
    where retention ends it). `list_file` keeps the tombstones outside the warehouse too, for restores of
    older backups. Readers that are in the middle of a query may have to ask again.
    Raises WarehouseConflict while maintenance runs.
    """
    _only_embedded(location)
    proof = Proof(request.key.patient(request.patient_key))
    with alone(location):
        _erase_here(connection, location, request, proof)
        if list_file is not None:
            _keep_list(connection, list_file)
        keys = keys_of(connection, location)
        for folder in _backups(connection):
            keys |= _erase_backup(folder, request, proof)
        folders = [Path(location.data_path), location.catalog_file.parent, *also_scan]
        proof.scanned = scan(
            [*folders, *map(Path, proof.backups)], request.patient_key, leave_out=leave_out, keys=keys
        )
        with store.transaction(connection, location):
            _record(connection, request, "erase.proved" if proof.complete else "erase.incomplete", proof)
    return proof


def _only_embedded(location: Location) -> None:
    if location.kind != "sqlite" or "://" in location.data_path:
        raise SettingsError(
            "erasure with proof is for a SQLite catalog and a data folder, not yet scaled out"
        )


def _erase_here(connection: Connection, location: Location, request: Request, proof: Proof) -> None:
    """Steps 1 to 3 in one warehouse."""
    with store.transaction(connection, location):
        _remove(connection, request, proof)
        _record(connection, request, "erase.begun", proof)
    _rewrite(connection, location)
    with store.transaction(connection, location):
        proof.expired_snapshots += _forget_history(connection, request.at)
    with store.transaction(connection, location):
        proof.removed_files += _remove_files(connection, location)
    with store.writer_turn(location):
        catalog_file.compact(location.catalog_file, first=store.statement("privacy/statistics"))


# ── step 1: rows ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Table:
    """A relation and its columns: what it can know of a person follows from them."""

    relation: str
    columns: frozenset[str]

    @property
    def is_raw(self) -> bool:
        return self.relation.startswith("raw.")

    @property
    def names_patients(self) -> bool:
        return "patient_key" in self.columns

    @property
    def names_sessions(self) -> bool:
        return {"clinic_id", "session_id"} <= self.columns

    @property
    def states_sessions(self) -> bool:
        """A session's own events, not what others say of a session."""
        return self.names_patients and self.names_sessions and self.relation.startswith("raw.session")

    def statement(self, name: str) -> str:
        schema, table = self.relation.split(".", 1)
        return store.statement(f"privacy/{name}").replace("FROM RELATION", f'FROM "{schema}"."{table}"')


def _tables(connection: Connection) -> list[_Table]:
    """The tables that hold anything at all."""
    relations = store.rows(connection, store.statement("maintenance/relations"))
    filled = {row["relation"] for row in relations if row["rows"]}
    found = store.rows(connection, store.statement("privacy/tables"))
    return [_Table(row["relation"], frozenset(row["columns"])) for row in found if row["relation"] in filled]


def _run(connection: Connection, table: _Table, name: str, **bind: str) -> list[dict[str, Any]]:
    text = table.statement(name)
    bind = {"relation": table.relation, **bind}
    return store.rows(connection, text, {k: v for k, v in bind.items() if f"${k}" in text})


def _gather(connection: Connection, tables: list[_Table], patient_key: str) -> None:
    """Fill temp.person_session and temp.person_event."""
    connection.execute(store.statement("privacy/begin"))
    for name in ("sessions", "shared_sessions"):
        for table in tables:
            if table.states_sessions:
                _run(connection, table, name, patient_key=patient_key)
    for table in tables:
        if table.is_raw and table.names_patients:
            _run(connection, table, "events_by_patient", patient_key=patient_key)
        elif table.is_raw and table.names_sessions:
            _run(connection, table, "events_by_session")
    for table in tables:
        if table.is_raw and "voided_id" in table.columns:
            _run(connection, table, "events_by_target")


def _remove(connection: Connection, request: Request, proof: Proof) -> None:
    tables = _tables(connection)
    _gather(connection, tables, request.patient_key)
    _bury(connection, request)
    proof.quarantined += _remove_quarantined(connection, request)
    connection.execute(store.statement("privacy/book"), {"at": request.at})
    for row in store.rows(connection, store.statement("privacy/counts")):
        proof.removed[row["relation"]] = proof.removed.get(row["relation"], 0) + row["events"]
    for table in tables:
        if table.is_raw and {"source", "id"} <= table.columns:
            _run(connection, table, "remove_events")
        elif table.names_patients:
            _run(connection, table, "remove_by_patient", patient_key=request.patient_key)
        elif table.names_sessions:
            _run(connection, table, "remove_by_session")
    connection.execute(store.statement("privacy/remove_keys"))
    connection.execute(store.statement("privacy/unsettle"))


def _bury(connection: Connection, request: Request) -> None:
    key = request.key
    digests = {"patient": [key.patient(request.patient_key)], "session": [], "event": []}
    for row in store.rows(connection, store.statement("privacy/names")):
        name = key.session if row["kind"] == "session" else key.event
        digests[row["kind"]].append(name(row["first"], row["second"]))
    for kind, found in digests.items():
        bind = {"kind": kind, "digests": sorted(set(found)), "key_id": key.id, "at": request.at}
        connection.execute(store.statement("privacy/bury"), bind)


def _remove_quarantined(connection: Connection, request: Request) -> int:
    """Refused events that mention the person's key in any spelling, or a session of the person's as JSON."""
    sessions = {
        (row["first"], row["second"])
        for row in store.rows(connection, store.statement("privacy/names"))
        if row["kind"] == "session"
    }
    removed = 0
    for row in store.rows(connection, store.statement("privacy/quarantine")):
        texts = (row["key"], row["value"], *(str(row[n] or "").encode() for n in ("headers", "detail")))
        if (
            any(mentions(text, request.patient_key) for text in texts)
            or _session_of(row["value"]) in sessions
        ):
            place = {name: row[name] for name in ("topic", "partition", "offset")}
            connection.execute(store.statement("privacy/remove_quarantined"), place)
            bind = {"relation": "landing.quarantine", "batch_id": row["batch_id"], "at": request.at}
            connection.execute(store.statement("privacy/book_quarantined"), bind)
            removed += 1
    return removed


def _session_of(value: bytes | None) -> tuple[str, str] | None:
    """(clinic, session) of a refused event, as far as it is JSON."""
    with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        event = json.loads(value or b"")
        return str(event["source"]).split("/")[2], str(event["data"]["session_id"])
    return None


def _record(connection: Connection, request: Request, action: str, proof: Proof) -> None:
    detail = asdict(proof) | {"hits": len(proof.scanned.hits)}
    del detail["patient"]
    audit.append(connection, action, actor=request.actor, at=request.at, subject=proof.patient, detail=detail)


# ── steps 2 and 3: files, history, catalog ──────────────────────────────────────────────────────────────


def _rewrite(connection: Connection, location: Location) -> None:
    for row in store.rows(connection, store.statement("maintenance/relations")):
        if row["deleted_in_files"]:
            bind = {"schema": row["schema"], "table": row["table"], "threshold": 0.0}
            with store.transaction(connection, location):
                connection.execute(store.statement("maintenance/rewrite"), bind)


def _forget_history(connection: Connection, now: dt.datetime) -> int:
    bind: dict[str, Any] = {"before": now + dt.timedelta(days=36_500), "pins": []}
    old = [
        row["snapshot_id"] for row in store.rows(connection, store.statement("maintenance/expirable"), bind)
    ]
    return len(connection.execute(store.statement("maintenance/expire"), {"versions": old}).fetchall())


def _remove_files(connection: Connection, location: Location) -> int:
    """Everything no snapshot needs, at once: whoever holds the writers' turn knows that no file is in the
    making."""
    live = live_files(connection, location)
    removed = 0
    for name in ("cleanup_now", "orphans_now"):
        call = store.statement(f"privacy/{name}")
        refuse_live((path for (path,) in connection.execute(call, {"dry_run": True}).fetchall()), live)
        removed += len(connection.execute(call, {"dry_run": False}).fetchall())
    return removed


# ── step 4: backups ─────────────────────────────────────────────────────────────────────────────────────


def _backups(connection: Connection) -> list[Path]:
    return [Path(row["path"]) for row in store.rows(connection, store.statement("privacy/backups"))]


def keys_of(connection: Connection, location: Location) -> dict[Path, str]:
    """The key of each encrypted file; what has none here cannot be read by anybody."""
    return {Path(file.path).resolve(): file.key for file in live_files(connection, location) if file.key}


def _erase_backup(folder: Path, request: Request, proof: Proof) -> dict[Path, str]:
    """The same inside a backup; the keys of its files. Until its new manifest is written, a restore from it
    is refused."""
    if not folder.exists():
        proof.backups_missing.append(str(folder))
        return {}
    proof.backups.append(str(folder))
    if not (folder / backup.MANIFEST).exists():
        backup.discard(folder)
        return {}
    copy = backup.at(folder)
    catalog_file.move_data(copy.catalog_file, copy.data_path)  # the folder may have been moved
    with contextlib.closing(store.connect(copy)) as connection:
        store.migrate(connection, copy)
        _erase_here(connection, copy, request, Proof(proof.patient))
        keys = keys_of(connection, copy)
    backup.describe(folder, now=request.at)
    return keys


# ── restores and replays ────────────────────────────────────────────────────────────────────────────────


def _keep_list(connection: Connection, file: Path) -> None:
    """Every tombstone, one JSON document a line, beside the warehouse."""
    rows = store.rows(connection, store.statement("privacy/tombstones"))
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.tmp")
    unfinished.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    unfinished.chmod(0o600)
    unfinished.rename(file)


def reapply(
    connection: Connection,
    location: Location,
    tombstones: Iterable[dict[str, str]],
    *,
    key: Key,
    at: dt.datetime,
    actor: str,
) -> list[Proof]:
    """Erase again whomever `tombstones` names, after a restore from before the erasure.

    Gives one proof for each person that had come back. Raises SettingsError under another key.
    """
    listed = list(tombstones)
    if any(row["key_id"] != key.id for row in listed):
        raise SettingsError("the list of erased persons was made with another tombstone key")
    with store.transaction(connection, location):
        for kind in ("patient", "session", "event"):
            digests = sorted({row["digest"] for row in listed if row["kind"] == kind})
            bind = {"kind": kind, "digests": digests, "key_id": key.id, "at": at}
            connection.execute(store.statement("privacy/bury"), bind)
    buried = {row["digest"] for row in store.rows(connection, store.statement("privacy/tombstones"))}
    return [
        erase(connection, location, Request(person, key, at, actor))
        for person in _people(connection)
        if key.patient(person) in buried
    ]


def _people(connection: Connection) -> list[str]:
    return sorted(
        {
            row["patient_key"]
            for table in _tables(connection)
            if table.names_patients
            for row in _run(connection, table, "people")
        }
    )


def read_list(file: Path) -> Iterator[dict[str, str]]:
    """The tombstones kept in a file by `erase`; none where there is no file."""
    if file.exists():
        for line in file.read_text().splitlines():
            yield json.loads(line)


# ── access ──────────────────────────────────────────────────────────────────────────────────────────────


def export(connection: Connection, location: Location, request: Request) -> dict[str, list[dict[str, Any]]]:
    """Every row about one person, by relation: what the person may see. The access is audited.

    Relations without a row are left out; refused events are given as hexadecimal bytes.
    """
    tables = _tables(connection)
    found: dict[str, list[dict[str, Any]]] = {}
    with store.transaction(connection, location):
        _gather(connection, tables, request.patient_key)
        for table in tables:
            if table.names_patients:
                found[table.relation] = _run(
                    connection, table, "rows_of_person", patient_key=request.patient_key
                )
            elif table.names_sessions:
                found[table.relation] = _run(connection, table, "rows_of_sessions")
        found["landing.quarantine"] = [
            row
            for row in store.rows(connection, store.statement("privacy/quarantine"))
            if mentions(row["value"], request.patient_key) or mentions(row["key"], request.patient_key)
        ]
        found = {relation: rows for relation, rows in found.items() if rows}
        audit.append(
            connection,
            "export",
            actor=request.actor,
            at=request.at,
            subject=request.key.patient(request.patient_key),
            detail={relation: len(rows) for relation, rows in found.items()},
        )
    return found
