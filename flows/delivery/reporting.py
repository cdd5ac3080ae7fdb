"""The weekly reports: which are due, whether their data is in, issuing them, and who is to get them.

schedule of a zone -> expected -> data complete? -> issue -> plan mail          (or a notice that it is late)
                                 issued, and late data came -> next revision -> plan mail
Everything here may be done twice, by two at once, or be cut off: the archive and the ledger make it once.
"""

import datetime as dt
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from dashboards.report import IsoWeek
from dashboards.report.archive import MADE_AGAIN, issue_many, newest_issue, record
from dashboards.report.frozen import edition, waiting_for
from dashboards.report.model import ReportData
from dashboards.report.reading import Facts, read
from dashboards.report.render_note import Note
from flows.delivery.recipients import Policy
from flows.delivery.working import ledger_of, policy_of
from flows.settings import Settings
from producers.contracts import CheckFailed
from warehouse import store
from warehouse.deliveries import Key, Ledger

log = structlog.get_logger("reporting")

NETWORK = "network"

ISSUED_ANYWAY_AFTER = dt.timedelta(days=6)
"""After the week's end: a clinic that never speaks again must not keep the report back for ever [A]."""

LATE_FOR = 2
"""Weeks after which a report is not revised for late data any more [A]."""

BETWEEN_REVISIONS = dt.timedelta(days=1)
"""So that data that trickles in makes one revision a day and no more [A]."""


FEW = 8
"""Editions up to which starting other processes costs more than they save; measured: about a second each."""

MOST_WORKERS = 4

PROGRESS = 50
"""Editions between two lines in the log."""


@dataclass
class Outcome:
    """What became of the editions, by scope (network, or clinic-<id>); `behind`: clinics waited for."""

    week: IsoWeek
    issued: dict[str, list[Path]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    behind: dict[str, dict[str, dt.datetime]] = field(default_factory=dict)
    planned: int = 0


def scope_of(clinic: str | None) -> str:
    return NETWORK if clinic is None else f"clinic-{clinic}"


def clinic_of(scope: str) -> str | None:
    return None if scope == NETWORK else scope.removeprefix("clinic-")


class Reporting:
    """One look at the warehouse and what it asks for. `now` is the time of all that is done."""

    def __init__(self, settings: Settings, connection: store.Connection, now: dt.datetime) -> None:
        self._settings = settings
        self._connection = connection
        self._now = now
        self._ledger: Ledger = ledger_of(settings)
        self._policy: Policy = policy_of(settings, self._ledger)

    # ── what is due ─────────────────────────────────────────────────────────────────────────────────────

    def expect_zone(self, zone: str, week: IsoWeek) -> None:
        """The hour of that zone's clinics has come; and the network's, where it is the network's zone."""
        for clinic, its_zone in zones(self._connection):
            if its_zone == zone:
                self._ledger.expect(week.label, scope_of(clinic), at=self._now)
        if zone == self._settings.report_time_zone:
            self._ledger.expect(week.label, NETWORK, at=self._now)

    def expect_forgotten(self) -> None:
        """Editions whose hour was missed, because nothing ran then or their clinic is new: a day later."""
        week = IsoWeek.last_completed(self._now)
        if self._now < week.end + dt.timedelta(days=1):
            return
        for clinic in (None, *(clinic for clinic, _ in zones(self._connection))):
            self._ledger.expect(week.label, scope_of(clinic), at=self._now)

    # ── making ──────────────────────────────────────────────────────────────────────────────────────────

    def catch_up(self) -> list[Outcome]:
        """Issue what is due and complete, tell who waits for what is late, revise for late data."""
        due: dict[str, list[str]] = {}
        for label, scope in self._ledger.expected():
            due.setdefault(label, []).append(scope)
        done = []
        for label, scopes in due.items():
            week = IsoWeek.parse(label)
            if week.end <= self._now:
                done.append(self.issue(week, scopes, wait=True))
        return done + self._revise()

    def issue(self, week: IsoWeek, scopes: Sequence[str], *, wait: bool) -> Outcome:
        """Issue those editions of one week and plan their mail; with `wait` only where their data is in."""
        outcome = Outcome(week)
        facts = read(self._connection, week)
        self._issue(outcome, self._ready(outcome, facts, scopes, wait=wait), len(scopes))
        return outcome

    def _ready(
        self, outcome: Outcome, facts: Facts, scopes: Sequence[str], *, wait: bool
    ) -> Iterator[tuple[ReportData, str]]:
        for scope in scopes:
            clinic = clinic_of(scope)
            if wait and (behind := self._waits(facts, clinic)):
                outcome.behind[scope] = behind
                outcome.planned += self._tell_delay(facts, scope, behind)
                continue
            try:
                yield self._edition(facts, clinic), MADE_AGAIN
            except CheckFailed as error:
                outcome.refused[scope] = str(error)

    def _edition(self, facts: Facts, clinic: str | None) -> ReportData:
        return edition(facts, clinic, computed_at=self._now, dashboard_url=self._settings.reader_url)

    def _issue(self, outcome: Outcome, editions: Iterable[tuple[ReportData, str]], of: int) -> None:
        """Files, then the lake, then who gets them: cut off anywhere, the next run goes on from there."""
        workers = min(os.cpu_count() or 1, MOST_WORKERS) if of > FEW else 1
        for paths in issue_many(self._settings.archive_dir, editions, workers=workers):
            outcome.issued[paths[0].parent.name] = paths
            if len(outcome.issued) % PROGRESS == 0:
                log.info("reports", week=outcome.week.label, issued=len(outcome.issued), of=of)
        record(self._connection, self._settings.location, list(outcome.issued.values()))
        for scope, paths in outcome.issued.items():
            outcome.planned += self.plan(paths[0])
            self._ledger.issued(outcome.week.label, scope, at=self._now)
        log.info("reports", week=outcome.week.label, issued=len(outcome.issued), of=of)

    def _waits(self, facts: Facts, clinic: str | None) -> dict[str, dt.datetime]:
        if self._now >= facts.week.end + ISSUED_ANYWAY_AFTER:
            return {}
        mine = {row["clinic_id"] for row in facts.clinics} if clinic is None else {clinic}
        grace = dt.timedelta(hours=self._settings.report_grace_hours)
        return waiting_for(facts.watermarks, facts.week, mine, grace=grace)

    def _revise(self) -> list[Outcome]:
        """The next revision of each recent report whose week has other sessions now than when issued."""
        done = []
        last = IsoWeek.last_completed(self._now)
        for week in (last.shifted(-back) for back in range(LATE_FOR)):
            old = [data for data in self._issued(week) if self._now - data.issued_at >= BETWEEN_REVISIONS]
            if old and (outcome := self._revised(week, old)).issued:
                done.append(outcome)
        return done

    def _issued(self, week: IsoWeek) -> list[ReportData]:
        folders = sorted((self._settings.archive_dir / week.label).glob("*"))
        found = (newest_issue(folder) for folder in folders if folder.is_dir())
        return [data for data in found if data is not None]

    def _revised(self, week: IsoWeek, old: Sequence[ReportData]) -> Outcome:
        outcome = Outcome(week)
        late = list(self._late(read(self._connection, week), old))
        if late:
            self._issue(outcome, late, len(late))
        return outcome

    def _late(self, facts: Facts, old: Sequence[ReportData]) -> Iterator[tuple[ReportData, str]]:
        for data in old:
            clinic = clinic_of(data.edition)
            known = sum(row["sessions"] for id_, row in facts.watermarks.items() if clinic in (None, id_))
            if data.sessions not in (None, known):
                reason = f"{known} sessions of the week are known now, {data.sessions} were before"
                yield self._edition(facts, clinic), reason

    # ── telling ─────────────────────────────────────────────────────────────────────────────────────────

    def plan(self, issued: Path) -> int:
        """Write down who is to get that issue; gives how many are new. Nobody while no mail server is set."""
        if not self._settings.mail_host:
            return 0
        data = ReportData.from_json(issued.read_bytes())
        return sum(
            self._plan(
                Key("mail", "weekly", data.week, data.edition, each.account, data.revision),
                issued,
                about=data.iso_week.end,
            )
            for each in self._policy.readers(data.edition, at=self._now, signals=False)
        )

    def plan_test(self, issued: Path, account: str) -> int:
        """One more for that account, marked as a test."""
        return self._plan(self._one_more(issued, "test", account), issued)

    def plan_again(self, issued: Path, account: str, *, by: str, reason: str) -> int:
        """One more for that account, because a person wants it. Raises CheckFailed without a reason."""
        if not reason.strip():
            raise CheckFailed("say why it is sent once more")
        return self._plan(self._one_more(issued, "resent", account), issued, by=by, reason=reason)

    def _one_more(self, issued: Path, kind: str, account: str) -> Key:
        data = ReportData.from_json(issued.read_bytes())
        last = self._ledger.last_revision(kind, data.week, data.edition, account)
        return Key("mail", kind, data.week, data.edition, account, last + 1)

    def _plan(self, key: Key, issued: Path, **more: Any) -> int:
        stem = issued.relative_to(self._settings.archive_dir).with_suffix("").as_posix()
        return self._ledger.plan(key, json.dumps({"report": stem}), at=self._now, **more)

    def _tell_delay(self, facts: Facts, scope: str, behind: dict[str, dt.datetime]) -> int:
        """Once a week and reader, when patience is over."""
        patience = dt.timedelta(hours=self._settings.report_patience_hours)
        if not self._settings.mail_host or self._now < facts.week.end + patience:
            return 0
        content = json.dumps(_delay(facts, behind).content())
        return sum(
            self._ledger.plan(
                Key("mail", "delayed", facts.week.label, scope, each.account, 1),
                content,
                at=self._now,
                about=facts.week.end,
            )
            for each in self._policy.readers(scope, at=self._now, signals=False)
        )


def zones(connection: store.Connection) -> list[tuple[str, str]]:
    """Each clinic and its IANA time zone."""
    rows = store.rows(connection, store.statement("report/clinic"))
    return [(row["clinic_id"], row["time_zone"]) for row in rows]


def _delay(facts: Facts, behind: dict[str, dt.datetime]) -> Note:
    names = {row["clinic_id"]: row["display_name"] for row in facts.clinics}
    return Note(
        subject=f"Delayed: weekly report {facts.week.label}",
        paragraphs=(
            f"The report of {facts.week.label} is not out yet: the data of {len(behind)} "
            f"{'clinic does' if len(behind) == 1 else 'clinics do'} not reach the end of the week.",
            "It comes by itself as soon as they have sent on. Please look whether their gateways run.",
        ),
        facts=tuple(
            (names[clinic], f"data to {at:%Y-%m-%d %H:%M} UTC") for clinic, at in sorted(behind.items())
        ),
    )
