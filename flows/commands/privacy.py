"""`dermastream privacy …`: erase one person for good, with proof; give a person what is known."""

import getpass
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.commands import AsJson, Home, settings_of

app = App(name="privacy", help="Erase or export one person's data; the audit trail of both.")

PatientKey = Annotated[
    str, Parameter(help="The person's pseudonym, as the clinic makes it: 32 hexadecimal digits")
]


@contextmanager
def _request(settings: Any, patient_key: str) -> Iterator[tuple[Any, Any]]:
    """The warehouse, and the request with the clock's time and the account that asks."""
    from flows.clock import utc_now
    from flows.commands.warehouse import opened
    from producers.contracts import SettingsError
    from warehouse.privacy import Request
    from warehouse.tombstones import Key

    if not re.fullmatch(r"[0-9a-f]{32}", patient_key):
        raise SettingsError("--patient-key is not a pseudonym: 32 lower-case hexadecimal digits")
    with opened(settings) as connection:
        yield (
            connection,
            Request(patient_key, Key.of(settings.privacy_key), at=utc_now(), actor=getpass.getuser()),
        )


@app.command
def erase(*, patient_key: PatientKey, json_: AsJson = False, home: Home = None) -> None:
    """Remove a person from every relation, file, snapshot and backup, for good, and print the proof.

    Safe while everything runs; killed, run it again. Reading the past ends here: snapshots before this one
    would still hold the person. The broker's own log keeps its events until its retention ends them, and
    nothing of them lands again. Exit code 1 where something still holds the person.
    """
    from warehouse.privacy import erase as run

    settings = settings_of(home)
    with _request(settings, patient_key) as (connection, request):
        proof = run(
            connection,
            settings.location,
            request,
            also_scan=[settings.home],
            leave_out=[settings.home / "kafka"],
            list_file=settings.tombstone_list,
        )
    if json_:
        print(json.dumps(asdict(proof) | {"complete": proof.complete}, indent=2, default=str))
    else:
        removed = ", ".join(f"{relation} {events}" for relation, events in proof.removed.items()) or "nothing"
        print(f"removed: {removed}; {proof.quarantined} refused events")
        print(f"forgotten: {proof.expired_snapshots} snapshots, {proof.removed_files} files")
        print(f"backups: {', '.join(proof.backups) or 'none'}")
        print(
            f"proof: {proof.scanned.files} files, {proof.scanned.bytes} bytes searched, "
            f"{len(proof.scanned.hits)} hits, {len(proof.scanned.unreadable)} that no key opens"
        )
    for path in proof.scanned.hits:
        print(f"still holds the person: {path}", file=sys.stderr)
    for path in proof.scanned.unreadable:
        print(f"encrypted, and no key opens it: {path}", file=sys.stderr)
    for path in proof.backups_missing:
        print(f"backup not found, erase there too: {path}", file=sys.stderr)
    if not proof.complete:
        sys.exit(1)


@app.command
def export(*, patient_key: PatientKey, out: Path | None = None, home: Home = None) -> None:
    """Everything known of one person as one JSON document, for an access request. It is audited.

    Parameters
    ----------
    out
        File to write, readable by its owner alone [default: standard output].
    """
    from warehouse.privacy import export as run

    settings = settings_of(home)
    with _request(settings, patient_key) as (connection, request):
        found = run(connection, settings.location, request)
    text = json.dumps(
        {"patient_key": patient_key, "made_at": request.at, "relations": found}, indent=1, default=_plain
    )
    if out is None:
        print(text)
        return
    out.touch(mode=0o600)
    out.write_text(text + "\n")
    print(f"{sum(map(len, found.values()))} rows of {len(found)} relations in {out}")


@app.command
def audit(*, json_: AsJson = False, home: Home = None) -> None:
    """Who did what, when: erasures, exports, backups and restores. Persons are digests."""
    from flows.commands.warehouse import opened
    from warehouse.audit import trail

    with opened(settings_of(home)) as connection:
        rows = trail(connection)
    if json_:
        print(json.dumps(rows, indent=1, default=str))
    for row in () if json_ else rows:
        at, subject = f"{row['acted_at']:%Y-%m-%d %H:%M:%S}", (row["subject"] or "")[:12]
        print(f"{row['number']:>4}  {at}  {row['actor']}  {row['action']:16}  {subject}")


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)
