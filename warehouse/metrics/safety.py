"""The safety metrics: from sessions with a known outcome to rows with observed, expected, limits, q and flag.

sessions -> case mix (expected) -> by scope: ratio and flag | looks of lots and firmware | reporting by clinic
"""

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from scipy import optimize, special

from producers.contracts.errors import CheckFailed
from warehouse.metrics import cards, case_mix, exact_tests, intervals
from warehouse.metrics.cards import CASE_MIX, MetricCard
from warehouse.metrics.case_mix import CaseMixModel
from warehouse.metrics.frames import CELL, INSTANT, result
from warehouse.metrics.reporting import reporting
from warehouse.metrics.risk_indicators import key_risk_indicator
from warehouse.metrics.surveillance import LOOK, PoissonPlan, take_look
from warehouse.metrics.values import column, exposures, share

SCOPES = {
    "clinic": "clinic_id",
    "operator": "operator",
    "protocol": "protocol",
    "device": "device",
    "firmware": "firmware",
    "cartridge_lot": "cartridge_lot",
    "skin_type": "skin_type",
}
"""What sessions are grouped by, and the column that names the group."""

WATCHED = ("cartridge_lot", "firmware")
"""What is under sequential surveillance."""

PLAN = PoissonPlan(horizon=10.0, alpha=0.01, minimum_events=3)
"""Lots last for 100 to 300 sessions [assumption], of which a few have events: ten expected are not reached by
most.
"""

RIPE_DAYS = 14
"""Sessions younger than this are not counted: their follow-up is not due [assumption]."""

SESSION: dict[str, pl.DataType] = {
    "clinic_id": pl.String(),
    "session_id": pl.String(),
    "patient_key": pl.String(),
    "completed_at": INSTANT,
    **{name: pl.String() for name in ("operator", "protocol", "device", "firmware", "cartridge_lot")},
    **{name: pl.String() for name in CASE_MIX},
    "events": pl.Int64(),
    "followed_up": pl.Boolean(),
}
"""One session: `session_id` unique in the network, features with the level `unknown`, events that count."""

WATCH: dict[str, pl.DataType] = {
    "metric_id": pl.String(),
    "metric_version": pl.Int32(),
    "scope": pl.String(),
    "scope_id": pl.String(),
    **LOOK,
}
"""A look with what it is about: the grain of mart.surveillance_look."""


@dataclass(frozen=True)
class Safety:
    """All safety rows of one day, the looks taken for them, and the model they rest on (null without events).
    """

    rows: pl.DataFrame
    looks: pl.DataFrame
    model: CaseMixModel | None


def safety(
    sessions: pl.DataFrame, last_looks: pl.DataFrame, *, start: dt.datetime, as_of: dt.datetime
) -> Safety:
    """RESULT rows of every safety card for the year [start, as_of).

    `sessions`: SESSION. `last_looks`: WATCH, the last look of each surveillance. Raises CheckFailed.
    """
    ripe = checked_sessions(sessions).filter(pl.col("completed_at") <= as_of - dt.timedelta(days=RIPE_DAYS))
    followed, model = with_expected(ripe.filter("followed_up"))
    watched, looks = watch(followed, last_looks, start=start, as_of=as_of)
    rows = [
        *(adverse_event_ratio(followed, scope, start=start, as_of=as_of) for scope in SCOPES),
        watched,
        adverse_event_reporting(ripe, start=start, as_of=as_of),
    ]
    return Safety(pl.concat(rows), looks, model)


def checked_sessions(sessions: pl.DataFrame) -> pl.DataFrame:
    """The columns of SESSION, once they hold. Raises CheckFailed naming the column and the rule."""
    for name, dtype in SESSION.items():
        if name not in sessions.columns:
            raise CheckFailed(f"sessions.{name}: column is missing")
        found = sessions.schema[name]
        if found != dtype and not (dtype == pl.Int64() and found.is_integer()):
            raise CheckFailed(f"sessions.{name}: must be {dtype}, is {found}")
        if sessions[name].null_count():
            raise CheckFailed(f"sessions.{name}: must not be null")
    if sessions["session_id"].is_duplicated().any():
        raise CheckFailed("sessions.session_id: must be unique")
    if (sessions["events"] < 0).any():
        raise CheckFailed("sessions.events: must not be negative")
    return sessions.select(pl.col(name).cast(dtype) for name, dtype in SESSION.items())


def with_expected(sessions: pl.DataFrame) -> tuple[pl.DataFrame, CaseMixModel | None]:
    """Sessions with `adverse` (0 or 1), `expected` by all of CASE_MIX and `expected_crude` by all but skin
    type.

    The second is for comparing skin types, which the first makes equal. Sessions of one kind are fitted as
    one cell. Without an event, or with one in every session, everything expected is the network's proportion.
    """
    marked = sessions.with_columns(adverse=(pl.col("events") > 0).cast(pl.Int64))
    total, sessions_in_all = int(marked["adverse"].sum()), marked.height
    if total == 0 or total == sessions_in_all:
        flat = pl.lit(float(total == sessions_in_all and total > 0))
        return marked.with_columns(expected=flat, expected_crude=flat), None
    full, model = _expected_by(marked, CASE_MIX, "expected")
    crude, _ = _expected_by(full, CASE_MIX[1:], "expected_crude")
    return crude, model


def _expected_by(
    marked: pl.DataFrame, features: tuple[str, ...], name: str
) -> tuple[pl.DataFrame, CaseMixModel]:
    cells = marked.group_by(features).agg(sessions=pl.len(), adverse=pl.col("adverse").sum()).sort(features)
    model = case_mix.fit(cells, outcome="adverse", weight="sessions", categories=features, penalty=1.0)
    risks = cells.select(*features, case_mix.predict(model, cells).alias(name))
    return marked.join(risks, on=features, how="left", maintain_order="left"), model


def adverse_event_ratio(
    sessions: pl.DataFrame, scope: str, *, start: dt.datetime, as_of: dt.datetime
) -> pl.DataFrame:
    """Observed over expected of each group of one scope, RESULT. `sessions`: as `with_expected` gives them.

    p is exact Poisson's, which is cautious here: counts are whole, and the variance of sums of proportions is
    a little smaller than Poisson's. q is over the groups of the scope. Sessions whose group is unknown are a
    group of their own, `unknown`: they are not left out. Source: see the card.
    """
    card = cards.ADVERSE_EVENT_RATIO
    expected = "expected_crude" if scope == "skin_type" else "expected"
    groups = (
        sessions.group_by(pl.col(SCOPES[scope]).alias("scope_id"))
        .agg(observed=pl.col("adverse").sum(), expected=pl.col(expected).sum())
        .sort("scope_id")
    )
    found = key_risk_indicator(groups, method="exact", thresholds=card.thresholds, level=card.level)
    return _rows(
        card,
        found.with_columns(
            threshold=pl.lit(card.thresholds.q_high if card.thresholds else None),
            detectable_ratio=detectable_ratio(found["expected"]),
        ),
        scope,
        start,
        as_of,
    )


def _rows(
    card: MetricCard, found: pl.DataFrame, scope: str, start: dt.datetime, as_of: dt.datetime
) -> pl.DataFrame:
    return result(
        card,
        found.with_columns(
            scope=pl.lit(scope),
            period=pl.lit("year"),
            interval_start=pl.lit(start, dtype=INSTANT),
            interval_end=pl.lit(as_of, dtype=INSTANT),
            numerator=pl.col("observed"),
            denominator=pl.col("expected"),
        ).select(
            *CELL,
            "numerator",
            "denominator",
            *(name for name in found.columns if name not in {*CELL, "observed", "numerator", "denominator"}),
        ),
    )


def detectable_ratio(
    expected: pl.Series | np.ndarray, *, alpha: float = 0.05, power: float = 0.8
) -> pl.Series:
    """The smallest ratio that a two-sided exact Poisson test at `alpha` finds with `power`, for each expected
    number.

    Null where nothing is expected, or not even a ratio of 1000 would be found.
    Source: power of the exact test by its rejection region. Raises CheckFailed.
    """
    e = exposures(expected, "expected")
    share(alpha, "alpha"), share(power, "power")
    distinct, where = np.unique(np.round(e, 3), return_inverse=True)
    # The fewest events that reject: the smallest c with P(X >= c) <= alpha / 2.
    fewest = np.array([_fewest(mean, alpha / 2) for mean in distinct])
    mean_needed = special.gammaincinv(fewest, power)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(distinct > 0, mean_needed / distinct, np.nan)
    ratio[ratio > 1000] = np.nan
    return column("detectable_ratio", ratio[where])


def _fewest(mean: float, tail: float) -> float:
    if mean <= 0:
        return 1.0
    low, high = mean, mean + 10 * np.sqrt(mean) + 20
    at = (
        optimize.brentq(lambda c: special.gammainc(c, mean) - tail, max(low, 1e-9), high) if mean > 0 else 1.0
    )
    c = max(float(np.ceil(at - 1e-9)), 1.0)
    while exact_tests.poisson_tails(np.array([c]), np.array([mean]))[0][0] > tail:
        c += 1
    return c


# ── sequential surveillance ─────────────────────────────────────────────────────────────────────────────


def watch(
    sessions: pl.DataFrame, last_looks: pl.DataFrame, *, start: dt.datetime, as_of: dt.datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One look a day at every watched lot and firmware: RESULT rows, and the looks that are new (WATCH).

    A group is watched by the sessions in the year; where these become fewer (an old firmware), or the horizon
    is reached, no further look is taken and the last one stands.
    """
    card = cards.ADVERSE_EVENT_SURVEILLANCE
    before = {
        (row["scope"], row["scope_id"]): row
        for row in last_looks.iter_rows(named=True)
        if (row["metric_id"], row["metric_version"]) == (card.id, card.version)
    }
    rows, new = [], []
    for scope in WATCHED:
        groups = (
            sessions.filter(pl.col(scope) != "unknown")
            .group_by(pl.col(scope).alias("scope_id"))
            .agg(events=pl.col("adverse").sum(), expected=pl.col("expected").sum())
            .sort("scope_id")
        )
        for group in groups.iter_rows(named=True):
            last = before.get((scope, group["scope_id"]))
            look, taken = _look(last, as_of, group["events"], group["expected"])
            rows.append({"scope": scope, "scope_id": group["scope_id"], **look})
            if taken:
                new.append(
                    {"metric_id": card.id, "metric_version": card.version, "scope": scope, **look}
                    | {"scope_id": group["scope_id"]}
                )
    seen = pl.DataFrame(rows, schema={"scope": pl.String(), "scope_id": pl.String(), **LOOK})
    return _watched(card, seen, start, as_of), pl.DataFrame(new, schema=WATCH)


def _look(
    last: dict[str, object] | None, as_of: dt.datetime, events: int, expected: float
) -> tuple[dict[str, object], bool]:
    history = pl.DataFrame([last] if last else [], schema=LOOK) if last else pl.DataFrame(schema=LOOK)
    if last and _day(last["as_of"]) == as_of.date():
        return history.row(-1, named=True), False
    after = take_look(history, PLAN, as_of=as_of, events=events, expected=expected)
    return after.row(-1, named=True), after.height > history.height


def _day(moment: object) -> dt.date:
    assert isinstance(moment, dt.datetime)
    return moment.astimezone(dt.UTC).date()


def _watched(card: MetricCard, seen: pl.DataFrame, start: dt.datetime, as_of: dt.datetime) -> pl.DataFrame:
    lower, upper = intervals.garwood(seen["events"], level=card.level)
    over = pl.when(pl.col("expected") > 0).then(pl.col("expected"))
    found = seen.with_columns(
        observed=pl.col("events"),
        value=pl.col("relative_risk"),
        lower=lower / seen["expected"],
        upper=upper / seen["expected"],
        threshold=pl.col("critical_value"),
        detectable_ratio=pl.Series(
            [_detectable(expected) for expected in seen["expected"]], dtype=pl.Float64
        ),
        flag=pl.when("signal").then(pl.lit("high")),
        method=pl.lit("poisson-maxsprt"),
        reason=pl.when(over.is_null()).then(pl.lit("nothing expected")),
    ).with_columns(
        pl.when(over.is_not_null()).then(pl.col(name)).alias(name) for name in ("value", "lower", "upper")
    )
    wanted = ["observed", "expected", "value", "lower", "upper", "statistic", "threshold", "detectable_ratio"]
    parts = [
        _rows(
            card,
            found.filter(pl.col("scope") == scope).select("scope_id", *wanted, "flag", "method", "reason"),
            scope,
            start,
            as_of,
        )
        for scope in WATCHED
    ]
    return pl.concat(parts)


def _detectable(expected: float) -> float | None:
    """The smallest ratio found with 80 % power if the surveillance ended at this expected number.

    Rounded to two digits, so that few plans are computed.
    """
    return _detectable_by(min(float(f"{expected:.2g}"), PLAN.horizon)) if expected > 0 else None


@lru_cache(maxsize=4096)
def _detectable_by(end: float) -> float | None:
    return PLAN.ending_at(end)


# ── reporting ───────────────────────────────────────────────────────────────────────────────────────────


def adverse_event_reporting(
    sessions: pl.DataFrame, *, start: dt.datetime, as_of: dt.datetime
) -> pl.DataFrame:
    """Each clinic's events against patients elsewhere with as many sessions, RESULT; the flag is under or
    over.

    `sessions`: SESSION. p is of the side the clinic lies on, one-sided. Source: see the card.
    """
    card = cards.ADVERSE_EVENT_REPORTING
    ordered = sessions.sort("completed_at", "session_id").with_columns(
        session_number=pl.int_range(pl.len()).over("clinic_id", "patient_key")
    )
    found = reporting(ordered)
    lower, upper = intervals.garwood(found["observed"], level=card.level)
    some = pl.when(pl.col("expected") > 0)
    under = pl.col("p_under") <= pl.col("p_over")
    return _rows(
        card,
        found.with_columns(
            scope_id=pl.col("clinic_id"),
            expected=pl.col("expected").fill_null(0.0),
            lower=some.then(lower / pl.col("expected")),
            upper=some.then(upper / pl.col("expected")),
            p=pl.when(under).then(pl.col("p_under")).otherwise(pl.col("p_over")),
            q=pl.when(under).then(pl.col("q_under")).otherwise(pl.col("q_over")),
            threshold=pl.lit(0.05),
            method=pl.lit("patients-elsewhere"),
            detectable_ratio=pl.lit(None, dtype=pl.Float64),
        ).select(
            "scope_id",
            "observed",
            "expected",
            "value",
            "lower",
            "upper",
            "p",
            "q",
            "threshold",
            "method",
            "flag",
            "reason",
        ),
        "clinic",
        start,
        as_of,
    )
