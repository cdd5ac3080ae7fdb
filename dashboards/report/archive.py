"""The archive of issued reports: files that are written once and never changed.

<archive>/<week>/<edition>/<report id>.json   the frozen data, written first: an issue exists once it does
                                    .html .txt .pdf .csv   rendered from it; a missing one is made again
"""

import contextlib
import dataclasses
import datetime as dt
import fcntl
import hashlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dashboards.report.frozen import freeze
from dashboards.report.model import ReportData
from dashboards.report.render_csv import render_csv
from dashboards.report.render_html import render_html
from dashboards.report.render_pdf import render_pdf
from dashboards.report.render_text import render_text
from dashboards.report.revising import differences
from dashboards.report.view import fingerprint
from dashboards.report.week import IsoWeek
from producers.contracts.errors import CheckFailed, SettingsError, WarehouseConflict
from warehouse import issues, store

_ATTEMPTS = 3

RENDERERS: dict[str, Callable[[ReportData], bytes]] = {
    "json": ReportData.to_json,
    "html": render_html,
    "txt": render_text,
    "pdf": render_pdf,
    "csv": render_csv,
}


def build(
    connection: store.Connection,
    *,
    week: IsoWeek | None,
    clinic: str | None,
    archive: Path,
    now: dt.datetime,
    dashboard_url: str = "",
) -> list[Path]:
    """Issue one edition and give its files: JSON, HTML, text, PDF, CSV. `week` null: the last completed one.

    Raises SettingsError for a week that is not over, an unknown clinic or an archive we cannot write to,
    CheckFailed where there are no metrics yet.
    """
    week = week or IsoWeek.last_completed(now)
    if week.end > now:
        raise SettingsError(f"week {week} is not over: it ends at {week.end:%Y-%m-%d %H:%M} UTC")
    data = freeze(connection, week=week, clinic=clinic, computed_at=now, dashboard_url=dashboard_url)
    return issue(archive, data)


MADE_AGAIN = "made again, and other than before"


def issue(archive: Path, data: ReportData, *, reason: str = MADE_AGAIN) -> list[Path]:
    """Write `data` as the next revision, unless the newest issue already says the same; give its files.

    A later revision says why it was made and which figures are other than in the one before.
    """
    folder = archive / data.week / data.edition
    try:
        with _alone(folder):
            newest = newest_issue(folder)
            if newest is not None:
                paths = _complete(folder, newest)
                if fingerprint(newest) == fingerprint(data):
                    return paths
                data = dataclasses.replace(
                    data,
                    revision=newest.revision + 1,
                    reason=reason,
                    differences=differences(newest, data),
                )
            return _complete(folder, data)
    except OSError as error:
        raise SettingsError(
            f"cannot write to the report archive {folder}: {error.strerror or error}"
        ) from None


def issue_many(
    archive: Path, editions: Iterable[tuple[ReportData, str]], *, workers: int
) -> Iterator[list[Path]]:
    """`issue` each edition with its reason, in order, by so many processes; a few are on their way at a time,
    so that memory does not grow with their number."""
    if workers < 2:
        yield from (issue(archive, data, reason=reason) for data, reason in editions)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[list[Path]]] = deque()
        for data, reason in editions:
            waiting.append(pool.submit(issue, archive, data, reason=reason))
            if len(waiting) > 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def record(connection: store.Connection, location: store.Location, issued: Sequence[Sequence[Path]]) -> None:
    """Write frozen data and checksums of issues into the lake, all at once; said again it changes nothing.

    Raises WarehouseConflict where another writer came first three times.
    """
    files = [(_about(paths[0]), path) for paths in issued for path in paths]
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            issues.remember(connection, location, files)
            return
        except WarehouseConflict:
            if attempt == _ATTEMPTS:
                raise


def put_back(connection: store.Connection, archive: Path) -> int:
    """Write the frozen data of every issue of the lake whose file is gone; gives how many. The other files
    are made again where they are asked for."""
    done = 0
    for row in issues.documents(connection):
        file = archive / row["week"] / row["edition"] / f"{row['report_id']}.json"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, row["document"].encode())
            done += 1
    return done


def content(row: Mapping[str, Any], archive: Path) -> bytes:
    """One file of an issue, `row` as in dashboard/report_file: as it lies in the archive, or made again from
    the frozen data. Raises CheckFailed where neither is what was issued."""
    file = archive / row["week"] / row["edition"] / f"{row['report_id']}.{row['kind']}"
    if file.is_file() and _is(found := file.read_bytes(), row["sha256"]):
        return found
    data = ReportData.from_json(row["document"].encode())
    if _is(made := RENDERERS[row["kind"]](data), row["sha256"]):
        return made
    raise CheckFailed(f"{file.name} is not what was issued, and comes out as something else when made again")


def _is(content: bytes, sha256: str) -> bool:
    return hashlib.sha256(content).hexdigest() == sha256


def _about(document: Path) -> dict[str, Any]:
    data = ReportData.from_json(document.read_bytes())
    told = ("report_id", "week", "edition", "revision", "snapshot_id", "issued_at")
    return {name: getattr(data, name) for name in told} | {"reason": data.reason or None}


def again(location: store.Location, data: ReportData) -> ReportData:
    """The same issue frozen anew from the snapshot it names: equal, unless something is wrong.

    Raises SettingsError where that snapshot is no longer kept.
    """
    with contextlib.closing(store.connect(location, snapshot=data.snapshot_id)) as connection:
        clinic = None if data.scope == "network" else data.scope_id
        fresh = freeze(
            connection,
            week=data.iso_week,
            clinic=clinic,
            computed_at=data.issued_at,
            dashboard_url=data.dashboard_url,
        )
    told = {name: getattr(data, name) for name in ("revision", "reason", "differences")}
    return dataclasses.replace(fresh, **told)


def newest_issue(folder: Path) -> ReportData | None:
    """The issue with the highest revision in that folder; null where nothing was issued."""
    issues = [ReportData.from_json(file.read_bytes()) for file in sorted(folder.glob("*.json"))]
    return max(issues, key=lambda each: each.revision, default=None)


def _complete(folder: Path, data: ReportData) -> list[Path]:
    """Render what is not there yet; everything is rendered before the first file appears."""
    paths = {kind: folder / f"{data.report_id}.{kind}" for kind in RENDERERS}
    missing = {kind: RENDERERS[kind](data) for kind, path in paths.items() if not path.exists()}
    for kind, content in missing.items():
        _write(paths[kind], content)
    return list(paths.values())


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, even when the machine stops."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer a folder at a time; the kernel drops the lock when a process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
