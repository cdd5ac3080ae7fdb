"""The watched folder: files of events in, and each moved to `done/` or `refused/` with a report beside it.

A file is taken whole or not at all: while one line is refused, nothing of it is stored. It is checked first
and stored second, so memory does not grow with it; a crash in between leaves it where it was, and what had
been stored is recognised when it is read again.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import structlog

from producers.contracts import ContractViolation, DermastreamError, Retryable, SettingsError
from producers.contracts.codec import MAX_EVENT_BYTES
from producers.gateway.intake import Intake, Refused
from producers.gateway.mapping import CsvMapping, Made, events_of, read_mapping
from producers.gateway.outbox import Entry
from producers.gateway.settings import GatewaySettings

CHUNK = 500
"""Events checked or stored together [A]."""
MAX_REFUSALS_TOLD = 1_000
"""A report names so many lines and counts the others [A]."""
LOOK_SECONDS = 1.0
EVENT_FILES = (".ndjson", ".jsonl")

log = structlog.get_logger("gateway.folder")


@dataclass(frozen=True)
class LineRefusal:
    """A line that is refused; carries no value of it."""

    line: int
    rule: str
    path: str
    detail: str


@dataclass
class FileReport:
    """What became of a file: events in it, stored, known already, refused (the first of them named)."""

    file: str
    events: int = 0
    stored: int = 0
    repeated: int = 0
    refused: int = 0
    refusals: list[LineRefusal] = field(default_factory=list)

    def refuse(self, line: int, rule: str, path: str, detail: str) -> None:
        self.refused += 1
        if len(self.refusals) < MAX_REFUSALS_TOLD:
            self.refusals.append(LineRefusal(line, rule, path, detail))


class Files:
    """Reads whole files of one clinic through the intake."""

    def __init__(self, intake: Intake, clinic: str, max_bytes: int, clock: Callable[[], datetime]) -> None:
        self._intake = intake
        self._clinic = clinic
        self._max_bytes = max_bytes
        self._clock = clock

    def take(self, file: Path, mapping: CsvMapping | None) -> FileReport:
        """Store every event of the file, or none. Raises OSError, OutboxFull, OutboxUnavailable."""
        report = self.check(file, mapping)
        if not report.refused:
            for chunk in self._chunks(file, mapping):
                self._store(chunk, report)
        return report

    def check(
        self,
        file: Path,
        mapping: CsvMapping | None,
        show: Callable[[Sequence[Entry]], None] = lambda entries: None,
    ) -> FileReport:
        """Judge every event and store none; `show` is given what would be sent. Raises OSError."""
        report = FileReport(file.name)
        try:
            self._refuse_oversized(file)
            for chunk in self._chunks(file, mapping):
                show(self._judge(chunk, report))
        except ContractViolation as violation:
            report.refuse(0, violation.rule, violation.path, violation.detail)
        return report

    def _judge(self, chunk: Sequence[Made], report: FileReport) -> list[Entry]:
        good: list[tuple[int, Entry]] = []
        for line, made in chunk:
            report.events += 1
            try:
                if isinstance(made, ContractViolation):
                    raise made
                good.append((line, self._intake.judge(made, self._clinic, self._clock())))
            except ContractViolation as violation:
                report.refuse(line, violation.rule, violation.path, violation.detail)
        entries = [entry for _, entry in good]
        for refusal in self._intake.conflicts(entries):
            report.refuse(good[refusal.index][0], refusal.rule, refusal.path, refusal.detail)
        return entries

    def _store(self, chunk: Sequence[Made], report: FileReport) -> None:
        """One chunk that passed the check; only what the check cannot see may still be refused."""
        values = [made for _, made in chunk if isinstance(made, bytes)]
        try:
            accepted = self._intake.accept(values, self._clinic, self._clock())
        except Refused as refused:
            for refusal in refused.refusals:
                report.refuse(chunk[refusal.index][0], refusal.rule, refusal.path, refusal.detail)
        else:
            report.stored += accepted.stored
            report.repeated += accepted.repeated

    def _chunks(self, file: Path, mapping: CsvMapping | None) -> Iterator[list[Made]]:
        with file.open("rb") as opened:
            made = events_of(opened, mapping, self._clinic) if mapping else _lines(opened)
            while chunk := list(islice(made, CHUNK)):
                yield chunk

    def _refuse_oversized(self, file: Path) -> None:
        if file.stat().st_size > self._max_bytes:
            raise ContractViolation("file.size", "$", f"larger than {self._max_bytes} bytes: split it")


def _lines(file: BinaryIO) -> Iterator[Made]:
    """Numbered lines that are not blank; of one too long only so much that it is refused."""
    number = 0
    while line := file.readline(MAX_EVENT_BYTES + 2):
        number += 1
        whole = line
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_EVENT_BYTES + 2)
        if value := whole.strip(b"\r\n\t "):
            yield number, value


# ── watching ────────────────────────────────────────────────────────────────────────────────────────────


def mapping_for(file: Path, folder: Path) -> CsvMapping | None:
    """The mapping for a file: null for files of events, else the one in the folder whose `files` fits.

    Raises SettingsError for a mapping that cannot be read, ContractViolation where none fits.
    """
    if file.suffix in EVENT_FILES:
        return None
    for candidate in sorted(folder.glob("*.toml")):
        mapping = read_mapping(candidate)
        if fnmatch(file.name, mapping.files):
            return mapping
    raise ContractViolation("mapping.missing", "$", f"no mapping in {folder} is for files of this name")


class InboxWatcher:
    """One thread that takes the files of one clinic's inbox, oldest first."""

    def __init__(
        self, settings: GatewaySettings, clinic: str, intake: Intake, clock: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._clinic = clinic
        self._clock = clock
        self._files = Files(intake, clinic, settings.max_file_bytes, clock)
        self._inbox = settings.inbox(clinic)
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}
        self._told: dict[Path, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"inbox {clinic}", daemon=True)

    def start(self) -> None:
        for folder in (self._inbox, self._inbox / "done", self._inbox / "refused"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError):  # somebody else moves files here too
                self.look()
            self._stopping.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Take every file that has settled, and remove what has been kept long enough."""
        for file in self._settled():
            if self._stopping.is_set():
                return
            try:
                self._take(file)
            except (OSError, Retryable, SettingsError) as error:
                self._tell(file, error)
        self._tidy()

    def _take(self, file: Path) -> None:
        try:
            report = self._files.take(file, mapping_for(file, self._settings.mappings(self._clinic)))
        except ContractViolation as violation:
            report = FileReport(file.name)
            report.refuse(0, violation.rule, violation.path, violation.detail)
        self._move(file, report)

    def _settled(self) -> list[Path]:
        """Files that have not changed for a while, oldest first."""
        now = time.monotonic()
        found: dict[Path, tuple[tuple[int, int], float]] = {}
        for entry in os.scandir(self._inbox):
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                if entry.name.endswith((".part", ".tmp")):
                    continue
                state = entry.stat(follow_symlinks=False)
                version = (state.st_size, state.st_mtime_ns)
                before = self._seen.get(Path(entry.path))
                found[Path(entry.path)] = before if before and before[0] == version else (version, now)
        self._seen = found
        ready = [
            path for path, (_, since) in found.items() if now - since >= self._settings.inbox_settle_seconds
        ]
        return sorted(ready, key=lambda path: (found[path][0][1], path.name))

    def _move(self, file: Path, report: FileReport) -> None:
        """The report first: a crash in between leaves the file to be read again."""
        folder = self._inbox / ("refused" if report.refused else "done")
        target = folder / file.name
        if target.exists():
            target = folder / f"{self._clock():%Y%m%dT%H%M%S%f}-{file.name}"
        told = {**asdict(report), "clinic": self._clinic, "taken_at": self._clock().isoformat()}
        beside = target.with_name(f"{target.name}.report.json")
        beside.write_text(json.dumps(told, indent=1) + "\n")
        file.rename(target)
        self._told.pop(file, None)
        log.info(
            "file refused" if report.refused else "file taken",
            file=file.name, clinic=self._clinic, events=report.events, stored=report.stored,
            repeated=report.repeated, refused=report.refused,
        )  # fmt: skip

    def _tell(self, file: Path, error: DermastreamError | OSError) -> None:
        """The file stays where it is; say why, once."""
        reason = str(error)
        if self._told.get(file) != reason:
            self._told[file] = reason
            log.warning("file cannot be taken now", file=file.name, clinic=self._clinic, reason=reason)

    def _tidy(self) -> None:
        before = (self._clock() - timedelta(days=self._settings.keep_files_days)).timestamp()
        for name in ("done", "refused"):
            for entry in os.scandir(self._inbox / name):
                if entry.is_file(follow_symlinks=False) and entry.stat().st_ctime < before:
                    Path(entry.path).unlink()
