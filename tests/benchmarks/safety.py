"""How fast the safety metrics are, beside what a user would otherwise write with scipy and statsmodels.

    python -m tests.benchmarks.safety [--sessions 5000000] [--small]

One JSON document: seconds of each, side by side in one run on the same data, their ratio, and how far the
results are apart. The loops of the alternatives are timed on a part of the rows and scaled up where they
would take minutes; `alternative_rows` says on how many. `--small` runs everything at a hundredth.
"""

import argparse
import datetime as dt
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import statsmodels.api as sm
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.proportion import proportion_confint

from tests.benchmarks.calibration import world
from warehouse.metrics import disproportionality as dispro
from warehouse.metrics import exact_tests, intervals, maxsprt, safety, shrinkage
from warehouse.metrics.reporting import reporting

END = dt.datetime(2026, 11, 18, tzinfo=dt.UTC)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of the best of two runs, so that compiling is not counted."""
    best, found = np.inf, None
    for _ in range(2):
        began = time.perf_counter()
        found = work()
        best = min(best, time.perf_counter() - began)
    return best, found


def once(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def beside(ours: float, theirs: float, rows: int, of: int, apart: float) -> dict[str, Any]:
    scaled = theirs * of / rows
    return {
        "seconds": round(ours, 3),
        "alternative_seconds": round(scaled, 3),
        "alternative_rows": rows,
        "rows": of,
        "ratio": round(scaled / ours, 1),
        "largest_difference": apart,
    }


# ── methods beside their alternatives ───────────────────────────────────────────────────────────────────


def interval_rows(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """Clopper-Pearson and Wilson of `size` rows; the alternative is statsmodels row by row."""
    n = rng.integers(1, 500, size)
    x = rng.binomial(n, 0.05)
    ours, found = timed(lambda: (intervals.clopper_pearson(x, n), intervals.wilson(x, n)))
    part = min(size, 2000)

    def loop() -> list:
        return [
            (*proportion_confint(a, b, 0.05, "beta"), *proportion_confint(a, b, 0.05, "wilson"))
            for a, b in zip(x[:part], n[:part], strict=True)
        ]

    theirs, rows = once(loop)
    mine = np.column_stack([limit.head(part).to_numpy() for pair in found for limit in pair])
    return beside(ours, theirs, part, size, float(np.abs(mine - np.nan_to_num(np.array(rows))).max()))


def fisher_rows(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """Fisher's exact test of `size` tables; the alternative is scipy table by table."""
    n, m = rng.integers(20, 300, (2, size))
    x, y = rng.binomial(n, 0.05), rng.binomial(m, 0.04)
    ours, found = timed(lambda: exact_tests.fisher_test(x, n, y, m))
    part = min(size, 1000)
    theirs, p = once(
        lambda: [
            stats.fisher_exact([[a, b - a], [c, d - c]])[1]
            for a, b, c, d in zip(x[:part], n[:part], y[:part], m[:part], strict=True)
        ]
    )
    return beside(ours, theirs, part, size, float(np.abs(found.head(part).to_numpy() - p).max()))


def disproportionality_reports(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """`size` reports, 500 products, 100 events; the alternative counts with polars, then statsmodels per
    pair.
    """
    reports = pl.DataFrame({"report": rng.integers(0, size, size)}).with_columns(
        product="p" + pl.Series(rng.integers(0, 500, size)).cast(pl.String),
        event="e" + pl.Series(rng.integers(0, 100, size)).cast(pl.String),
    )
    ours, found = timed(lambda: dispro.disproportionality(dispro.contingency(reports)))
    part = min(found.height, 400)

    def loop() -> list:
        total = reports["report"].n_unique()
        rows = []
        for product, event in found.select("product", "event").head(part).iter_rows():
            a = found_pairs[product, event]
            b, c = of_product[product] - a, of_event[event] - a
            table = Table2x2([[a, b], [c, total - a - b - c]])
            rows.append(
                (table.riskratio, *table.riskratio_confint(), table.oddsratio, *table.oddsratio_confint())
            )
        return rows

    began = time.perf_counter()
    distinct = reports.unique()
    found_pairs = {(p, e): n for p, e, n in distinct.group_by("product", "event").len().iter_rows()}
    of_product = dict(reports.group_by("product").agg(pl.col("report").n_unique()).iter_rows())
    of_event = dict(reports.group_by("event").agg(pl.col("report").n_unique()).iter_rows())
    counting = time.perf_counter() - began
    theirs, rows = once(loop)
    names = ["prr", "prr_lower", "prr_upper", "ror", "ror_lower", "ror_upper"]
    mine = found.head(part).select(names).to_numpy()
    result = beside(ours, theirs, part, found.height, float(np.nanmax(np.abs(mine / np.array(rows) - 1))))
    result["alternative_seconds"] = round(counting + theirs * found.height / part, 3)
    result["ratio"] = round(result["alternative_seconds"] / ours, 1)
    return result | {"reports": size}


def ebgm_pairs(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """Fit and EBGM, EB05, EB95 of `size` pairs; the alternative is scipy: nbinom likelihood, brentq per
    quantile.
    """
    first = rng.random(size) < 0.1
    e = rng.lognormal(0, 1.5, size)
    n = rng.poisson(np.where(first, rng.gamma(2.0, 2.0, size), rng.gamma(2.0, 0.4, size)) * e)
    fit_seconds, prior = timed(lambda: shrinkage.fit_gamma_mixture(n, e))
    assert isinstance(prior, shrinkage.GammaMixture), prior
    score_seconds, found = timed(lambda: shrinkage.ebgm(n, e, prior))

    def negative(theta: np.ndarray) -> float:
        a1, b1, a2, b2 = np.exp(theta[:4])
        p = 1 / (1 + np.exp(-theta[4]))
        f = p * stats.nbinom.pmf(n, a1, b1 / (b1 + e)) + (1 - p) * stats.nbinom.pmf(n, a2, b2 / (b2 + e))
        return -float(np.log(np.maximum(f, 1e-300)).sum())

    start = np.array([*np.log([0.2, 0.1, 2.0, 4.0]), np.log(0.5)])
    fit_theirs, done = once(
        lambda: optimize.minimize(negative, start, method="Nelder-Mead", options={"maxiter": 2000})
    )
    part = min(size, 200)

    def quantiles() -> list:
        rows = []
        for i in range(part):
            shapes, rates = (
                (prior.alpha1 + n[i], prior.alpha2 + n[i]),
                (prior.beta1 + e[i], prior.beta2 + e[i]),
            )
            q = float(found["posterior_weight"][i])

            def cdf(x: float, q: float = q, s: tuple = shapes, r: tuple = rates) -> float:
                return q * stats.gamma.cdf(x, s[0], scale=1 / r[0]) + (1 - q) * stats.gamma.cdf(
                    x, s[1], scale=1 / r[1]
                )

            rows.append(
                [optimize.brentq(lambda x, c=cdf, p=p: c(x) - p, 0, 1e4, xtol=1e-12) for p in (0.05, 0.95)]
            )
        return rows

    score_theirs, rows = once(quantiles)
    mine = found.head(part).select("eb05", "eb95").to_numpy()
    scaled = fit_theirs + score_theirs * size / part
    return {
        "fit_seconds": round(fit_seconds, 3),
        "scores_seconds": round(score_seconds, 3),
        "alternative_fit_seconds": round(fit_theirs, 3),
        "alternative_seconds": round(scaled, 3),
        "alternative_rows": part,
        "rows": size,
        "ratio": round(scaled / (fit_seconds + score_seconds), 1),
        "log_likelihood_minus_alternatives": round(prior.log_likelihood + float(done.fun), 4),
        "largest_difference": float(np.abs(mine / np.array(rows) - 1).max()),
    }


def critical_value(horizon: float) -> dict[str, Any]:
    """Critical value of the Poisson MaxSPRT; the alternative carries the same chances in plain
    scipy loops."""
    ours, found = timed(lambda: maxsprt.poisson_critical_value(horizon))
    value = found.critical_value
    assert value is not None

    def spent(cv: float) -> float:
        k, state, before, lost = 1, {0: 1.0}, 0.0, 0.0
        while before < horizon:
            t = optimize.brentq(lambda t, k=k: k * np.log(k / t) - (k - t) - cv, 1e-300, k * (1 - 1e-12))
            t = min(t, horizon)
            after: dict[int, float] = {}
            pmf = stats.poisson.pmf(np.arange(k + 1), t - before)
            for count, chance in state.items():
                for extra in range(k - count):
                    after[count + extra] = after.get(count + extra, 0.0) + chance * pmf[extra]
            lost += sum(state.values()) - sum(after.values())
            state, before, k = after, t, k + 1
        return lost

    theirs, alpha = once(lambda: spent(value))
    # The alternative's search needs about as many evaluations as ours: counted as ten.
    return {
        "horizon": horizon,
        "seconds": round(ours, 3),
        "alternative_seconds": round(theirs * 10, 3),
        "ratio": round(theirs * 10 / ours, 1),
        "largest_difference": abs(alpha - found.alpha),
    }


def reporting_clinics(
    rng: np.random.Generator, clinics: int, patients: int, resamples: int
) -> dict[str, Any]:
    """Bootstrap of every clinic, and the exact form; the alternative is numpy's choice per clinic and
    resample.
    """
    length = 1 + rng.poisson(2, clinics * patients).clip(0, 7)
    patient = np.repeat(np.arange(clinics * patients), length)
    number = np.concatenate([np.arange(k) for k in length])
    clinic = patient // patients
    events = rng.poisson(0.05, len(patient))
    sessions = pl.DataFrame(
        {
            "clinic_id": [f"c{c:04d}" for c in clinic],
            "patient_key": patient,
            "session_number": number,
            "events": events,
        }
    )
    boot_seconds, boot = timed(lambda: reporting(sessions, method="bootstrap", resamples=resamples))
    exact_seconds, exact = timed(lambda: reporting(sessions))
    totals = np.zeros((clinics * patients, 8), dtype=int)
    totals[patient, number] = events
    totals = totals.cumsum(axis=1)
    part = min(clinics, 2)

    def loop() -> None:
        for c in range(part):
            mine = np.arange(c * patients, (c + 1) * patients)
            others = np.setdiff1d(np.arange(clinics * patients), mine)
            pools = {k: totals[others[length[others] >= k], k - 1] for k in range(1, 9)}
            for _ in range(resamples):
                sum(rng.choice(pools[length[i]]) for i in mine)

    theirs, _ = once(loop)
    apart = (boot["p_under"] - exact["p_under"]).abs().max()
    return beside(boot_seconds, theirs, part, clinics, float(apart or 0.0)) | {
        "exact_seconds": round(exact_seconds, 3)
    }


def case_mix_fit(rng: np.random.Generator, sessions: int) -> dict[str, Any]:
    """Expected events of every session; the alternative is statsmodels' GLM on the sessions' dummies."""
    frame = many_sessions(rng, sessions)
    ours, (found, _) = timed(lambda: safety.with_expected(frame))
    part = frame.head(min(sessions, 100_000))
    features = list(safety.CASE_MIX)

    def loop() -> Any:
        dummies = part.select(features).to_dummies(drop_first=True).to_numpy().astype(float)
        return sm.GLM(
            (part["events"] > 0).to_numpy().astype(float),
            sm.add_constant(dummies),
            family=sm.families.Binomial(),
        ).fit()

    theirs, _ = once(loop)
    # Ours fits two models, with and without skin type; the ridge leaves the sums a little apart.
    apart = abs(float(found["expected"].sum() / found["adverse"].sum() - 1))
    return beside(ours, 2 * theirs, part.height, sessions, apart)


def many_sessions(rng: np.random.Generator, sessions: int) -> pl.DataFrame:
    """The calibration's world many times over in 500 clinics and three years; lots and patients of "
    "their own."""
    one = world(rng)
    copies = max(1, -(-sessions // one.height))
    parts = []
    for i in range(copies):
        clinic = pl.format("{}-{}", "clinic_id", pl.lit(i % 42))  # 42 times 12 clinics
        own = [
            pl.format("{}-{}", name, pl.lit(i)).alias(name)
            for name in ("session_id", "cartridge_lot", "patient_key")
        ]
        parts.append(
            one.with_columns(
                *own,
                clinic.alias("clinic_id"),
                *(pl.format("{}-{}", name, pl.lit(i % 42)).alias(name) for name in ("operator", "device")),
                pl.col("completed_at") - dt.timedelta(days=365 * (i % 3)),
            )
        )
    return pl.concat(parts).head(sessions)


def all_metrics(rng: np.random.Generator, sessions: int) -> dict[str, Any]:
    """Every safety card from session rows: seven scopes, surveillance of lots and firmware, reporting."""
    frame = many_sessions(rng, sessions)
    none = pl.DataFrame(schema=safety.WATCH)
    start = END - dt.timedelta(days=3 * 365)
    cpu = time.process_time()
    seconds, found = once(lambda: safety.safety_metrics(frame, none, start=start, as_of=END))
    return {
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "sessions": frame.height,
        "clinics": frame["clinic_id"].n_unique(),
        "rows": found.rows.height,
        "seconds": round(seconds, 2),
        "peak_gib_with_its_input": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    part = 100 if given.small else 1
    found = {
        "seed": given.seed,
        "all_metrics": all_metrics(rng, given.sessions // part),
        "intervals": interval_rows(rng, 100_000 // part),
        "fisher": fisher_rows(rng, 50_000 // part),
        "disproportionality": disproportionality_reports(rng, 4_000_000 // part),
        "ebgm": ebgm_pairs(rng, 50_000 // part),
        "maxsprt": critical_value(400.0 / part),
        "reporting": reporting_clinics(rng, 500 // part, 200, 1000 // part),
        "case_mix": case_mix_fit(rng, 500_000 // part),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
