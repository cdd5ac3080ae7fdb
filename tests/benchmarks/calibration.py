"""How often the safety methods are wrong when nothing is wrong, and right when something is.

    python -m tests.benchmarks.calibration --worlds 200 [--seed 1] [--markdown]

Simulated worlds with nothing planted give false-alarm rates with their intervals beside the nominal ones;
worlds with one planted truth give power, rank of the culprit and time to detection; random draws give the
coverage of every interval. The clinics' parameters are those of the simulator; the worlds are drawn as
session rows. One JSON document, or the table of the README.
"""

import argparse
import datetime as dt
import json
import time
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from scipy import stats

from warehouse.metrics import comparisons, cusum, intervals, maxsprt, safety
from warehouse.metrics import disproportionality as signals_of_reports
from warehouse.metrics import risk_indicators as kri
from warehouse.metrics.reporting import reporting
from warehouse.metrics.trends import cochran_armitage, poisson_trend

END = dt.datetime(2026, 11, 18, tzinfo=dt.UTC)
START = END - dt.timedelta(days=365)
CLINICS, OPERATORS, SESSIONS = 12, 4, 300
"""Clinics, operators in each, and sessions of each clinic in the year [assumptions]."""
LOT_SESSIONS = 150
"""Sessions of one cartridge lot: lots of 100 to 300."""
LEVEL = 0.99
"""Of the intervals around measured rates: with some forty rows, 95 % would exclude two true ones by chance.
"""


@dataclass(frozen=True)
class Rate:
    """A measured share beside its nominal one. `verdict`: as nominal, conservative (below it), or DEFECT."""

    family: str
    method: str
    nominal: float
    measured: float
    lower: float
    upper: float
    trials: int

    @property
    def verdict(self) -> str:
        if self.lower > self.nominal:
            return "DEFECT"
        return "conservative" if self.upper < self.nominal else "as nominal"


@dataclass(frozen=True)
class Coverage:
    """Share of intervals that hold the truth. `verdict`: as nominal, conservative (above), or DEFECT."""

    method: str
    setting: str
    nominal: float
    measured: float
    lower: float
    upper: float
    trials: int

    @property
    def verdict(self) -> str:
        if self.upper < self.nominal:
            return "DEFECT"
        return "conservative" if self.lower > self.nominal else "as nominal"


@dataclass(frozen=True)
class Power:
    """How a planted truth fares: flagged, first by p among its kind, days from start to signal
    (sequential)."""

    truth: str
    size: str
    method: str
    power: float
    lower: float
    upper: float
    first: float | None
    median_days: float | None
    worlds: int


def share_of(hits: int, trials: int) -> tuple[float, float, float]:
    lower, upper = intervals.clopper_pearson(hits, trials, level=LEVEL)
    return hits / trials, lower[0], upper[0]


def rate(family: str, method: str, nominal: float, hits: list[bool]) -> Rate:
    return Rate(family, method, nominal, *share_of(int(sum(hits)), len(hits)), len(hits))


def mean_rate(family: str, method: str, nominal: float, shares: list[float]) -> Rate:
    """Of tests that depend on each other within a world: the worlds' shares are the trials."""
    mean, deviation = float(np.mean(shares)), float(np.std(shares, ddof=1))
    half = stats.t.ppf((1 + LEVEL) / 2, len(shares) - 1) * deviation / np.sqrt(len(shares))
    return Rate(family, method, nominal, mean, max(mean - half, 0.0), mean + half, len(shares))


# ── worlds ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Plant:
    """One planted truth: factors on the odds of an event, or on the chance that it is reported."""

    lot: float = 1.0
    firmware: float = 1.0
    operator: float = 1.0
    reported: float = 1.0
    over_reported: float = 1.0
    bad_mix: bool = False


def world(rng: np.random.Generator, plant: Plant | None = None) -> pl.DataFrame:
    """One year of sessions, SESSION. Planted things are lot-05, firmware 2.0, clinic c03 and its
    operator o1."""
    plant = plant or Plant()
    n = CLINICS * SESSIONS
    clinic = np.repeat(np.arange(CLINICS), SESSIONS)
    day = np.sort(rng.uniform(0, 350, (CLINICS, SESSIONS)), axis=1).ravel()
    patient = rng.integers(0, SESSIONS // 3, n)
    mix = np.array([0.15, 0.2, 0.48, 0.08, 0.06, 0.03])
    skin = rng.choice(6, n, p=mix) + 1
    if plant.bad_mix:
        skin = np.where(clinic == 3, rng.choice([3, 4, 5, 6], n, p=[0.1, 0.2, 0.4, 0.3]), skin)
    depth = rng.choice([0.5, 1.0, 1.5, 2.0, 2.5], n, p=[0.2, 0.25, 0.3, 0.15, 0.1])
    age = rng.choice(["18-29", "30-39", "40-49", "50-59"], n)
    indication = rng.choice(["acne-scars", "wrinkles", "pores"], n, p=[0.4, 0.4, 0.2])
    operator = rng.integers(0, OPERATORS, n)
    order = np.argsort(day, kind="stable")
    lot = np.empty(n, dtype=int)
    # Lots are used up one after the other, three at a time over the network.
    lot[order] = (np.arange(n) // (3 * LOT_SESSIONS)) * 3 + rng.integers(0, 3, n)
    rollout = 100 + rng.permutation(CLINICS)[clinic] * 5
    firmware = np.where(day > rollout, "2.0", np.where(day > rollout - 80, "1.1", "1.0"))
    pih = np.array([0.001, 0.002, 0.008, 0.02, 0.035, 0.04])[skin - 1] * 1.5 ** np.maximum(depth - 1, 0)
    risk = pih + 0.01 + 0.012 * (indication == "acne-scars")
    odds = risk / (1 - risk)
    odds = odds * np.where(lot == 5, plant.lot, 1.0)
    odds = odds * np.where((firmware == "2.0") & (skin >= 4), plant.firmware, 1.0)
    odds = odds * np.where((clinic == 3) & (operator == 1), plant.operator, 1.0)
    odds = odds * np.where(clinic == 3, plant.over_reported, 1.0)
    event = rng.random(n) < odds / (1 + odds)
    event &= (clinic != 3) | (rng.random(n) < plant.reported)
    name = [f"c{c:02d}" for c in clinic]
    return pl.DataFrame(
        {
            "clinic_id": name,
            "session_id": [f"s{i}" for i in range(n)],
            "patient_key": patient.astype(str),
            "completed_at": pl.Series(day * 86_400e6).cast(pl.Int64).cast(pl.Duration("us")),
            "operator": [f"{c}/o{o}" for c, o in zip(name, operator, strict=True)],
            "protocol": indication,
            "device": [f"{c}/d{d}" for c, d in zip(name, rng.integers(0, 3, n), strict=True)],
            "firmware": firmware,
            "cartridge_lot": [f"lot-{x:02d}" for x in lot],
            "skin_type": skin.astype(str),
            "indication": indication,
            "area": rng.choice(["face", "neck"], n),
            "depth_band": depth.astype(str),
            "age_band": age,
            "events": event.astype(np.int64),
            "followed_up": np.ones(n, dtype=bool),
        }
    ).with_columns(completed_at=(pl.lit(START) + pl.col("completed_at")).dt.cast_time_unit("us"))


def ratio(sessions: pl.DataFrame, scope: str) -> pl.DataFrame:
    return safety.adverse_event_ratio(sessions, scope, start=START, as_of=END)


def first_signals(sessions: pl.DataFrame, scope: str) -> dict[str, float | None]:
    """Day of the first weekly look that signals, for each watched group; null for those that never do."""
    plan = safety.PLAN
    critical = plan.critical_value.critical_value
    assert critical is not None
    signalled: dict[str, float | None] = {}
    begun: dict[str, float] = {}
    week = ((sessions["completed_at"] - START).dt.total_days() // 7 + 1) * 7
    for day in sorted(week.unique()):
        groups = safety.watched_groups(sessions.filter(week <= day), scope)
        events, expected = groups["events"].to_numpy(), groups["expected"].to_numpy()
        crossed = (safety.statistic_of(groups) >= critical) & (events >= plan.minimum_events)
        crossed &= (expected <= plan.horizon) & (expected > 0)
        for name, hit in zip(groups["scope_id"], crossed, strict=True):
            begun.setdefault(name, day)
            if hit and signalled.get(name) is None:
                signalled[name] = float(day - begun[name] + 7)
            signalled.setdefault(name, None)
    return signalled


# ── nothing planted ─────────────────────────────────────────────────────────────────────────────────────


def null_worlds(rng: np.random.Generator, worlds: int) -> list[Rate]:
    """The cards as they run: per family of groups, and per lot and firmware under surveillance."""
    # Skin types do differ in truth, so they cannot give a false alarm; protocols are the model's indications.
    scopes = [scope for scope in safety.SCOPES if scope not in ("skin_type", "protocol")]
    any_flag: dict[str, list[bool]] = {scope: [] for scope in scopes}
    per_test: dict[str, list[float]] = {scope: [] for scope in scopes}
    per_watch: dict[str, list[float]] = {scope: [] for scope in safety.WATCHED}
    report: dict[str, list] = {"any": [], "under": [], "over": []}
    for _ in range(worlds):
        raw = world(rng)
        sessions, _ = safety.with_expected(raw)
        for scope in scopes:
            rows = ratio(sessions, scope)
            any_flag[scope].append(rows["flag"].is_not_null().any())
            per_test[scope].append(float((rows["p"] <= 0.05).mean() or 0.0))
        for scope in safety.WATCHED:
            signalled = [day is not None for day in first_signals(sessions, scope).values()]
            per_watch[scope].append(float(np.mean(signalled)))
        told = reporting(
            raw.sort("completed_at").with_columns(
                session_number=pl.int_range(pl.len()).over("clinic_id", "patient_key")
            )
        )
        report["any"].append(told["flag"].is_not_null().any())
        for side in ("under", "over"):
            report[side].append(float((told[f"p_{side}"] <= 0.05).mean() or 0.0))
    found = [
        rate(f"{s}, any flag in a world", "O/E, q <= 0.05, high only", 0.05, any_flag[s]) for s in any_flag
    ]
    found += [mean_rate(f"{s}, each group", "O/E, mid-p p <= 0.05", 0.05, per_test[s]) for s in per_test]
    found += [
        mean_rate(f"{s}, each", "Poisson MaxSPRT, weekly looks, alpha 0.01", safety.PLAN.alpha, per_watch[s])
        for s in per_watch
    ]
    found.append(
        rate("clinic, any flag in a world", "reporting, exact, q <= 0.05, two sides", 0.1, report["any"])
    )
    found += [
        mean_rate("clinic, each", f"reporting, exact, p_{side} <= 0.05", 0.05, report[side])
        for side in ("under", "over")
    ]
    return found


def null_draws(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Methods on counts drawn to their own assumptions: 40 groups of 1 to 60 expected."""
    found = []
    cases: list[tuple[str, dict, float]] = [
        ("exact", {}, 0.0),
        ("mid-p", {}, 0.0),
        ("normal", {}, 0.0),
        ("exact", {"dispersion": "additive"}, 0.3),
        ("mid-p", {"dispersion": "additive"}, 0.3),
        ("normal", {"dispersion": "additive"}, 0.3),
        ("normal", {"dispersion": "multiplicative"}, 0.0),
        ("exact", {"dispersion": "multiplicative"}, 0.0),
        ("normal", {"dispersion": "multiplicative"}, -2.0),
    ]
    for method, options, spread in cases:
        each, family = [], []
        for _ in range(trials):
            expected = rng.uniform(1, 60, 40)
            # Below 0: a variance of so many times the mean. Above: a spread between groups. 0: chance alone.
            truth = rng.gamma(1 / spread**2, spread**2, 40) if spread > 0 else np.ones(40)
            truth = rng.gamma(expected, 1 / expected) if spread < 0 else truth
            groups = pl.DataFrame({"observed": rng.poisson(truth * expected), "expected": expected})
            rows = kri.key_risk_indicator(groups, method=method, **options)
            each.append(float((rows["p"] <= 0.05).mean() or 0.0))
            family.append(bool((rows["q"] <= 0.05).any()))
        name = method + (f", {options['dispersion']} over-dispersion" if options else "")
        extra = f", spread {spread}" if spread > 0 else f", variance x {-spread:g}" if spread < 0 else ""
        of = f"40 groups{extra}"
        found.append(mean_rate(f"{of}, each", f"indicator, {name}, p <= 0.05", 0.05, each))
        found.append(rate(f"{of}, any", f"indicator, {name}, q <= 0.05", 0.05, family))
    fisher = []
    for _ in range(trials):
        n = rng.integers(20, 400, 12)
        groups = pl.DataFrame({"events": rng.binomial(n, 0.03), "trials": n})
        fisher.append(float((kri.binomial_indicator(groups)["p"] <= 0.05).mean() or 0.0))
    found.append(mean_rate("12 clinics, each", "Fisher, p <= 0.05", 0.05, fisher))
    found += _sequential(rng, trials * 10)
    found += _trends(rng, trials * 5)
    found.append(_reports(rng, trials))
    return found


def _sequential(rng: np.random.Generator, trials: int) -> list[Rate]:
    found = []
    for horizon, minimum in ((5.0, 1), (20.0, 4)):
        critical = maxsprt.poisson_critical_value(horizon, minimum_events=minimum).critical_value
        assert critical is not None
        times = np.cumsum(rng.exponential(1, (trials, int(horizon * 4 + 20))), axis=1)
        k = np.arange(1, times.shape[1] + 1)
        with np.errstate(divide="ignore"):
            llr = np.where(k > times, k * np.log(k / times) - (k - times), 0.0)
        hits = ((llr >= critical) & (times <= horizon) & (k >= minimum)).any(axis=1)
        name = f"Poisson MaxSPRT, alpha 0.05, at least {minimum} events"
        found.append(rate(f"{horizon:g} expected, every event", name, 0.05, hits.tolist()))
        looks = np.linspace(horizon / 10, horizon, 10)
        group = maxsprt.poisson_critical_value(horizon, minimum_events=minimum, looks=looks).critical_value
        counts = np.cumsum(rng.poisson(horizon / 10, (trials, 10)), axis=1)
        llr = maxsprt.poisson_llr(counts.ravel(), np.tile(looks, trials)).reshape(trials, 10)
        hits = ((llr >= group) & (counts >= minimum)).any(axis=1)
        found.append(rate(f"{horizon:g} expected, ten looks", name, 0.05, hits.tolist()))
    critical = maxsprt.binomial_critical_value(60, probability=0.5).critical_value
    cases = np.cumsum(rng.random((trials, 60)) < 0.5, axis=1)
    llr = maxsprt.binomial_llr(cases.ravel(), np.tile(np.arange(1, 61), trials), 0.5).reshape(trials, 60)
    hits = (llr >= critical - 1e-12).any(axis=1)
    found.append(rate("60 events, every event", "binomial MaxSPRT, alpha 0.05", 0.05, hits.tolist()))
    # A chart in control has signalled by patient n with chance 1 - (1 - 1/ARL)^n, nearly.
    mix = cusum.risk_mix([0.02, 0.05, 0.1], [0.5, 0.3, 0.2])
    limit = cusum.risk_adjusted_cusum_limit(500, mix)
    lengths = _run_lengths(rng, mix, limit, trials // 2)
    half = stats.norm.ppf((1 + LEVEL) / 2) * lengths.std() / np.sqrt(len(lengths)) / 500
    mean = lengths.mean() / 500
    found.append(
        Rate(
            "mean run length / wanted",
            "risk-adjusted CUSUM, ARL 500",
            1.0,
            mean,
            mean - half,
            mean + half,
            len(lengths),
        )
    )
    return found


def _run_lengths(rng: np.random.Generator, mix: cusum.RiskMix, limit: float, trials: int) -> np.ndarray:
    height, length, alive, t = np.zeros(trials), np.zeros(trials), np.ones(trials, dtype=bool), 0
    while alive.any():
        t += 1
        risk = rng.choice(mix.risks, int(alive.sum()), p=mix.shares)
        score = cusum.risk_adjusted_scores((rng.random(len(risk)) < risk).astype(int), risk)
        height[alive] = np.maximum(height[alive] + score, 0)
        length[alive] = t
        alive &= height < limit
    return length


def _trends(rng: np.random.Generator, trials: int) -> list[Rate]:
    n, t = np.full(12, 120), np.full(12, 100.0)
    rates = {"Poisson trend": [], "Cochran-Armitage": []}
    for _ in range(trials):
        a, b = poisson_trend(rng.poisson(0.08 * t), t).p, cochran_armitage(rng.binomial(n, 0.08), n).p
        rates["Poisson trend"].append(a is not None and a <= 0.05)
        rates["Cochran-Armitage"].append(b is not None and b <= 0.05)
    return [rate("12 months", f"{name}, p <= 0.05", 0.05, hits) for name, hits in rates.items()]


def _reports(rng: np.random.Generator, trials: int) -> Rate:
    shares = []
    for _ in range(trials):
        reports = pl.DataFrame(
            {
                "report": np.arange(4000),
                "product": [f"p{i}" for i in rng.integers(0, 10, 4000)],
                "event": [f"e{i}" for i in rng.choice(8, 4000, p=np.arange(1, 9) / 36)],
            }
        )
        found = signals_of_reports.disproportionality(signals_of_reports.contingency(reports))
        shares.append(float((found["ic_lower"] > 0).mean() or 0.0))
    return mean_rate("80 pairs, each", "IC, lower 95 % limit above 0", 0.025, shares)


# ── coverage ────────────────────────────────────────────────────────────────────────────────────────────


def coverages(rng: np.random.Generator, trials: int) -> list[Coverage]:
    """Parameters drawn anew for each trial: proportions 0.005 to 0.5 of 10 to 500, means 0.2 to 60."""
    p, n = 10 ** rng.uniform(np.log10(0.005), np.log10(0.5), trials), rng.integers(10, 500, trials)
    q, m = 10 ** rng.uniform(np.log10(0.005), np.log10(0.5), trials), rng.integers(10, 500, trials)
    x, y = rng.binomial(n, p), rng.binomial(m, q)
    mean, other = 10 ** rng.uniform(np.log10(0.2), np.log10(60), (2, trials))
    u, v = rng.poisson(mean), rng.poisson(other)
    ten = rng.poisson(np.maximum(mean, 10))

    def covered(name: str, setting: str, limits: tuple[pl.Series, pl.Series], truth: np.ndarray) -> Coverage:
        lower = limits[0].fill_null(-np.inf).to_numpy()
        upper = limits[1].fill_null(np.inf).to_numpy()
        hits = (lower <= truth) & (truth <= upper)
        return Coverage(name, setting, 0.95, *share_of(int(hits.sum()), len(hits)), len(hits))

    def both(frame: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        return frame["lower"], frame["upper"]

    one = np.ones(trials)
    return [
        covered("Wilson", "proportion", intervals.wilson(x, n), p),
        covered("Clopper-Pearson", "proportion", intervals.clopper_pearson(x, n), p),
        covered("Garwood", "mean 0.2 to 60", intervals.garwood(u), mean),
        covered("Byar", "mean 10 and more", intervals.byar(ten), np.maximum(mean, 10)),
        covered("auto (exact below 10 events)", "mean 0.2 to 60", intervals.poisson(u)[:2], mean),
        covered(
            "rate ratio, exact-conditional",
            "two means",
            both(comparisons.rate_ratio(u, one, v, one)),
            mean / other,
        ),
        covered(
            "rate ratio, mid-p",
            "two means",
            both(comparisons.rate_ratio(u, one, v, one, method="mid-p")),
            mean / other,
        ),
        covered(
            "rate difference, MOVER",
            "two means",
            both(comparisons.rate_difference(u, one, v, one)),
            mean - other,
        ),
        covered(
            "risk difference, Newcombe",
            "two proportions",
            both(comparisons.risk_difference(x, n, y, m)),
            p - q,
        ),
    ]


# ── planted truths ──────────────────────────────────────────────────────────────────────────────────────


def planted(rng: np.random.Generator, worlds: int) -> list[Power]:
    found = []
    for size in (2.0, 3.0, 5.0, 8.0):
        found += _found_by_ratio(
            rng, worlds, "cartridge lot", f"odds x {size:g}", Plant(lot=size), "cartridge_lot", "lot-05"
        )
    for size in (2.0, 4.0):
        name = f"odds x {size:g} in types IV-VI"
        found += _found_by_ratio(rng, worlds, "firmware", name, Plant(firmware=size), "firmware", "2.0")
    for size in (3.0, 6.0):
        found += _found_by_ratio(
            rng, worlds, "operator", f"odds x {size:g}", Plant(operator=size), "operator", "c03/o1"
        )[:1]
    for size in (1.5, 2.0, 3.0):
        found += _found_by_reporting(
            rng, worlds, "over-reporting clinic", f"x {size:g}", Plant(over_reported=size)
        )
    for size in (0.2, 0.4, 0.7):
        found += _found_by_reporting(
            rng, worlds, "under-reporting clinic", f"{size:.0%} reported", Plant(reported=size)
        )
    found += _bad_mix(rng, worlds)
    return found


def _power(
    truth: str, size: str, method: str, hits: list[bool], first: list[bool] | None, days: list[float]
) -> Power:
    measured = share_of(int(sum(hits)), len(hits))
    ranked = float(np.mean(first)) if first is not None else None
    return Power(truth, size, method, *measured, ranked, float(np.median(days)) if days else None, len(hits))


def _found_by_ratio(
    rng: np.random.Generator, worlds: int, truth: str, size: str, plant: Plant, scope: str, culprit: str
) -> list[Power]:
    """By the ratio at the end of the year, and by weekly looks."""
    flagged, first, signalled, days = [], [], [], []
    for _ in range(worlds):
        sessions, _ = safety.with_expected(world(rng, plant))
        rows = ratio(sessions, scope)
        high = rows.filter(pl.col("value") > 1).sort("p")
        flagged.append(culprit in rows.filter(pl.col("flag") == "high")["scope_id"].to_list())
        first.append(high.height > 0 and high["scope_id"][0] == culprit)
        if scope in safety.WATCHED:
            day = first_signals(sessions, scope).get(culprit)
            signalled.append(day is not None)
            days += [day] if day is not None else []
    found = [_power(truth, size, "O/E, q <= 0.05", flagged, first, [])]
    if signalled:
        found.append(_power(truth, size, "Poisson MaxSPRT, weekly", signalled, None, days))
    return found


def _found_by_reporting(
    rng: np.random.Generator, worlds: int, truth: str, size: str, plant: Plant
) -> list[Power]:
    side = "under" if plant.reported < 1 else "over"
    flagged, first = [], []
    for _ in range(worlds):
        sessions = world(rng, plant).sort("completed_at")
        rows = reporting(
            sessions.with_columns(session_number=pl.int_range(pl.len()).over("clinic_id", "patient_key"))
        )
        flagged.append("c03" in rows.filter(pl.col("flag") == side)["clinic_id"].to_list())
        first.append(rows.sort(f"p_{side}")["clinic_id"][0] == "c03")
    return [_power(truth, size, "reporting, q <= 0.05", flagged, first, [])]


def _bad_mix(rng: np.random.Generator, worlds: int) -> list[Power]:
    """A clinic with darker skins and no excess: how often it is wrongly flagged, crude and adjusted."""
    crude, adjusted = [], []
    for _ in range(worlds):
        sessions, _ = safety.with_expected(world(rng, Plant(bad_mix=True)))
        overall = float(sessions["adverse"].mean() or 0.0)
        flat = sessions.with_columns(expected=pl.lit(overall))
        for frame, hits in ((flat, crude), (sessions, adjusted)):
            hits.append(
                "c03" in ratio(frame, "clinic").filter(pl.col("flag") == "high")["scope_id"].to_list()
            )
    truth, size = "bad case mix, no excess", "wrongly flagged"
    return [
        _power(truth, size, "crude rate", crude, None, []),
        _power(truth, size, "O/E, case mix", adjusted, None, []),
    ]


# ── output ──────────────────────────────────────────────────────────────────────────────────────────────


def calibrate(worlds: int, seed: int) -> dict:
    """Everything measured, as plain data."""
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    rates = [*null_worlds(rng, worlds), *null_draws(rng, worlds)]
    coverage = coverages(rng, worlds * 100)
    power = planted(rng, worlds)

    def rows(found: list) -> list[dict]:
        return [asdict(row) | ({"verdict": row.verdict} if hasattr(row, "verdict") else {}) for row in found]

    verdicts = [row.verdict for row in [*rates, *coverage]]
    return {
        "seed": seed,
        "worlds": worlds,
        "level_of_intervals": LEVEL,
        "seconds": round(time.perf_counter() - began, 1),
        "defects": verdicts.count("DEFECT"),
        "false_alarms": rows(rates),
        "coverage": rows(coverage),
        "planted": rows(power),
    }


def markdown(found: dict) -> str:
    """The tables of the README."""

    def line(*cells: object) -> str:
        return "| " + " | ".join(map(str, cells)) + " |"

    def percent(value: float | None) -> str:
        return "" if value is None else f"{value:.1%}"

    out = ["| method | unit | nominal | measured (99 % interval) | |", "|---|---|---|---|---|"]
    for row in found["false_alarms"]:
        measured = f"{percent(row['measured'])} ({percent(row['lower'])} to {percent(row['upper'])})"
        out.append(line(row["method"], row["family"], percent(row["nominal"]), measured, row["verdict"]))
    out += ["", "| interval | setting | nominal | coverage (99 % interval) | |", "|---|---|---|---|---|"]
    for row in found["coverage"]:
        measured = f"{percent(row['measured'])} ({percent(row['lower'])} to {percent(row['upper'])})"
        out.append(line(row["method"], row["setting"], percent(row["nominal"]), measured, row["verdict"]))
    out += [
        "",
        "| planted | size | method | found | ranked first | median days |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["planted"]:
        days = "" if row["median_days"] is None else f"{row['median_days']:.0f}"
        cells = (row["truth"], row["size"], row["method"], percent(row["power"]), percent(row["first"]), days)
        out.append(line(*cells))
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--markdown", action="store_true", help="the README's tables instead of JSON")
    given = parser.parse_args()
    found = calibrate(given.worlds, given.seed)
    print(markdown(found) if given.markdown else json.dumps(found, indent=1))
    if found["defects"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
