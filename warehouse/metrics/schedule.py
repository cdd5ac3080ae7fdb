"""From sessions, calibrations and scores to the result rows of the schedule's cards.

facts as of a day -> courses, windows, cover, effects (each in a module of its own) -> RESULT rows, due list
A scope with nothing to count has no row, except the network once there is any session or device.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from warehouse.metrics import intervals
from warehouse.metrics import schedule_cards as cards
from warehouse.metrics.cards import MetricCard
from warehouse.metrics.causal import aipw, crude
from warehouse.metrics.columns import cells
from warehouse.metrics.courses import (
    PATIENT,
    RULES,
    CourseRules,
    course_facts,
    rebuild_courses,
    series_status,
    time_to_return,
    window_status,
    windows,
)
from warehouse.metrics.coverage import proportion_of_days_covered
from warehouse.metrics.devices import DEVICE, calibration_at_sessions, calibration_coverage
from warehouse.metrics.due import due_list, follow_up_by_first_contacts, maintenance_demand
from warehouse.metrics.effectiveness import NO_CHANGE
from warehouse.metrics.findings import RANK_ROW, protocol_table
from warehouse.metrics.frames import CELL, INSTANT, RESULT, proportion, result
from warehouse.metrics.protocol_balance import BALANCE_ROW, protocol_balance
from warehouse.metrics.protocols import adjust_p
from warehouse.metrics.survival import aalen_johansen, survival_at

_LEAST_CLUSTERS = 10
"""Below as many clinics an error by clinic is not to be trusted, and patients count as independent [A]."""
_LEAST_OBSERVED_DAYS = 30
_VALID_DAYS = RULES.maintenance_days[1]
NEEDED_DAYS = _VALID_DAYS
"""An earlier session covers no day of the year."""

_NUMBERED = {"patient": PATIENT, "session": ("clinic_id", "session_id")}
"""What is told apart by number where millions are grouped and joined; the columns that name it."""


@dataclass(frozen=True)
class Facts:
    """What is known of all time before as_of. Dates are UTC.

    `sessions`: `clinic_id`, `patient_key`, `session_id`, `completed_on`, `indication`, `sessions_planned`
    (may be null), `protocol_id`, `device_id`, `cartridge_lot`, `cartridge_serial`, `area`, `skin_type`,
    `age_band`, `contraindication_overridden`, `adverse` (null while the outcome is not known, and before the
    year), `followed_on` and `followed_from_day_1_on` (first contact, and first one on a later day; null while
    there is none); `devices`: `clinic_id`, `device_id`, `in_service_on`; `calibrations`: `clinic_id`,
    `device_id`, `calibrated_on`; `scores`: one row a patient with a score after the latest session,
    `clinic_id`, `patient_key`, `gais_score`.

    Of sessions before the year only `clinic_id`, `patient_key` and `completed_on` are looked at, unless
    courses are rebuilt from them.

    `windows` (of WINDOW: all but `course` and what is known of the next session) and `courses` (of COURSE:
    `clinic_id`, `last_on`, `completed_on`, `newest`) are of all history, where they can matter; then these
    may leave out windows of a series that opened, courses that ended and sessions that were completed more
    than `NEEDED_DAYS` before the year. Without them both are rebuilt from `sessions`.
    """

    sessions: pl.DataFrame
    devices: pl.DataFrame
    calibrations: pl.DataFrame
    scores: pl.DataFrame
    windows: pl.DataFrame | None = None
    courses: pl.DataFrame | None = None


@dataclass(frozen=True)
class Schedule:
    """RESULT rows, the due list (DUE), protocols by benefit and harm (findings.RANK_ROW), and how alike their
    patients are (BALANCE_ROW)."""

    rows: pl.DataFrame
    due: pl.DataFrame
    protocols: pl.DataFrame
    balance: pl.DataFrame


@dataclass(frozen=True)
class _Year:
    start: dt.datetime
    as_of: dt.datetime

    @property
    def first(self) -> dt.date:
        return self.start.date()

    @property
    def today(self) -> dt.date:
        """Days before it are over."""
        return self.as_of.date()

    @property
    def day_after(self) -> dt.date:
        """The day before which all that is known occurred, the day of as_of included."""
        return self.as_of.date() + dt.timedelta(days=1)

    def cells(self, counted: pl.DataFrame) -> pl.DataFrame:
        """Rows with `scope` and `scope_id` as cells of the year."""
        return counted.with_columns(
            period=pl.lit("year"),
            interval_start=pl.lit(self.start, INSTANT),
            interval_end=pl.lit(self.as_of, INSTANT),
        )


def schedule(facts: Facts, *, start: dt.datetime, as_of: dt.datetime, rules: CourseRules = RULES) -> Schedule:
    """All of the schedule's cards as of one moment, for the year from `start`. Raises CheckFailed."""
    year = _Year(start, as_of)
    opened, courses = _windows_and_courses(facts, rules)
    came_today = facts.sessions.filter(pl.col("completed_on") >= year.today).select(PATIENT)
    due = due_list(opened, as_of=year.today).join(came_today, on=list(PATIENT), how="anti")
    if not facts.sessions.height and not facts.devices.height:
        nothing = (pl.DataFrame(schema=RANK_ROW), pl.DataFrame(schema=BALANCE_ROW))
        return Schedule(pl.DataFrame(schema=RESULT), due, *nothing)
    sessions, opened, scores = (_numbered(frame) for frame in (facts.sessions, opened, facts.scores))
    recent = sessions.filter(pl.col("completed_on") >= year.first)
    scored = _scored(recent, opened.filter(pl.col("opened_on") >= year.first), scores)
    judged = calibration_at_sessions(recent.drop_nulls("device_id"), facts.calibrations)
    rows = [
        _series_completion(courses, rules, year),
        _gaps_on_time(opened, year),
        _returns(opened, year),
        _patient_days(sessions, opened, year),
        _device_days(facts, year),
        _share(cards.SESSIONS_WHILE_OVERDUE, judged.select("clinic_id", hit="overdue"), year),
        _cartridges(recent, year),
        _overridden(recent, year),
        _follow_ups(recent, year),
        _demand(opened, year),
        *_protocol_differences(scored, year),
        _overdue_harm(judged, year),
    ]
    protocols = protocol_table(scored, _CHOICE[1:])
    return Schedule(pl.concat(rows), due, protocols, _balances(scored))


def _windows_and_courses(facts: Facts, rules: CourseRules) -> tuple[pl.DataFrame, pl.DataFrame]:
    if facts.windows is not None and facts.courses is not None:
        return facts.windows, facts.courses
    rebuilt = rebuild_courses(facts.sessions, rules)
    return windows(rebuilt, rules), course_facts(rebuilt)


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers (_NUMBERED) in the place of long names.

    They are hashes: that any two of a million patients share one has a chance of 3 in 100 million.
    """
    numbers = {
        number: pl.struct(names).hash()
        for number, names in _NUMBERED.items()
        if set(names) <= set(frame.columns)
    }
    return frame.with_columns(**numbers).drop("patient_key", "session_id", strict=False)


# ── shares ──────────────────────────────────────────────────────────────────────────────────────────────


def _share(card: MetricCard, judged: pl.DataFrame, year: _Year) -> pl.DataFrame:
    """Rows of `clinic_id` and a truth `hit` as a Wilson share, of each clinic and of the network."""
    counts = (
        pl.col("hit").sum().cast(pl.Int64).alias("_hits"),
        pl.len().cast(pl.Int64).alias("_all"),
    )
    scopes = [
        judged.select(pl.lit("network").alias("scope"), pl.lit("network").alias("scope_id"), *counts),
        judged.group_by(pl.col("clinic_id").alias("scope_id"))
        .agg(*counts)
        .select(pl.lit("clinic").alias("scope"), "scope_id", "_hits", "_all")
        .sort("scope_id"),
    ]
    return proportion(
        card,
        year.cells(pl.concat(scopes)),
        numerator="_hits",
        denominator="_all",
        interval=intervals.wilson,
    )


def _series_completion(courses: pl.DataFrame, rules: CourseRules, year: _Year) -> pl.DataFrame:
    found = series_status(courses, as_of=year.day_after, rules=rules)
    broken_on = pl.col("last_on") + pl.duration(days=rules.series_break_days + 1)
    decided = found.filter(
        (pl.col("status") != "ongoing") & (pl.coalesce("completed_on", broken_on) >= year.first)
    )
    return _share(cards.SERIES_COMPLETION, decided.with_columns(hit=pl.col("status") == "completed"), year)


def _gaps_on_time(opened: pl.DataFrame, year: _Year) -> pl.DataFrame:
    judged = window_status(opened.filter(pl.col("kind") == "series"), as_of=year.today)
    decided_on = pl.min_horizontal("returned_on", pl.col("due_until") + pl.duration(days=1))
    decided = judged.filter(~pl.col("status").is_in(["not yet due", "replaced"]) & (decided_on >= year.first))
    return _share(cards.SERIES_GAP_ON_TIME, decided.with_columns(hit=pl.col("status") == "on time"), year)


def _cartridges(recent: pl.DataFrame, year: _Year) -> pl.DataFrame:
    """One row a cartridge: was it used in more than one session?"""
    cartridge = ["clinic_id", "cartridge_lot", "cartridge_serial"]
    used = recent.select(cartridge).drop_nulls().group_by(_cartridge=pl.struct(cartridge).hash())
    reused = used.agg(pl.col("clinic_id").first(), hit=pl.len() > 1)
    return _share(cards.CARTRIDGE_REUSE, reused, year)


def _overridden(recent: pl.DataFrame, year: _Year) -> pl.DataFrame:
    judged = recent.select("clinic_id", hit=pl.col("contraindication_overridden").fill_null(False))
    return _share(cards.CONTRAINDICATION_OVERRIDDEN, judged, year)


def _follow_ups(recent: pl.DataFrame, year: _Year) -> pl.DataFrame:
    contacts = recent.select("clinic_id", "completed_on", "followed_on", "followed_from_day_1_on")
    judged = follow_up_by_first_contacts(contacts, as_of=year.today)
    decided = judged.filter(pl.col("follow_up") != "not yet due")
    return _share(cards.FOLLOW_UP_IN_TIME, decided.with_columns(hit=pl.col("follow_up") == "in time"), year)


# ── means ───────────────────────────────────────────────────────────────────────────────────────────────


def _mean(card: MetricCard, measured: pl.DataFrame, year: _Year) -> pl.DataFrame:
    """Rows of `clinic_id` and a number `value` as a mean with Student's interval."""
    measures = (
        pl.len().cast(pl.Int64).alias("_size"),
        pl.col("value").sum().alias("_total"),
        pl.col("value").mean().alias("_mean"),
        pl.col("value").std().alias("_deviation"),
    )
    by_clinic = measured.group_by(pl.col("clinic_id").alias("scope_id")).agg(*measures).sort("scope_id")
    found = pl.concat(
        [
            measured.select(pl.lit("network").alias("scope"), pl.lit("network").alias("scope_id"), *measures),
            by_clinic.select(pl.lit("clinic").alias("scope"), pl.all()),
        ]
    )
    lower, upper = intervals.mean_t(found["_mean"], found["_deviation"], found["_size"], level=card.level)
    size = pl.col("_size")
    return result(
        card,
        year.cells(found).select(
            *CELL,
            numerator=pl.col("_total"),
            denominator=size,
            value=pl.when(size >= 2).then(pl.col("_mean")),
            lower=lower.clip(0.0, 1.0),
            upper=upper.clip(0.0, 1.0),
            reason=pl.when(size == 0)
            .then(pl.lit(f"no {card.denominator}"))
            .when(size == 1)
            .then(pl.lit("only one: no interval can be given")),
        ),
    )


def _patient_days(sessions: pl.DataFrame, opened: pl.DataFrame, year: _Year) -> pl.DataFrame:
    """Patients from the day their first series was complete."""
    completed = (
        opened.filter((pl.col("kind") == "maintenance") & (pl.col("opened_on") < year.today))
        .group_by("patient")
        .agg(pl.col("clinic_id").first(), _since=pl.col("opened_on").min())
        .sort("patient")
    )
    found = proportion_of_days_covered(
        sessions.select("patient", "completed_on", valid_days=pl.lit(_VALID_DAYS)),
        start=year.first, end=year.today, subject=("patient",), observed_from="_since", subjects=completed,
    ).with_columns(completed["clinic_id"])  # fmt: skip
    return _mean(
        cards.PATIENT_DAYS_COVERED, found.filter(pl.col("days_observed") >= _LEAST_OBSERVED_DAYS), year
    )


def _device_days(facts: Facts, year: _Year) -> pl.DataFrame:
    found = calibration_coverage(facts.devices, facts.calibrations, start=year.first, end=year.today)
    return _mean(cards.DEVICE_DAYS_IN_CALIBRATION, found.filter(pl.col("days_observed") > 0), year)


# ── time to return ──────────────────────────────────────────────────────────────────────────────────────


def _returns(opened: pl.DataFrame, year: _Year) -> pl.DataFrame:
    """Incidence of returning within the window, all windows opened within two years."""
    card = cards.MAINTENANCE_RETURN
    since = year.first - (year.today - year.first)
    mine = time_to_return(opened.filter(pl.col("opened_on") >= since), as_of=year.today)
    alike = cells(mine, ("clinic_id", "days", "cause"))
    network, counts = pl.lit("network"), ("days", "cause", "_size")
    both = pl.concat(
        [
            alike.select(network.alias("scope"), network.alias("scope_id"), *counts),
            alike.select(pl.lit("clinic").alias("scope"), pl.col("clinic_id").alias("scope_id"), *counts),
        ]
    )
    scope = ["scope", "scope_id"]
    curve = aalen_johansen(both, duration="days", cause="cause", by=scope, size="_size", level=card.level)
    at = survival_at(curve.filter(pl.col("cause") == 1), [float(_VALID_DAYS)], by=scope)
    counted = both.group_by(scope).agg(
        numerator=pl.col("_size").filter((pl.col("cause") == 1) & (pl.col("days") <= _VALID_DAYS)).sum(),
        denominator=pl.col("_size").sum(),
    )
    if not counted.height:
        counted = counted.clear().vstack(
            pl.DataFrame([("network", "network", 0.0, 0.0)], schema=counted.schema, orient="row")
        )
    found = counted.join(at, on=scope, how="left").sort(scope)
    known = ~pl.col("beyond_follow_up").fill_null(True) & pl.col("lower").is_not_null()
    return result(
        card,
        year.cells(found).select(
            *CELL,
            "numerator",
            "denominator",
            *(
                pl.when(known).then(pl.col(source)).alias(name)
                for name, source in (("value", "incidence"), ("lower", "lower"), ("upper", "upper"))
            ),
            reason=pl.when(~known).then(
                pl.when(pl.col("denominator") == 0)
                .then(pl.lit(f"no {card.denominator}"))
                .otherwise(pl.lit(f"nobody was followed for {_VALID_DAYS} days"))
            ),
        ),
    )


def _demand(opened: pl.DataFrame, year: _Year) -> pl.DataFrame:
    card = cards.MAINTENANCE_DEMAND
    network = maintenance_demand(opened, as_of=year.today, level=card.level).with_columns(
        scope=pl.lit("network"), scope_id=pl.lit("network")
    )
    clinics = (
        maintenance_demand(opened, as_of=year.today, by=["clinic_id"], level=card.level)
        .rename({"clinic_id": "scope_id"})
        .with_columns(scope=pl.lit("clinic"))
    )
    both = pl.concat([network, clinics.select(network.columns)])
    begins = pl.col("week_start").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    known = pl.col("reason").is_null()
    return result(
        card,
        both.select(
            "scope",
            "scope_id",
            period=pl.lit("week"),
            interval_start=begins,
            interval_end=begins + pl.duration(days=7),
            numerator=pl.col("expected"),
            denominator=pl.col("waiting"),
            value=pl.when(known).then(pl.col("expected")),
            lower=pl.when(known).then(pl.col("lower")),
            upper=pl.when(known).then(pl.col("upper")),
            reason=pl.col("reason"),
        ),
    )


# ── effects ─────────────────────────────────────────────────────────────────────────────────────────────

_CASE_MIX = ("indication", "area", "skin_type", "age_band")
_CHOICE = (*_CASE_MIX, "session_number")
"""What the choice of a protocol is taken to depend on."""


def _scored(sessions: pl.DataFrame, opened: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Patients with a score, beside their latest session; without those whose case mix is not known."""
    latest = (
        opened.filter((pl.col("replaced_on") > pl.col("opened_on")).fill_null(True))
        .select("patient", "session", "session_number", "opened_on")
        .join(scores, on="patient", how="semi")
        .sort("opened_on")
        .unique("patient", keep="last")
    )
    known = ["protocol_id", *_CASE_MIX]
    return (
        sessions.select("session", "adverse", *known)
        .join(latest, on="session")
        .drop_nulls(known)
        .join(scores, on="patient")
        .select(
            "patient", "clinic_id", "session_number", "adverse", *known, gain=NO_CHANGE - pl.col("gais_score")
        )
        .with_columns(pl.col("skin_type").cast(pl.String))
        .sort("patient")
    )


def _protocol_differences(scored: pl.DataFrame, year: _Year) -> list[pl.DataFrame]:
    """Each protocol against the others for the same concerns, crude and adjusted, Holm over protocols."""
    parts: dict[str, list[pl.DataFrame]] = {"crude": [], "aipw": []}
    for protocol, compared in _comparisons(scored):
        options: dict[str, Any] = {"outcome": "gain", "treatment": "_mine"}
        cluster = "clinic_id" if compared["clinic_id"].n_unique() >= _LEAST_CLUSTERS else None
        rows = {
            "crude": crude(compared, cluster=cluster, **options),
            "aipw": aipw(
                compared, covariates=_varying(compared, _CHOICE), cluster=cluster,
                version="protocol-choice/1", **options,
            ),
        }  # fmt: skip
        for name, row in rows.items():
            parts[name].append(row.with_columns(scope=pl.lit("protocol"), scope_id=pl.lit(protocol)))
    return [
        _effect_rows(card, parts[name], year)
        for card, name in (
            (cards.PROTOCOL_DIFFERENCE_CRUDE, "crude"),
            (cards.PROTOCOL_DIFFERENCE_ADJUSTED, "aipw"),
        )
    ]


def _comparisons(scored: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each protocol with the patients of all protocols for the concerns it shares; `_mine` are its own."""
    for protocol in scored["protocol_id"].unique().sort():
        mine = pl.col("protocol_id") == protocol
        shared = scored.group_by("indication").agg(_both=mine.any() & (~mine).any()).filter("_both")
        alike = pl.col("indication").is_in(shared["indication"].to_list())
        yield protocol, scored.filter(alike).with_columns(_mine=mine)


def _balances(scored: pl.DataFrame) -> pl.DataFrame:
    """How alike the patients of each protocol and of those it is compared with are, BALANCE_ROW."""
    found = [
        protocol_balance(
            compared, protocol=protocol, treatment="_mine", covariates=_varying(compared, _CHOICE)
        )
        for protocol, compared in _comparisons(scored)
        if compared.height
    ]
    return pl.concat(found) if found else pl.DataFrame(schema=BALANCE_ROW)


def _varying(frame: pl.DataFrame, columns: tuple[str, ...]) -> list[str]:
    """Covariates with more than one value: the others are alike already."""
    return [column for column in columns if frame[column].n_unique() > 1]


def _effect_rows(
    card: MetricCard, effects: list[pl.DataFrame], year: _Year, *, per: float = 1.0
) -> pl.DataFrame:
    if not effects:
        return pl.DataFrame(schema=RESULT)
    found = pl.concat(effects)
    tested = found["p"].is_not_null()
    q = pl.Series("q", [None] * found.height, dtype=pl.Float64)
    if tested.any():
        q = q.scatter(tested.arg_true(), pl.Series(adjust_p(found["p"].drop_nulls().to_numpy(), "holm")))
    return result(
        card,
        year.cells(found).select(
            *CELL,
            numerator=pl.col("size_treated"),
            denominator=pl.col("size_treated") + pl.col("size_control"),
            value=pl.col("value") * per,
            lower=pl.col("lower") * per,
            upper=pl.col("upper") * per,
            p=pl.col("p"),
            q=q,
            reason=pl.col("reason"),
        ),
    )


def _overdue_harm(judged: pl.DataFrame, year: _Year) -> pl.DataFrame:
    """`judged`: sessions of the year as `calibration_at_sessions` gives them."""
    known = (
        judged.select("overdue", "adverse", *_CASE_MIX, _device=pl.struct(DEVICE).hash())
        .drop_nulls()
        .with_columns(pl.col("skin_type").cast(pl.String))
    )
    found = aipw(
        known, outcome="adverse", treatment="overdue",
        covariates=_varying(known, _CASE_MIX), cluster="_device", version="overdue-choice/1",
    )  # fmt: skip
    labelled = found.with_columns(scope=pl.lit("network"), scope_id=pl.lit("network"))
    return _effect_rows(cards.OVERDUE_CALIBRATION_HARM, [labelled], year, per=100.0)
