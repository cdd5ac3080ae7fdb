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
from warehouse.metrics import cards, case_mix, comparisons, exact_tests, intervals, maxsprt
from warehouse.metrics.cards import CASE_MIX, MetricCard
from warehouse.metrics.case_mix import CaseMixModel
from warehouse.metrics.findings import calibration, hierarchy
from warehouse.metrics.frames import CELL, INSTANT, result
from warehouse.metrics.reporting import reporting
from warehouse.metrics.risk_indicators import Thresholds, benjamini_hochberg, flags
from warehouse.metrics.surveillance import LOOK, PoissonPlan
from warehouse.metrics.values import column, exposures, reasons, share

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
    "patient_key": pl.String(),
    "completed_at": INSTANT,
    **{name: pl.String() for name in ("operator", "protocol", "device", "firmware", "cartridge_lot")},
    **{name: pl.String() for name in CASE_MIX},
    "events": pl.Int64(),
    "followed_up": pl.Boolean(),
}
"""One session: features with the level `unknown`, events that count. Names may be categories. A `session_id`,
where there is one, is unique in the network."""

_GRAIN = 2.0**-42
"""Expected numbers are summed in whole grains: the same sessions give the same bits in whatever order. It is
1e-11 of the rarest risks we meet, and as integers two million expected events have room."""

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
    """All safety rows of one day, the looks taken for them, the model they rest on (null without events),
    the tree of clinics, operators and lots (findings.HIERARCHY_ROW), and how well the model fits
    (findings.CALIBRATION_ROW)."""

    rows: pl.DataFrame
    looks: pl.DataFrame
    model: CaseMixModel | None
    hierarchy: pl.DataFrame
    calibration: pl.DataFrame


def safety_metrics(
    sessions: pl.DataFrame, last_looks: pl.DataFrame, *, start: dt.datetime, as_of: dt.datetime
) -> Safety:
    """RESULT rows of every safety card for the year [start, as_of).

    `sessions`: SESSION. `last_looks`: WATCH, the last look of each surveillance. Raises CheckFailed.
    """
    # Names as codes: a fourth of the memory, and one comparison instead of many.
    names = [*SCOPES.values(), *CASE_MIX]
    ripe = (
        checked_sessions(sessions)
        .filter(pl.col("completed_at") <= as_of - dt.timedelta(days=RIPE_DAYS))
        .with_columns(pl.col(name).cast(pl.Categorical) for name in dict.fromkeys(names))
    )
    followed, model = with_expected(ripe.filter("followed_up").drop("patient_key", "followed_up"))
    watched, looks = watch(followed, last_looks, start=start, as_of=as_of)
    rows = [
        *(adverse_event_ratio(followed, scope, start=start, as_of=as_of) for scope in SCOPES),
        watched,
        adverse_event_reporting(ripe, start=start, as_of=as_of),
    ]
    return Safety(pl.concat(rows), looks, model, hierarchy(_members(followed)), calibration(followed))


def _members(followed: pl.DataFrame) -> pl.DataFrame:
    """Sessions of one clinic, operator and lot as one row, with their events and their expected number."""
    path = ["clinic_id", "operator", "cartridge_lot"]
    found = followed.group_by(path).agg(
        pl.col("adverse").sum(), expected=_in_grains("expected").sum() * _GRAIN
    )
    return found.with_columns(pl.col(path).cast(pl.String)).sort(path)


def checked_sessions(sessions: pl.DataFrame) -> pl.DataFrame:
    """The columns of SESSION, once they hold. Raises CheckFailed naming the column and the rule."""
    for name, dtype in SESSION.items():
        if name not in sessions.columns:
            raise CheckFailed(f"sessions.{name}: column is missing")
        found = sessions.schema[name]
        named = dtype == pl.String() and isinstance(found, pl.Categorical)
        if found != dtype and not named and not (dtype == pl.Int64() and found.is_integer()):
            raise CheckFailed(f"sessions.{name}: must be {dtype}, is {found}")
        if sessions[name].null_count():
            raise CheckFailed(f"sessions.{name}: must not be null")
    if "session_id" in sessions.columns and sessions["session_id"].is_duplicated().any():
        raise CheckFailed("sessions.session_id: must be unique")
    if (sessions["events"] < 0).any():
        raise CheckFailed("sessions.events: must not be negative")
    return sessions.select(*SESSION).with_columns(pl.col("events").cast(pl.Int64))


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

    Expected is what the group would have if it were like the scope's other groups with the same case mix: the
    model's number times the others' observed over expected. So a group of many sessions (a firmware) is not
    compared with itself, and p allows for the others being a sample too: given all events, the group's are
    binomial. p counts what was seen by half (mid-p, twice the smaller tail); q is over the groups of the
    scope. Sessions whose group is unknown are a group of their own, `unknown`: they are not left out. Source:
    see the card.
    """
    card = cards.ADVERSE_EVENT_RATIO
    groups = _by_group(sessions, SCOPES[scope], "expected_crude" if scope == "skin_type" else "expected")
    o, e = groups["observed"].to_numpy(), groups["expected"].to_numpy()
    rest, e_rest = o.sum() - o, np.maximum(e.sum() - e, 0.0)
    alone = len(o) < 2
    compared = comparisons.rate_ratio(o, e, rest, np.where(alone, 0.0, e_rest), level=card.level)
    p = _mid_p(o, e, rest, e_rest)
    q = np.full(len(p), np.nan) if alone else benjamini_hochberg(p)
    like_others = _like_others(o, e)
    ratio = np.where((rest == 0) & (o > 0), np.inf, compared["value"].fill_null(np.nan).to_numpy())
    found = groups.with_columns(
        compared["value", "lower", "upper", "reason"],
        expected=pl.Series(like_others),
        p=column("p", np.full(len(p), np.nan) if alone else p),
        q=column("q", q),
        threshold=pl.lit(card.thresholds.q_high if card.thresholds else None),
        detectable_ratio=detectable_ratio(like_others),
        flag=flags(np.where(np.isposinf(ratio), 1e300, ratio), q, o, e, card.thresholds or Thresholds()),
    ).with_columns(
        pl.when(pl.lit(alone))
        .then(pl.lit("only one group: nothing to compare with"))
        .otherwise("reason")
        .alias("reason")
    )
    return _rows(card, found, scope, start, as_of)


def _mid_p(o: np.ndarray, e: np.ndarray, rest: np.ndarray, e_rest: np.ndarray) -> np.ndarray:
    tails = [
        exact_tests.rates_test(o, e, rest, e_rest, alternative=side, mid_p=True).to_numpy()
        for side in ("greater", "less")
    ]
    return np.minimum(2 * np.minimum(*tails), 1.0) if len(o) else np.zeros(0)


def _like_others(o: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Expected numbers at the others' observed over expected; the model's own where there are no others."""
    e_rest = e.sum() - e
    some = e_rest > 1e-9 * e.sum()
    return np.where(some, e * (o.sum() - o) / np.where(some, e_rest, 1.0), e)


def _by_group(sessions: pl.DataFrame, group: str, expected: str) -> pl.DataFrame:
    """`scope_id`, `observed` and `expected` of each group, by name."""
    found = sessions.group_by(pl.col(group).alias("scope_id")).agg(
        observed=pl.col("adverse").sum().cast(pl.Int64), expected=_in_grains(expected).sum() * _GRAIN
    )
    return found.with_columns(pl.col("scope_id").cast(pl.String)).sort("scope_id")


def _in_grains(expected: str) -> pl.Expr:
    return (pl.col(expected) / _GRAIN).round().cast(pl.Int64)


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

    The rules of surveillance.take_look for all groups at once. A group is watched by the sessions in the
    year; where these become fewer (an old firmware), or the horizon is reached, no further look is taken and
    the last one stands. alpha_spent and detectable_ratio are interpolated between sixty exact values.
    """
    card = cards.ADVERSE_EVENT_SURVEILLANCE
    groups = pl.concat([watched_groups(sessions, scope) for scope in WATCHED])
    before = last_looks.filter(
        (pl.col("metric_id") == card.id) & (pl.col("metric_version") == card.version)
    ).select("scope", "scope_id", *LOOK)
    joined = groups.join(
        before, on=["scope", "scope_id"], how="left", suffix="_before", maintain_order="left"
    )
    stands = (
        (pl.col("as_of").dt.date() >= as_of.astimezone(dt.UTC).date())
        | (pl.col("expected") <= pl.col("expected_before"))
        | (pl.col("expected_before") >= PLAN.horizon)
    ).fill_null(False)
    kept = joined.filter(stands).select(
        "scope",
        "scope_id",
        *(pl.col(f"{name}_before" if name in ("events", "expected") else name).alias(name) for name in LOOK),
    )
    new = _looks_now(joined.filter(~stands), as_of)
    seen = pl.concat([kept, new]).select("scope", "scope_id", *(pl.col(n).cast(t) for n, t in LOOK.items()))
    identified = new.with_columns(metric_id=pl.lit(card.id), metric_version=pl.lit(card.version)).select(
        pl.col(name).cast(dtype) for name, dtype in WATCH.items()
    )
    return _watched(card, seen.sort("scope", "scope_id"), start, as_of), identified


def watched_groups(sessions: pl.DataFrame, scope: str) -> pl.DataFrame:
    """`scope`, `scope_id`, `events`, `expected` (if the group were like the others) and `others`, the others'
    events, of each known group. At the others' own rate as many were expected of them as they had."""
    groups = _by_group(sessions.filter(pl.col(scope) != "unknown"), scope, "expected")
    observed = groups["observed"]
    return groups.select(
        pl.lit(scope).alias("scope"),
        "scope_id",
        pl.col("observed").alias("events"),
        pl.Series("expected", _like_others(observed.to_numpy(), groups["expected"].to_numpy())),
        pl.Series("others", observed.sum() - observed),
    )


def statistic_of(groups: pl.DataFrame) -> np.ndarray:
    """Log-likelihood ratio of an excess over the other groups, which are a sample themselves."""
    return maxsprt.conditional_poisson_llr(
        groups["events"], groups["expected"], groups["others"], groups["others"].cast(pl.Float64)
    )


def _looks_now(groups: pl.DataFrame, as_of: dt.datetime) -> pl.DataFrame:
    """A look at each group; `look` and `signal` are those of the last one, null where there was none."""
    critical = PLAN.critical_value.critical_value
    assert critical is not None
    events, expected = groups["events"].to_numpy(), groups["expected"].to_numpy().astype(float)
    statistic = column("statistic", statistic_of(groups))
    within = (expected > 0) & (expected <= PLAN.horizon) & (events >= PLAN.minimum_events)
    crossed = pl.Series(within & (statistic.fill_null(0.0).to_numpy() >= critical))
    spent, _ = _by_expected()
    return groups.with_columns(
        look=pl.col("look").fill_null(0) + 1,
        as_of=pl.lit(as_of, dtype=INSTANT),
        relative_risk=column("relative_risk", events / np.where(expected > 0, expected, np.nan)),
        statistic=statistic,
        critical_value=pl.lit(critical),
        alpha_spent=pl.Series(np.interp(expected, *spent)),
        signal=pl.col("signal").fill_null(False) | crossed,
        reason=reasons(
            len(expected),
            (expected > PLAN.horizon, "beyond the horizon: this surveillance has ended"),
            (expected <= 0, "nothing expected yet"),
        ),
    ).select("scope", "scope_id", *LOOK)


def _watched(card: MetricCard, seen: pl.DataFrame, start: dt.datetime, as_of: dt.datetime) -> pl.DataFrame:
    lower, upper = intervals.garwood(seen["events"], level=card.level)
    expected = seen["expected"].to_numpy()
    _, (points, ratios) = _by_expected()
    at = np.log(np.clip(expected, points[0], PLAN.horizon))
    detectable = np.where(
        expected >= points[0], np.exp(np.interp(at, np.log(points), np.log(ratios))), np.nan
    )
    over = pl.when(pl.col("expected") > 0).then(pl.col("expected"))
    found = seen.with_columns(
        observed=pl.col("events"),
        value=pl.col("relative_risk"),
        lower=lower / over,
        upper=upper / over,
        threshold=pl.col("critical_value"),
        detectable_ratio=column("detectable_ratio", detectable),
        flag=pl.when("signal").then(pl.lit("high")),
        method=pl.lit("poisson-maxsprt"),
        reason=pl.when(over.is_null()).then(pl.lit("nothing expected")),
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


@lru_cache(maxsize=1)
def _by_expected() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """By expected number up to the horizon: alpha spent, and the smallest ratio found with 80 % power by
    then.
    """
    points = np.geomspace(0.02, PLAN.horizon, 60)
    spent = np.array([0.0, *(PLAN.alpha_spent(point) for point in points)])
    found = [(point, PLAN.ending_at(point)) for point in points]
    known = [(point, ratio) for point, ratio in found if ratio is not None]
    return (np.array([0.0, *points]), spent), (
        np.array([p for p, _ in known]),
        np.array([r for _, r in known]),
    )


# ── reporting ───────────────────────────────────────────────────────────────────────────────────────────


def adverse_event_reporting(
    sessions: pl.DataFrame, *, start: dt.datetime, as_of: dt.datetime
) -> pl.DataFrame:
    """Each clinic's events against patients elsewhere with as many sessions, RESULT; the flag is under or
    over.

    `sessions`: SESSION. p is of the side the clinic lies on, one-sided. Of sessions at the same moment those
    with fewer events come first. Source: see the card.
    """
    card = cards.ADVERSE_EVENT_REPORTING
    found = reporting(sessions, order=("completed_at", "events"))
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
