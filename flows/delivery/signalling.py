"""Signals on their way to people: told when they open, escalate, near a regulator's clock, or close; once.

mart.signal_event -> moments -> who may know -> ledger (mail, and a signed webhook)
Refreshing as often as one likes tells nothing twice: the moment is part of the ledger's key.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from dashboards.report.chart import signal_svg
from dashboards.report.parts import about, signal_link, strength
from dashboards.report.render_note import Note
from dashboards.report.safety import within
from flows.delivery.working import ledger_of, policy_of
from flows.settings import Settings
from warehouse import store
from warehouse.deliveries import Key, Ledger
from warehouse.metrics.cards import SAFETY_CARDS
from warehouse.metrics.signals import CLOCKS, due_on

FRESH = dt.timedelta(days=2)
"""What happened longer ago is not told any more: after a long stop nobody needs last month's openings [A]."""

SERIES = dt.timedelta(weeks=12)

WEBHOOK = "webhook"
"""The webhook's name as a recipient; it sees all clinics."""


@dataclass(frozen=True)
class Moment:
    """One thing to tell about one signal: opened, escalated, clock or closed; `detail` says which clock."""

    kind: str
    signal: Mapping[str, Any]
    at: dt.datetime
    detail: str = ""

    @property
    def period(self) -> str:
        """What the ledger knows it by: said again at every look, it is the same."""
        begun = self.signal["number"]
        return f"{self.signal['signal_id']}/{begun}/{self.kind}" + (f"/{self.detail}" if self.detail else "")


def moments(rows: Sequence[Mapping[str, Any]], settings: Settings, now: dt.datetime) -> list[Moment]:
    """What there is to tell at `now`, in order of time."""
    found = [moment for row in rows for moment in _of(row, settings, now)]
    return sorted(found, key=lambda moment: (moment.at, moment.period))


def _of(row: Mapping[str, Any], settings: Settings, now: dt.datetime) -> Iterator[Moment]:
    happened = row["happened_at"].astimezone(dt.UTC)
    if row["lately"]:
        yield Moment("opened" if row["kind"] in ("opened", "reopened") else "closed", row, happened)
    if not row["begins"] or row["status"] not in ("open", "acknowledged"):
        return
    escalates = happened + dt.timedelta(days=settings.signal_escalate_days)
    snoozed = row["snoozed_until"] is not None and row["snoozed_until"] > now
    if row["status"] == "open" and not snoozed and now - FRESH <= escalates <= now:
        yield Moment("escalated", row, escalates)
    for clock in CLOCKS:
        last = due_on(happened.date(), clock)
        rings = dt.datetime.combine(last, dt.time(), tzinfo=dt.UTC) - dt.timedelta(
            days=settings.signal_clock_days
        )
        rings = max(rings, happened)
        if now - FRESH <= rings <= now and now.date() <= last:
            yield Moment("clock", row, rings, clock.id)


class Signalling:
    """Plans what is to be told."""

    def __init__(self, settings: Settings, connection: store.Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._ledger: Ledger = ledger_of(settings)
        self._policy = policy_of(settings, self._ledger)

    def plan(self, now: dt.datetime) -> int:
        """Write down what is new to tell; gives how many deliveries."""
        bound = {"since": now - FRESH, "now": now}
        rows = store.rows(self._connection, store.statement("signal/moments"), bound)
        found = moments(rows, self._settings, now)
        planned = sum(self._plan_hook(moment, now) for moment in found)
        if self._settings.signal_digest_hour is None:
            return planned + sum(self._plan_mail(moment, now) for moment in found)
        urgent = [moment for moment in found if moment.kind == "clock"]
        planned += sum(self._plan_mail(moment, now) for moment in urgent)
        return planned + self._plan_digests([m for m in found if m.kind != "clock"], now)

    # ── mail ────────────────────────────────────────────────────────────────────────────────────────────

    def _plan_mail(self, moment: Moment, now: dt.datetime) -> int:
        if not self._settings.mail_host:
            return 0
        scopes = self._readers(moment, now)
        waiting = [
            Key("mail", "signal", moment.period, scope, account, 1) for account, scope in scopes.items()
        ]
        if not waiting:
            return 0
        content = json.dumps(self._note(moment).content())
        not_before = after_quiet(now, self._settings.signal_quiet_hours, self._settings.report_time_zone)
        return sum(
            self._ledger.plan(key, content, at=now, about=moment.at, not_before=not_before) for key in waiting
        )

    def _readers(self, moment: Moment, now: dt.datetime) -> dict[str, str]:
        """Account -> scope under which it may know of this signal."""
        signal = moment.signal
        found = {each.account: "network" for each in self._policy.readers("network", at=now, signals=True)}
        clinic = signal["scope_id"].partition("/")[0]
        if within(clinic, signal["scope"], signal["scope_id"]):
            scope = f"clinic-{clinic}"
            found |= {each.account: scope for each in self._policy.readers(scope, at=now, signals=True)}
        return found

    def _plan_digests(self, found: Sequence[Moment], now: dt.datetime) -> int:
        """One mail a day and reader, at the digest's hour, of what happened in the day before it; yesterday's
        too, should nothing have run then."""
        if not self._settings.mail_host:
            return 0
        zone = ZoneInfo(self._settings.report_time_zone)
        hour = dt.time(self._settings.signal_digest_hour or 0)
        today = now.astimezone(zone).date()
        days = (today - dt.timedelta(days=1), today)
        ends = {day: dt.datetime.combine(day, hour, tzinfo=zone).astimezone(dt.UTC) for day in days}
        return sum(self._plan_digest(found, day, end, now) for day, end in ends.items() if end <= now)

    def _plan_digest(self, found: Sequence[Moment], day: dt.date, end: dt.datetime, now: dt.datetime) -> int:
        told: dict[tuple[str, str], list[Moment]] = {}
        for moment in found:
            if end - dt.timedelta(days=1) <= moment.at < end:
                for account, scope in self._readers(moment, now).items():
                    told.setdefault((account, scope), []).append(moment)
        return sum(
            self._ledger.plan(
                Key("mail", "digest", str(day), scope, account, 1),
                json.dumps(self._digest(several, day).content()),
                at=now,
                about=end,
            )
            for (account, scope), several in told.items()
        )

    def _note(self, moment: Moment) -> Note:
        signal = moment.signal
        points = self._series(signal)
        return Note(
            subject=f"Signal {_said(moment)}: {_title(signal)}, {about(signal['scope'], signal['scope_id'])}",
            paragraphs=(
                _sentence(moment),
                "A signal asks a person to look; it is not proof of harm.",
            ),
            facts=_facts(signal),
            links=(("The signal in the dashboard", _link(self._settings, signal)),),
            chart=signal_svg(points, font="Arial, Helvetica, sans-serif"),
            chart_alt=_chart_alt(points),
        )

    def _digest(self, several: Sequence[Moment], day: dt.date) -> Note:
        lines = [
            f"{_said(moment).capitalize()}: {_title(moment.signal)}, "
            f"{about(moment.signal['scope'], moment.signal['scope_id'])}, {strength(moment.signal['value'])}"
            for moment in several
        ]
        links = tuple((line, _link(self._settings, m.signal)) for line, m in zip(lines, several, strict=True))
        return Note(
            subject=f"Signals of the day before {day:%Y-%m-%d}: {len(lines)}",
            paragraphs=(*lines, "A signal asks a person to look; it is not proof of harm."),
            links=links,
        )

    def _series(self, signal: Mapping[str, Any]) -> list[dict[str, Any]]:
        bound = {
            "metric": signal["metric_id"],
            "version": signal["metric_version"],
            "scope": signal["scope"],
            "scope_id": signal["scope_id"],
            "since": signal["happened_at"] - SERIES,
        }
        return store.rows(self._connection, store.statement("signal/series"), bound)

    # ── webhook ─────────────────────────────────────────────────────────────────────────────────────────

    def _plan_hook(self, moment: Moment, now: dt.datetime) -> int:
        if not self._settings.webhook_url:
            return 0
        signal = moment.signal
        told = ("signal_id", "metric_id", "metric_version", "scope", "scope_id", "flag", "value", "q")
        data = {name: signal[name] for name in (*told, "status", "owner")}
        payload = {
            "type": f"signal.{moment.kind}",
            "timestamp": moment.at.isoformat(),
            "data": data | {"detail": moment.detail, "url": _link(self._settings, signal)},
        }
        key = Key("webhook", "signal", moment.period, "network", WEBHOOK, 1)
        return self._ledger.plan(key, json.dumps(payload), at=now, about=moment.at)


def after_quiet(now: dt.datetime, quiet: str, zone: str) -> dt.datetime:
    """`now`, or the end of the quiet hours (`22-7`, empty for none) it falls into, by that zone's clock."""
    if not quiet:
        return now
    first, end = (int(hour) for hour in quiet.split("-"))
    local = now.astimezone(ZoneInfo(zone))
    inside = first <= local.hour < end if first < end else local.hour >= first or local.hour < end
    if not inside:
        return now
    day = local.date() + dt.timedelta(days=1 if local.hour >= end else 0)
    return dt.datetime.combine(day, dt.time(end), tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


def _said(moment: Moment) -> str:
    return {"clock": "near its clock"}.get(moment.kind, moment.kind)


def _sentence(moment: Moment) -> str:
    signal = moment.signal
    what = f"{_title(signal)} of {about(signal['scope'], signal['scope_id'])}"
    if moment.kind == "opened":
        return (
            f"{what} crossed its threshold ({signal['flag']}) and stayed there: {strength(signal['value'])}."
        )
    if moment.kind == "escalated":
        return f"Nobody has acknowledged the signal on {what} since {signal['happened_at']:%Y-%m-%d}."
    if moment.kind == "clock":
        (clock,) = [each for each in CLOCKS if each.id == moment.detail]
        last = due_on(signal["happened_at"].date(), clock)
        return f"If it is reportable, {last:%Y-%m-%d} is the last day for: {clock.who} ({clock.source})."
    return f"The signal on {what} is {signal['status']}."


def _facts(signal: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return (
        ("Signal", signal["signal_id"]),
        ("Rule", f"{signal['metric_id']} version {signal['metric_version']}"),
        ("About", about(signal["scope"], signal["scope_id"])),
        ("Strength", strength(signal["value"]) + ("" if signal["q"] is None else f", q {signal['q']:.2g}")),
        ("Since", f"{signal['happened_at']:%Y-%m-%d %H:%M} UTC"),
        ("Status", signal["status"]),
        ("Owner", signal["owner"] or "nobody yet"),
    )


def _title(signal: Mapping[str, Any]) -> str:
    card = SAFETY_CARDS.get(signal["metric_id"])
    return card.title if card else str(signal["metric_id"])


def _link(settings: Settings, signal: Mapping[str, Any]) -> str:
    return signal_link(settings.reader_url.rstrip("/"), signal["signal_id"])


def _chart_alt(points: Sequence[Mapping[str, Any]]) -> str:
    shown = [point for point in points if point["value"] is not None]
    if not shown:
        return "No earlier day has a value."
    first, last = shown[0], shown[-1]
    return f"From {first['value']:.2f} on {first['day']} to {last['value']:.2f} on {last['day']}."
