"""The metrics a second time, in plain loops over facts, slow and obvious; and random facts to try them on."""

import datetime as dt
import random
from collections import defaultdict
from typing import Any

Fact = dict[str, Any]
Facts = dict[str, list[Fact]]
Counts = dict[tuple[str, str, str, str, dt.datetime], tuple[float, int]]
"""Numerator and denominator by metric, scope, scope_id, period and start."""

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
LISTED = {"erythema", "oedema", "bleeding", "soreness", "throbbing", "tightness", "peeling"}
KEYS = {
    "clinic_registered": ("clinic_id",),
    "device_registered": ("clinic_id", "device_id"),
    "protocol_published": ("protocol_id", "version"),
    "session_completed": ("clinic_id", "session_id"),
    "device_calibrated": ("source", "id"),
    "adverse_event_reported": ("clinic_id", "adverse_event_id"),
    "adverse_event_resolved": ("clinic_id", "adverse_event_id"),
    "assessment_recorded": ("clinic_id", "assessment_id"),
    "follow_up_completed": ("clinic_id", "follow_up_id"),
}


# ── facts ───────────────────────────────────────────────────────────────────────────────────────────────


def random_facts(rng: random.Random, as_of: dt.datetime) -> Facts:
    """A small network over two years, with every kind of disorder, as rows of raw tables."""
    facts: Facts = defaultdict(list)
    number = iter(range(10**9))

    def state(name: str, clinic: str, occurred_at: dt.datetime, **data: Any) -> Fact:
        fact = {
            "source": f"/clinics/{clinic}{rng.choice(['', '', '/desk'])}",
            "id": f"e{next(number):06}",
            "clinic_id": clinic,
            "occurred_at": occurred_at,
            "received_at": occurred_at + rng.randrange(100) * HOUR,
            "supersedes": None,
            **data,
        }
        facts[name].append(fact)
        return fact

    def hours(low: float, high: float) -> dt.timedelta:
        """Whole hours, so that boundaries are hit often."""
        return rng.randint(round(low), round(high)) * HOUR

    for protocol, planned in (("scar-15", 3), ("lines-05", 2)):
        state(
            "protocol_published",
            "north",
            as_of - 800 * DAY,
            protocol_id=protocol,
            version=1,
            sessions_planned=planned,
        )
    for clinic in ("north", "east", "west"):
        if clinic != "west":  # its registration has not come yet
            state("clinic_registered", clinic, as_of - 800 * DAY, display_name=clinic)
        for device in ("pen-1", "pen-2", "pen-3"):
            in_service = (as_of - rng.randint(-1, 700) * DAY).date()
            state("device_registered", clinic, as_of - 700 * DAY, device_id=device, in_service_on=in_service)
            for _ in range(rng.randint(0, 2)):
                state("device_calibrated", clinic, as_of - hours(180 * 24, 187 * 24), device_id=device)
        for patient in range(30):
            _random_patient(rng, state, hours, clinic, f"p{patient}", as_of)
    _random_disorder(rng, facts, state)
    return facts


def _random_patient(
    rng: random.Random, state: Any, hours: Any, clinic: str, patient: str, as_of: dt.datetime
) -> None:
    at = as_of - hours(-24, 700 * 24)
    protocol = rng.choice(["scar-15", "scar-15", "lines-05", "unpublished"])
    who = {"patient_key": patient}
    for n in range(1, rng.randint(2, 6)):
        session = f"{patient}-{n}"
        state(
            "session_completed", clinic, at, session_id=session, protocol_id=protocol, protocol_version=1,
            phase="series" if n <= 3 else "maintenance", session_number=n, completed_at=at, **who,
        )  # fmt: skip
        if rng.random() < 0.6:
            state(
                "follow_up_completed",
                clinic,
                at + hours(24, 120),
                follow_up_id=f"f-{session}",
                session_id=session,
                **who,
            )
        for sign in range(rng.choice([0, 0, 1, 2])):
            name, onset = f"a-{session}-{sign}", at + hours(-2, 180)
            state(
                "adverse_event_reported", clinic, onset + hours(0, 48),
                adverse_event_id=name, session_id=session,
                term=rng.choice(["erythema", "oedema", "peeling", "bruising", "infection"]),
                grade=rng.choice([1, 1, 1, 2]), serious=rng.random() < 0.05, onset_at=onset, **who,
            )  # fmt: skip
            if rng.random() < 0.7:
                gone = onset + hours(-3, 180)
                state("adverse_event_resolved", clinic, gone, adverse_event_id=name, resolved_at=gone, **who)
        for score in range(rng.choice([0, 1, 2])):
            state(
                "assessment_recorded", clinic, at + hours(12 * 24, 92 * 24),
                assessment_id=f"g-{session}-{score}", session_id=session,
                scale=rng.choice(["gais", "gais", "vas"]), score=float(rng.randint(1, 5)),
                rater=rng.choice(["clinician", "patient"]), **who,
            )  # fmt: skip
        at += hours(27 * 24, 43 * 24) if n < 3 else hours(85 * 24, 190 * 24)


def _random_disorder(rng: random.Random, facts: Facts, state: Any) -> None:
    """Repeat, correct and withdraw some of the facts, corrections and withdrawals included."""
    for name in [n for n in KEYS if n not in ("clinic_registered", "protocol_published")]:
        for fact in list(facts[name]):
            if rng.random() < 0.1:
                again = {
                    **fact,
                    "id": f"{fact['id']}-again",
                    "occurred_at": fact["occurred_at"] + rng.randint(-1, 1) * HOUR,
                }
                facts[name].append(again)
            if rng.random() < 0.1:
                fixed = {**fact, "id": f"{fact['id']}-fixed", "supersedes": fact["id"]}
                if "session_number" in fact:
                    fixed["protocol_id"] = "scar-15"
                facts[name].append(fixed)
        for fact in list(facts[name]):
            if rng.random() < 0.05:
                void = state("event_voided", fact["clinic_id"], fact["occurred_at"], voided_id=fact["id"])
                void["source"] = fact["source"]
                if rng.random() < 0.2:
                    unvoid = state(
                        "event_voided", fact["clinic_id"], fact["occurred_at"], voided_id=void["id"]
                    )
                    unvoid["source"] = fact["source"]
    for rows in facts.values():
        rng.shuffle(rows)


# ── core ────────────────────────────────────────────────────────────────────────────────────────────────


def standing(facts: Facts, name: str) -> list[Fact]:
    """What is left after withdrawals, corrections and repetitions."""
    withdrawn_voids = {(v["source"], v["voided_id"]) for v in facts["event_voided"]}
    voided = {
        (v["source"], v["voided_id"])
        for v in facts["event_voided"]
        if (v["source"], v["id"]) not in withdrawn_voids
    }
    left = [f for f in facts[name] if (f["source"], f["id"]) not in voided]
    superseded = {(f["source"], f["supersedes"]) for f in left}
    newest: dict[tuple[Any, ...], Fact] = {}
    for fact in left:
        if (fact["source"], fact["id"]) in superseded:
            continue
        key = tuple(fact[column] for column in KEYS[name])
        order = ("occurred_at", "received_at", "id", "source")
        if key not in newest or [newest[key][o] for o in order] < [fact[o] for o in order]:
            newest[key] = fact
    return list(newest.values())


# ── metrics ─────────────────────────────────────────────────────────────────────────────────────────────


def metrics(facts: Facts, as_of: dt.datetime) -> Counts:
    """Numerators and denominators of every metric; cells that nobody belongs to are left out."""
    core = {name: standing(facts, name) for name in KEYS}
    start = as_of - 365 * DAY
    counts: Counts = defaultdict(lambda: (0, 0))

    def count(
        metric: str, numerator: float, *scopes: tuple[str, str], week: dt.datetime | None = None
    ) -> None:
        for scope in (("network", "network"), *scopes):
            key = (metric, *scope, "week" if week else "year", week or start)
            before = counts[key]
            counts[key] = (before[0] + numerator, before[1] + 1)

    for session in core["session_completed"]:
        if start <= session["completed_at"] < as_of:
            _count_session(core, session, as_of, count)
    for device in core["device_registered"]:
        if device["in_service_on"] <= as_of.date():
            done = [
                c["occurred_at"].date()
                for c in core["device_calibrated"]
                if same(c, device, "device_id") and c["occurred_at"] < as_of
            ]
            fresh = bool(done) and (as_of.date() - max(done)).days <= 183
            count("device_in_calibration", fresh, ("clinic", device["clinic_id"]))
    visits = defaultdict(list)
    for session in sorted(core["session_completed"], key=lambda s: (s["completed_at"], s["session_id"])):
        visits[session["clinic_id"], session["patient_key"]].append(session)
    planned = {p["protocol_id"]: p["sessions_planned"] for p in core["protocol_published"]}
    for (clinic, _), visited in visits.items():
        known = [v for v in visited if v["completed_at"] < as_of]
        _count_maintenance(
            known,
            planned,
            as_of,
            lambda on_time, c=clinic: count("maintenance_on_time", on_time, ("clinic", c)),
        )
        _count_gain(core, known, as_of, count)
    return dict(counts)


def same(one: Fact, other: Fact, key: str) -> bool:
    return one["clinic_id"] == other["clinic_id"] and one[key] == other[key]


def _count_session(core: dict[str, list[Fact]], session: Fact, as_of: dt.datetime, count: Any) -> None:
    followed = any(
        same(f, session, "session_id") and f["occurred_at"] < as_of for f in core["follow_up_completed"]
    )
    signs = [
        a
        for a in core["adverse_event_reported"]
        if same(a, session, "session_id") and a["occurred_at"] < as_of
    ]
    clinic = ("clinic", session["clinic_id"])
    if as_of - session["completed_at"] >= 14 * DAY:
        count("follow_up_coverage", followed, clinic)
    if followed or signs:
        adverse = any(not _expected(core, sign, session, as_of) for sign in signs)
        count("adverse_event_incidence", adverse, clinic, ("protocol", session["protocol_id"]))
        midnight = session["completed_at"].replace(hour=0, minute=0)
        monday = midnight - midnight.weekday() * DAY
        if monday >= as_of - 365 * DAY:
            count("adverse_event_incidence", adverse, clinic, week=monday)


def _expected(core: dict[str, list[Fact]], sign: Fact, session: Fact, as_of: dt.datetime) -> bool:
    if sign["term"] not in LISTED or sign["grade"] > 1 or sign["serious"]:
        return False
    if sign["onset_at"] - session["completed_at"] >= 7 * DAY:
        return False
    ends = [
        r["resolved_at"]
        for r in core["adverse_event_resolved"]
        if same(r, sign, "adverse_event_id") and r["resolved_at"] >= sign["onset_at"]
    ]
    return min([*ends, as_of]) - sign["onset_at"] < 7 * DAY


def _count_maintenance(visits: list[Fact], planned: dict[str, int], as_of: dt.datetime, count: Any) -> None:
    decisions = []
    for n, visit in enumerate(visits):
        after = visits[n + 1] if n + 1 < len(visits) else None
        complete = visit["phase"] == "maintenance" or visit["session_number"] >= planned.get(
            visit["protocol_id"], 3
        )
        if not complete and not (after and after["phase"] == "maintenance"):
            continue
        last_day = visit["completed_at"].date() + 183 * DAY
        closes = dt.datetime.combine(last_day + DAY, dt.time(), dt.UTC)
        if after and after["completed_at"] < closes:
            gap = (after["completed_at"].date() - visit["completed_at"].date()).days
            decisions.append((after["completed_at"], after["phase"] == "maintenance" and gap >= 90))
        elif closes < as_of:
            decisions.append((closes, False))
    in_year = [on_time for decided_at, on_time in decisions if decided_at >= as_of - 365 * DAY]
    if in_year:
        count(in_year[0])


def _count_gain(core: dict[str, list[Fact]], visits: list[Fact], as_of: dt.datetime, count: Any) -> None:
    if not visits or visits[-1]["completed_at"] < as_of - 365 * DAY:
        return
    latest = visits[-1]
    scores = [
        a
        for a in core["assessment_recorded"]
        if same(a, latest, "patient_key")
        and a["scale"] == "gais"
        and a["occurred_at"] < as_of
        and 14 <= (a["occurred_at"].date() - latest["completed_at"].date()).days <= 90
    ]
    if scores:
        scores.sort(key=lambda a: (a["occurred_at"], a["rater"] == "clinician", a["assessment_id"]))
        count("protocol_improvement", 4 - scores[-1]["score"], ("protocol", latest["protocol_id"]))
