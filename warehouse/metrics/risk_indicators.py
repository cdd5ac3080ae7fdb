"""Key risk indicators: which group lies outside what chance, and ordinary differences, would give?

observed, expected per group -> z and exact p -> over-dispersion -> q by false discovery rate -> flag
A flag is where a person should look. It is not proof of harm.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import optimize, special, stats

from producers.contracts.errors import CheckFailed
from warehouse.metrics import exact_tests, intervals
from warehouse.metrics.values import (
    Numbers,
    chosen,
    column,
    counts,
    exposures,
    numbers,
    of_trials,
    positive,
    probabilities,
    reasons,
    share,
    together,
)

# ── funnel limits ───────────────────────────────────────────────────────────────────────────────────────


def funnel_limits(
    sizes: Numbers,
    *,
    target: float,
    kind: str = "proportion",
    level: float = 0.95,
    method: str = "exact",
    multiplicative: float = 1.0,
    additive: float = 0.0,
) -> pl.DataFrame:
    """Control limits around the target, one row per size: `size`, `level`, `lower`, `upper`.

    `kind`: proportion (sizes are trials), rate (exposure) or ratio (expected numbers, target usually 1).
    `method`:
    - exact: counts; what lies strictly outside is at most as likely as the level says, on each side;
    - interpolated: Spiegelhalter's smooth limits between two counts; above them lies a little more than the
      level says, most where little is expected;
    - normal. Over-dispersion widens these: `multiplicative` is phi, `additive` tau, the standard deviation
      between groups on the scale of the target.
    Size 0 has no limits: null. Raises CheckFailed.
    Source: Spiegelhalter, Statistics in Medicine 24 (2005) 1185-1202, appendices A.1 and A.2.
    """
    chosen(kind, "kind", ("proportion", "rate", "ratio"))
    chosen(method, "method", ("exact", "interpolated", "normal"))
    if method != "normal" and (multiplicative != 1.0 or additive != 0.0):
        raise CheckFailed("method: only normal limits know over-dispersion; or adjust the z-scores")
    n, tail = exposures(sizes, "sizes"), (1 - share(level, "level")) / 2
    if kind == "proportion":
        probabilities(target, "target")
    positive(target + 1, "target")
    some = n > 0
    safe = np.where(some, n, 1.0)
    if method == "normal":
        spread = target * (1 - target) if kind == "proportion" else target
        error = np.sqrt(multiplicative * spread / safe + additive**2)
        lower, upper = (target + stats.norm.ppf(p) * error for p in (tail, 1 - tail))
    else:
        smooth = method == "interpolated"
        lower, upper = (_count_at(p, safe, target, kind, smooth) / safe for p in (tail, 1 - tail))
    top = 1.0 if kind == "proportion" else np.inf
    return pl.DataFrame(
        [
            pl.Series("size", n),
            pl.Series("level", np.full(len(n), level)),
            column("lower", np.clip(lower, 0.0, top), some),
            column("upper", np.clip(upper, 0.0, top), some),
        ]
    )


def _count_at(p: float, n: np.ndarray, target: float, kind: str, smooth: bool) -> np.ndarray:
    """The quantile of the count; `smooth` makes it continuous."""
    spread = stats.binom(n, target) if kind == "proportion" else stats.poisson(n * target)
    at = spread.ppf(p)
    if not smooth:
        return np.maximum(at, 0.0)
    above, below = spread.cdf(at), spread.cdf(at - 1)
    width = above - below
    return np.maximum(at - np.where(width > 0, (above - p) / np.where(width > 0, width, 1), 0.0), 0.0)


# ── over-dispersion ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class OverDispersion:
    """How much more groups differ than chance makes them.

    `phi`: mean square of the z-scores after the outermost were drawn in; 1 is chance. `tau`: standard
    deviation between groups on the scale of the errors given; 0 where phi does not exceed what chance gives.
    """

    phi: float
    tau: float
    groups: int


def winsorise(z: Numbers, *, proportion: float = 0.1) -> np.ndarray:
    """The outermost `proportion` of values at each end drawn in to the quantile there.

    Source: Spiegelhalter (2005), section 3.3: the lowest and the highest 10 per cent of z-scores.
    """
    values = numbers(z, "z")
    if not 0 <= proportion < 0.5:
        raise CheckFailed("proportion: must lie between 0 and 0.5")
    if not len(values):
        return values
    low, high = np.quantile(values, [proportion, 1 - proportion])
    return np.clip(values, low, high)


def trim(z: Numbers, *, proportion: float = 0.1) -> np.ndarray:
    """Without the outermost `proportion` of values at each end."""
    values = numbers(z, "z")
    if not 0 <= proportion < 0.5:
        raise CheckFailed("proportion: must lie between 0 and 0.5")
    cut = int(np.floor(len(values) * proportion))
    return np.sort(values)[cut : len(values) - cut]


def over_dispersion(
    z: Numbers,
    errors: Numbers | None = None,
    *,
    outliers: str = "winsorise",
    proportion: float = 0.1,
    consistent: bool = False,
) -> OverDispersion:
    """Phi and tau from z-scores and the standard errors they were made with (1 without them).

    `outliers`: winsorise, trim or keep; so that the groups one looks for do not hide themselves. Winsorising
    and trimming make phi too small: under mere chance about 0.68 and 0.44 at 10 per cent. Without
    `consistent` phi is as Spiegelhalter defines it; with it, it is divided by what a normal distribution
    would give, so that it is 1 under chance. tau is 0 unless phi exceeds (groups - 1) / groups. Raises
    CheckFailed. Source: Spiegelhalter, Quality and Safety in Health Care 14 (2005) 347-351; tau by
    DerSimonian and Laird's moments, Controlled Clinical Trials 7 (1986) 177-188.
    """
    chosen(outliers, "outliers", ("winsorise", "trim", "keep"))
    values = numbers(z, "z")
    s = np.ones(len(values)) if errors is None else exposures(errors, "errors")
    values, s = together(z=values, errors=s)
    if (s == 0).any():
        raise CheckFailed("errors: must be positive")
    if len(values) < 2:
        return OverDispersion(1.0, 0.0, len(values))
    if outliers == "trim":
        inner = np.argsort(values)[
            int(len(values) * proportion) : len(values) - int(len(values) * proportion)
        ]
        kept, s = values[inner], s[inner]
    else:
        kept = winsorise(values, proportion=proportion) if outliers == "winsorise" else values
    groups = len(kept)
    phi = float((kept**2).mean()) / (_normal_mean_square(outliers, proportion) if consistent else 1.0)
    w = 1 / s**2
    excess = groups * phi - (groups - 1)
    scale = w.sum() - (w**2).sum() / w.sum()
    tau2 = excess / scale if excess > 0 and scale > 0 else 0.0
    return OverDispersion(phi, float(np.sqrt(tau2)), groups)


def _normal_mean_square(outliers: str, proportion: float) -> float:
    """Mean square of standard normal values after winsorising or trimming."""
    if outliers == "keep" or proportion == 0:
        return 1.0
    a = -stats.norm.ppf(proportion)
    inside = 1 - 2 * proportion - 2 * a * stats.norm.pdf(a)
    return float(inside / (1 - 2 * proportion) if outliers == "trim" else inside + 2 * proportion * a**2)


# ── false discovery rate ────────────────────────────────────────────────────────────────────────────────


def benjamini_hochberg(p: Numbers) -> np.ndarray:
    """q-values: the false discovery rate at which each p would be rejected, for tests that are independent.

    Source: Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995) 289-300.
    """
    values = probabilities(p, "p")
    n = len(values)
    order = np.argsort(values, kind="stable")[::-1]
    ranked = np.minimum.accumulate(values[order] * n / np.arange(n, 0, -1))
    q = np.empty(n)
    q[order] = np.minimum(ranked, 1.0)
    return q


def benjamini_yekutieli(p: Numbers) -> np.ndarray:
    """q-values that hold however the tests depend on each other; larger by the sum of 1 / rank.

    Source: Benjamini and Yekutieli, Annals of Statistics 29 (2001) 1165-1188.
    """
    values = probabilities(p, "p")
    return np.minimum(benjamini_hochberg(values) * (1 / np.arange(1, len(values) + 1)).sum(), 1.0)


def hierarchical_fdr(tests: pl.DataFrame, *, level: float = 0.05) -> pl.DataFrame:
    """Groups within groups: clinic, its operators, their lots. `tests` with `q` and `rejected` added.

    `tests`: `id`, `parent` (null at the top; otherwise another row's id) and `p`. The children of a group are
    tested only where the group itself was rejected, each family by Benjamini and Hochberg at `level` times
    the share of its parent's family that was rejected; q is the smallest such level, null where not tested.
    Raises CheckFailed. Source: Benjamini and Bogomolov, Journal of the Royal Statistical Society B 76 (2014)
    297-318; the tree: Bogomolov, Peterson, Benjamini and Sabatti, Biometrika 108 (2021) 575-590.
    """
    for name in ("id", "parent", "p"):
        if name not in tests.columns:
            raise CheckFailed(f"tests.{name}: column is missing")
    ids, parents = tests["id"].to_list(), tests["parent"].to_list()
    p = probabilities(tests["p"], "tests.p")
    share(level, "level")
    if None in ids or len(set(ids)) < len(ids):
        raise CheckFailed("tests.id: must be unique and not null")
    if unknown := set(parents) - {None, *ids}:
        raise CheckFailed(f"tests.parent: names {len(unknown)} ids that are not there")
    families: dict[object, list[int]] = {}
    for row, parent in enumerate(parents):
        families.setdefault(parent, []).append(row)
    q, rejected = np.full(len(ids), np.nan), np.zeros(len(ids), dtype=bool)
    waiting: list[tuple[object, float]] = [(None, 1.0)]
    seen = 0
    while waiting:
        parent, part = waiting.pop()
        rows = families.get(parent, [])
        if not rows:
            continue
        seen += len(rows)
        q[rows] = np.minimum(benjamini_hochberg(p[rows]) / part, 1.0)
        rejected[rows] = q[rows] <= level
        chosen_share = part * rejected[rows].mean()
        waiting += [(ids[row], chosen_share) for row in rows if rejected[row]]
    return tests.with_columns(column("q", q), pl.Series("rejected", rejected))


# ── the indicator ───────────────────────────────────────────────────────────────────────────────────────

INDICATOR: dict[str, pl.DataType] = {
    "observed": pl.Int64(),
    "expected": pl.Float64(),
    "value": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "method": pl.String(),
    "statistic": pl.Float64(),
    "p": pl.Float64(),
    "q": pl.Float64(),
    "flag": pl.String(),
    "reason": pl.String(),
}
"""Added to each group: O/E with exact interval, adjusted z, p and q, and the flag: high, low or null."""


@dataclass(frozen=True)
class Thresholds:
    """When a group is flagged. Asymmetric on purpose: too few is a question, too many may be harm.

    `q_high`, `q_low`: largest q that flags; null turns that side off. `ratio_high`, `ratio_low`: O/E that
    must be reached as well. `minimum_observed`: fewer events never flag high. `minimum_expected`: fewer
    expected never flag low.
    """

    q_high: float | None = 0.05
    q_low: float | None = None
    ratio_high: float = 1.0
    ratio_low: float = 1.0
    minimum_observed: int = 3
    minimum_expected: float = 3.0


def z_scores(
    observed: Numbers, expected: Numbers, *, transformation: str = "square-root"
) -> tuple[np.ndarray, np.ndarray]:
    """z-score of each observed number and the standard error of O/E behind it, on the transformed scale.

    `transformation`: square-root (2 (sqrt(O) - sqrt(E)), which keeps the variance at 1), none
    ((O - E) / sqrt(E)), or quantile (the normal quantile of the exact Poisson mid-p, right in both tails even
    where little is expected; error as for square-root). Rows in which nothing was expected get z 0 and a
    large error. Raises CheckFailed. Source: Spiegelhalter (2005), appendix A.2; square root: Bartlett,
    Biometrics 3 (1947) 39-52.
    """
    chosen(transformation, "transformation", ("square-root", "none", "quantile"))
    o, e = together(observed=counts(observed, "observed"), expected=exposures(expected, "expected"))
    safe = np.where(e > 0, e, 1.0)
    error = 1 / np.sqrt(safe) if transformation == "none" else 1 / (2 * np.sqrt(safe))
    if transformation == "square-root":
        z = 2 * (np.sqrt(o) - np.sqrt(e))
    elif transformation == "none":
        z = (o - e) / np.sqrt(safe)
    else:
        upper, lower = exact_tests.poisson_tails(o, safe)
        half = np.exp(exact_tests.poisson_log(o, safe)) / 2
        low = lower <= upper
        z = special.ndtri(np.clip(np.where(low, lower, upper) - half, 1e-300, 0.5)) * np.where(low, 1, -1)
    return np.where(e > 0, z, 0.0), np.where(e > 0, error, 1e6)


def key_risk_indicator(
    groups: pl.DataFrame,
    *,
    method: str = "exact",
    dispersion: str = "none",
    outliers: str = "winsorise",
    thresholds: Thresholds | None = None,
    level: float = 0.95,
    family: str | None = None,
) -> pl.DataFrame:
    """Each group against what was expected of it: `groups` with INDICATOR added, in the same order.

    `groups`: `observed` (whole) and `expected` (not negative), one row per group. p is two-sided, twice the
    smaller tail. `method`:
    - exact: Poisson; right for rare events, cautious because counts are whole;
    - mid-p: the same counting what was seen by half; near its level on average, not guaranteed;
    - normal: the z-score, by the normal quantile of mid-p, then scaled by the over-dispersion.
    `dispersion`: estimated from the groups themselves, winsorised: none; multiplicative (z / sqrt(phi), phi
    at least 1); additive (a spread tau between groups is ordinary: z shrinks for normal, and the exact
    methods use the negative binomial with variance E + tau^2 E^2). q is Benjamini and Hochberg's over all
    groups, or within each value of the column `family`. A group with nothing expected is not tested and has a
    reason. Raises CheckFailed. Source: central monitoring as Zink, Castelloe et al. in TransCelerate (2014);
    Spiegelhalter (2005).
    """
    chosen(method, "method", ("exact", "mid-p", "normal"))
    chosen(dispersion, "dispersion", ("none", "multiplicative", "additive"))
    for name in ("observed", "expected", *([family] if family else [])):
        if name not in groups.columns:
            raise CheckFailed(f"groups.{name}: column is missing")
    o, e = counts(groups["observed"], "groups.observed"), exposures(groups["expected"], "groups.expected")
    known = e > 0
    z, errors = z_scores(o, e, transformation="quantile")
    found = over_dispersion(z[known], errors[known], outliers=outliers, consistent=True)
    tau = _between_groups(o[known], e[known], outliers) if dispersion == "additive" else 0.0
    if dispersion == "multiplicative":
        z = z / np.sqrt(max(found.phi, 1.0))
    elif dispersion == "additive":
        # On the square-root scale the ratio's spread tau becomes tau / 2.
        z = z * errors / np.hypot(errors, tau / 2)
    if method == "normal":
        p = 2 * special.ndtr(-np.abs(z))
    elif dispersion == "multiplicative":
        p = _two_tails(o, e, max(found.phi - 1, 0.0) / np.where(known, e, 1.0), method == "mid-p")
    else:
        p = _two_tails(o, e, np.full(len(o), tau**2), method == "mid-p")
    if tau > 0 or (dispersion == "multiplicative" and found.phi > 1):
        p = _as_estimated(p, int(known.sum()), outliers)
    p = np.where(known, p, np.nan)
    q = _q_values(p, groups[family].to_numpy() if family else np.zeros(len(p)))
    lower, upper, _ = intervals.poisson(o, level=level, method="garwood")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, low, high = (np.where(known, x / e, np.nan) for x in (o, lower.to_numpy(), upper.to_numpy()))
    name = {"exact": "poisson-exact", "mid-p": "poisson-mid-p", "normal": "normal"}[method]
    return groups.with_columns(
        pl.Series("observed", o, dtype=pl.Float64).cast(pl.Int64),
        pl.Series("expected", e),
        column("value", ratio),
        column("lower", low),
        column("upper", high),
        pl.Series("level", np.full(len(o), level)),
        pl.Series(
            "method", [name + ("" if dispersion == "none" else f"+{dispersion}")] * len(o), dtype=pl.String
        ),
        column("statistic", np.where(known, z, np.nan)),
        column("p", p),
        column("q", q),
        flags(ratio, q, o, e, thresholds or Thresholds()),
        reasons(len(o), (~known, "nothing expected")),
    )


def flags(
    ratio: np.ndarray, q: np.ndarray, observed: np.ndarray, expected: np.ndarray, thresholds: Thresholds
) -> pl.Series:
    """high, low or null for each group."""
    t = thresholds
    high = np.zeros(len(q), dtype=bool) if t.q_high is None else np.nan_to_num(q, nan=1.0) <= t.q_high
    low = np.zeros(len(q), dtype=bool) if t.q_low is None else np.nan_to_num(q, nan=1.0) <= t.q_low
    ratio = np.nan_to_num(ratio, nan=1.0)
    high &= (ratio > 1) & (ratio >= t.ratio_high) & (observed >= t.minimum_observed)
    low &= (ratio < 1) & (ratio <= t.ratio_low) & (expected >= t.minimum_expected)
    return reasons(len(q), (high, "high"), (low, "low")).alias("flag")


def _as_estimated(p: np.ndarray, groups: int, outliers: str) -> np.ndarray:
    """The same z as Student's t: the over-dispersion was estimated from the inner groups only."""
    freedom = max(groups * (1.0 if outliers == "keep" else 0.8) - 1, 1.0)
    return 2 * special.stdtr(freedom, special.ndtri(np.clip(p / 2, 1e-300, 0.5)))


def _q_values(p: np.ndarray, families: np.ndarray) -> np.ndarray:
    q = np.full(len(p), np.nan)
    tested = np.isfinite(p)
    for family in np.unique(families):
        rows = np.flatnonzero((families == family) & tested)
        q[rows] = benjamini_hochberg(p[rows])
    return q


def _two_tails(o: np.ndarray, e: np.ndarray, spread: np.ndarray, mid_p: bool) -> np.ndarray:
    """Twice the smaller tail of the Poisson (spread 0) or negative binomial with variance E + spread E^2."""
    wide = spread * e > 1e-9
    size = 1 / np.where(wide, spread, 1.0)
    chance = size / (size + e)
    nb_upper = np.where(o > 0, special.betainc(np.maximum(o, 1), size, 1 - chance), 1.0)
    nb_lower = special.betainc(size, o + 1, chance)
    nb_seen = np.exp(
        special.gammaln(size + o)
        - special.gammaln(size)
        - special.gammaln(o + 1)
        + size * np.log(chance)
        + special.xlog1py(o, -chance)
    )
    upper, lower = exact_tests.poisson_tails(o, e)
    seen = np.where(wide, nb_seen, np.exp(exact_tests.poisson_log(o, e)))
    upper, lower = np.where(wide, nb_upper, upper), np.where(wide, nb_lower, lower)
    if mid_p:
        upper, lower = upper - seen / 2, lower - seen / 2
    return np.clip(2 * np.minimum(upper, lower), 0.0, 1.0)


def _between_groups(o: np.ndarray, e: np.ndarray, outliers: str) -> float:
    """Standard deviation of the true ratios between groups: with it, the residuals have mean square 1.

    Each residual is divided by its own standard deviation, by chance and between groups, before the outermost
    are drawn in; what that takes away from normal values is given back. Groups are compared with what is
    common to them, which costs one degree of freedom. Source: Paule and Mandel, Journal of Research of the
    National Bureau of Standards 87 (1982) 377-385, made robust by winsorising.
    """
    groups, total = len(o), e.sum()
    if groups < 3 or o.sum() == 0:
        return 0.0
    mean = e * (o.sum() / total)

    def excess(tau: float) -> float:
        residual = (o - mean) / np.sqrt(mean + (tau * mean) ** 2)
        if outliers != "keep":
            residual = winsorise(residual) if outliers == "winsorise" else trim(residual)
        square = (residual**2).mean() / _normal_mean_square(outliers, 0.1)
        return float(square * groups / (groups - 1) - 1)

    if excess(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(excess, 0.0, 1e3, xtol=1e-6)) if excess(1e3) < 0 else 1e3


def binomial_indicator(
    groups: pl.DataFrame, *, thresholds: Thresholds | None = None, level: float = 0.95, mid_p: bool = False
) -> pl.DataFrame:
    """Each group's proportion against that of all others by Fisher's exact test: `groups` with INDICATOR
    added.

    `groups`: `events` and `trials`, whole. `expected` is the group's trials at the others' proportion;
    `value` is the ratio of the two proportions, with Wilson's limits of the group's own divided by the
    others'. Raises CheckFailed. Source: Fisher (1935), as for rare events in central monitoring.
    """
    for name in ("events", "trials"):
        if name not in groups.columns:
            raise CheckFailed(f"groups.{name}: column is missing")
    x, n = of_trials(groups["events"], groups["trials"], ("groups.events", "groups.trials"))
    rest, others = x.sum() - x, n.sum() - n
    known = (n > 0) & (others > 0)
    p = np.where(known, exact_tests.fisher_test(x, n, rest, others, mid_p=mid_p).to_numpy(), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        reference = np.where(known & (rest > 0), rest / others, np.nan)
        expected = np.where(known, n * rest / others, 0.0)
        ratio = x / n / reference
        z = (x - expected) / np.sqrt(np.where(expected > 0, expected * (1 - rest / others), np.nan))
    lower, upper = intervals.wilson(x, n, level=level)
    q = _q_values(p, np.zeros(len(p)))
    # Where no one else has an event the ratio is infinite: it flags as high, though it has no value.
    beyond = np.where(known & (rest == 0) & (x > 0), np.inf, ratio)
    flag = flags(np.where(np.isposinf(beyond), 1e300, beyond), q, x, expected, thresholds or Thresholds())
    return groups.with_columns(
        pl.Series("observed", x).cast(pl.Int64),
        pl.Series("expected", expected),
        column("value", ratio),
        column("lower", lower.to_numpy().astype(float) / reference),
        column("upper", upper.to_numpy().astype(float) / reference),
        pl.Series("level", np.full(len(x), level)),
        pl.Series("method", ["fisher-mid-p" if mid_p else "fisher"] * len(x), dtype=pl.String),
        column("statistic", z),
        column("p", p),
        column("q", q),
        flag,
        reasons(
            len(x),
            (n == 0, "nobody in the group"),
            (others == 0, "only one group: nothing to compare with"),
            (rest == 0, "no events in the other groups: the ratio has no value"),
        ),
    )
