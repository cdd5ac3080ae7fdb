"""`dermastream warehouse …`: keep it small, prove it whole, copy it, publish it."""

import contextlib
import getpass
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.commands import AsJson, Home, settings_of

app = App(name="warehouse", help="Maintain, verify, back up, restore and publish the warehouse.")

Flag = Parameter(negative="")


@contextlib.contextmanager
def opened(settings: Any) -> Iterator[Any]:
    """A writing connection to a warehouse that exists, migrated. Raises SettingsError where there is none."""
    from producers.contracts import SettingsError
    from warehouse import store

    location = settings.location
    if not location.exists():
        raise SettingsError(
            f"no warehouse at {location.catalog_file}: start `dermastream up` or `demo` first"
        )
    with contextlib.closing(store.connect(location)) as connection:
        store.migrate(connection, location)
        yield connection


@app.command
def maintain(*, json_: AsJson = False, home: Home = None) -> None:
    """Merge small files, expire old snapshots, apply retention, clean up. Safe while landing runs.

    The worker does it by itself every DERMASTREAM_MAINTAIN_SECONDS. Snapshots that issued reports name stay.
    """
    from flows.clock import utc_now
    from flows.maintaining import pinned_snapshots, policy
    from warehouse.maintenance import maintain as run

    settings = settings_of(home)
    with opened(settings) as connection:
        pins = pinned_snapshots(settings.archive_dir)
        done = run(connection, settings.location, policy(settings), pins=pins, now=utc_now())
    _say(
        asdict(done),
        json_,
        f"{done.merged_files} small files merged, {done.rewritten_files} rewritten, {done.removed_files} and "
        f"{done.removed_orphans} orphans removed; {done.expired_snapshots} snapshots expired, "
        f"{done.pinned_snapshots} pinned; {sum(done.aged.values())} events past their time; "
        f"{done.seconds:.1f} s, longest turn {done.longest_turn_seconds:.2f} s",
    )


@app.command
def verify(*, json_: AsJson = False, home: Home = None) -> None:
    """Recount and checksum every table, hold the ledger against rows and progress, look for lost files; hold
    the send ledger against its own steps.

    Exit code 1 where something does not hold, naming the relation.
    """
    from warehouse.verify import verify as run

    settings = settings_of(home)
    with opened(settings) as connection:
        done = run(connection, settings.location, settings.delivery_ledger)
    rows = sum(relation.rows for relation in done.relations)
    _say(
        asdict(done),
        json_,
        f"{len(done.relations)} tables, {rows} rows, {done.files} files at snapshot {done.snapshot_id}; "
        f"{done.orphans} files that no snapshot names; {len(done.findings)} findings",
    )
    for finding in done.findings:
        print(f"{finding.relation}: {finding.rule}: {finding.detail}", file=sys.stderr)
    if done.findings:
        sys.exit(1)


@app.command
def backup(
    folder: Path,
    /,
    *,
    hard_links: Annotated[bool, Flag] = False,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Copy catalog, files and send ledger, consistent at one snapshot, while landing and sending go on.

    Keep privacy.key elsewhere and safe: without it the tombstones of erased persons cannot be compared.

    Parameters
    ----------
    folder
        New or empty, or an unfinished backup.
    hard_links
        Share the data files: quick, on the same disk only, and no help against its loss.
    """
    from flows.clock import utc_now
    from warehouse.backup import backup as run

    settings = settings_of(home)
    with opened(settings) as connection:
        done = run(
            connection,
            settings.location,
            folder,
            now=utc_now(),
            actor=getpass.getuser(),
            hard_links=hard_links,
            ledger=settings.delivery_ledger,
        )
    size = sum(file.bytes for file in done.files)
    _say(
        asdict(done),
        json_,
        f"{len(done.files)} files, {size / 1e6:.1f} MB, snapshot {done.snapshot_id}, in {folder}",
    )


@app.command
def restore(
    folder: Path,
    /,
    *,
    set_aside: Annotated[bool, Flag] = False,
    tombstones: Path | None = None,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Put a backup in place, checked file by file and table by table; erased persons stay erased.

    Stop the stack first. Landing resumes at the backup's own offsets, and refuses when Kafka no longer
    holds them. The send ledger comes back too, unless there is one that knows more: what may have been sent
    since the backup is unknown then, and waits for a person: `dermastream report deliveries --open`.

    Parameters
    ----------
    set_aside
        Rename a warehouse or a send ledger that is there; nothing is ever deleted.
    tombstones
        List of erased persons that is newer than the backup [default: tombstones.jsonl of the home folder].
    """
    from dashboards.report.archive import put_back
    from flows.clock import utc_now
    from flows.delivery.working import ledger_of
    from warehouse import backup as backups
    from warehouse import store
    from warehouse.audit import append
    from warehouse.privacy import read_list, reapply
    from warehouse.tombstones import Key

    settings = settings_of(home, discover=False)
    now, actor = utc_now(), getpass.getuser()
    listed = list(read_list(tombstones or settings.tombstone_list))
    done = backups.restore(folder, settings.home, set_aside=set_aside, now=now)
    location = store.Location.under(settings.home)
    with contextlib.closing(store.connect(location)) as connection:
        store.migrate(connection, location)
        again = (
            reapply(connection, location, listed, key=Key.of(settings.privacy_key), at=now, actor=actor)
            if listed
            else []
        )
        with store.transaction(connection, location):
            append(
                connection, "restore", actor=actor, at=now, detail={"from": str(folder), "erased": len(again)}
            )
        reports = put_back(connection, settings.archive_dir)
    unknown = len(ledger_of(settings).listed(states=("unknown",)))
    _say(
        asdict(done),
        json_,
        f"{len(done.files)} files of {done.made_at:%Y-%m-%d %H:%M} UTC, snapshot {done.snapshot_id}, "
        f"{sum(r.rows for r in done.relations)} rows, all checksums equal; "
        f"{len(again)} persons erased again; {reports} reports put back into the archive; "
        f"{unknown} deliveries of unknown outcome",
    )


@app.command
def publish(
    file: Path,
    /,
    *,
    clinic: Annotated[list[str] | None, Parameter(help="Only for this clinic; repeat for a group")] = None,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Write a plain DuckDB file of core and mart: comments and macros kept, groups below five suppressed.

    Any DuckDB from 1.4 opens it. The file is replaced as a whole. Patients' keys are replaced by numbers
    that hold within this file only.
    """
    from warehouse import store
    from warehouse.publish import publish as run

    settings = settings_of(home)
    with contextlib.closing(store.connect(settings.location, read_only=True)) as connection:
        done = run(connection, file, clinics=clinic)
    _say(asdict(done), json_, f"{len(done.rows)} relations, {sum(done.rows.values())} rows in {done.file}")


def _say(document: dict[str, Any], as_json: bool, line: str) -> None:
    print(json.dumps(document, indent=2, default=str) if as_json else line)
