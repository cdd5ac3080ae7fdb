"""Under- and over-reporting: does a clinic report as many events as patients elsewhere had after as many
sessions?

sessions of patients in order -> cumulative events -> clinic's total against what patients of other clinics
with as many sessions would give -> p for too few and too many, and the first thing to suspect
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import polars as pl
from scipy import special

from producers.contracts.errors import CheckFailed
from warehouse.metrics import exact_tests
from warehouse.metrics.risk_indicators import benjamini_hochberg
from warehouse.metrics.values import chosen, column, counts, reasons, share

REPORTING: dict[str, pl.DataType] = {
    "clinic_id": pl.String(),
    "patients": pl.Int64(),
    "sessions": pl.Int64(),
    "observed": pl.Int64(),
    "expected": pl.Float64(),
    "value": pl.Float64(),
    "method": pl.String(),
    "p_under": pl.Float64(),
    "q_under": pl.Float64(),
    "p_over": pl.Float64(),
    "q_over": pl.Float64(),
    "coverage": pl.Float64(),
    "coverage_p": pl.Float64(),
    "flag": pl.String(),
    "first_suspect": pl.String(),
    "reason": pl.String(),
}
"""One row per clinic. `value` is observed over expected events; `coverage` the share of sessions followed up.
"""


@dataclass(frozen=True)
class _Patients:
    """Patients of one clinic with the same events after the same sessions, in the order of their clinics:
    `number[i]` patients, with `totals[i, n]` events each up to session n + 1. Most patients have no event, so
    that there are far fewer histories than patients."""

    clinics: list[str]
    clinic: np.ndarray
    number: np.ndarray
    length: np.ndarray
    totals: np.ndarray


def reporting(
    sessions: pl.DataFrame,
    *,
    order: Sequence[str] = ("session_number",),
    method: str = "exact",
    resamples: int = 1000,
    seed: int = 1,
    level: float = 0.05,
    smallest_pool: int = 10,
) -> pl.DataFrame:
    """Each clinic's events against those of other clinics' patients with as many sessions, REPORTING.

    `sessions`: one row per session with `clinic_id`, `patient_key` (within the clinic), `session_number` (its
    place in the patient's order; gaps are fine), `events` (whole), and if known `followed_up` (boolean).
    `order`: other columns that say a session's place; only with `events` among them may two places be equal.
    `method`: exact (the distribution of the sum of patients drawn with replacement, by convolution: what the
    bootstrap tends to), bootstrap (`resamples` draws from `seed`) or poisson (the same expected number).
    The other clinics' patients are a sample themselves: both p allow for it. A patient with more sessions
    than `smallest_pool` patients elsewhere is compared up to where so many remain; `flag` is under or over
    where q is at most `level`. `first_suspect` is follow-up coverage where the clinic's is lower by Fisher's
    test at `level`, else reporting. Raises CheckFailed. Source: Koneswarakantha et al., Drug Safety 44 (2021)
    949-955 and Therapeutic Innovation & Regulatory Science (2024), on bootstrapping patients by visits; the
    exact form and the allowance for the pool are worked out here.
    """
    chosen(method, "method", ("exact", "bootstrap", "poisson"))
    share(level, "level")
    patients = _patients(sessions, order)
    size = len(patients.clinics)
    compared = _compared_length(patients, smallest_pool)
    usable = compared > 0
    own = _by_clinic(patients, np.ones(len(usable)))
    kept = _by_clinic(patients, usable)
    rows = np.arange(len(usable))
    seen = np.where(usable, patients.totals[rows, np.maximum(compared, 1) - 1], 0)
    observed = _by_clinic(patients, seen)
    expected, spread, pool_error = _moments(patients, compared)
    if method == "poisson":
        upper, lower = exact_tests.poisson_tails(observed, expected)
    elif method == "exact":
        lower, upper = _convolved(patients, compared, observed)
    else:
        lower, upper = _bootstrapped(patients, compared, observed, resamples, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        allowance = np.sqrt(1 + np.where(spread > 0, pool_error / spread, 0.0))
        ratio = np.where(expected > 0, observed / expected, np.nan)
    known = (kept > 0) & (expected > 0)
    p_under, p_over = (
        np.where(known, special.ndtr(special.ndtri(np.clip(p, 1e-300, 1.0)) / allowance), np.nan)
        for p in (lower, upper)
    )
    q_under, q_over = (_within(p) for p in (p_under, p_over))
    coverage, coverage_p = _coverage(sessions, patients.clinics)
    under, over = (np.nan_to_num(q, nan=1.0) <= level for q in (q_under, q_over))
    missing = np.nan_to_num(coverage_p, nan=1.0) <= level
    return pl.DataFrame(
        [
            pl.Series("clinic_id", patients.clinics, dtype=pl.String),
            pl.Series("patients", own).cast(pl.Int64),
            pl.Series("sessions", _by_clinic(patients, patients.length)).cast(pl.Int64),
            pl.Series("observed", observed).cast(pl.Int64),
            column("expected", np.where(kept > 0, expected, np.nan)),
            column("value", np.where(kept > 0, ratio, np.nan)),
            pl.Series("method", [method] * size, dtype=pl.String),
            column("p_under", p_under),
            column("q_under", q_under),
            column("p_over", p_over),
            column("q_over", q_over),
            column("coverage", coverage),
            column("coverage_p", coverage_p),
            reasons(size, (under, "under"), (over, "over")).alias("flag"),
            reasons(size, (under & missing, "follow-up coverage"), (under | over, "reporting")).alias(
                "first_suspect"
            ),
            reasons(
                size,
                (kept == 0, "no patients elsewhere with as many sessions"),
                (expected == 0, "no events elsewhere to expect any from"),
            ),
        ]
    )


def _by_clinic(patients: _Patients, values: np.ndarray) -> np.ndarray:
    """Sums over patients of a number that each history has, one a clinic."""
    return np.bincount(patients.clinic, patients.number * values, len(patients.clinics))


def _within(p: np.ndarray) -> np.ndarray:
    q, tested = np.full(len(p), np.nan), np.isfinite(p)
    q[tested] = benjamini_hochberg(p[tested])
    return q


def _patients(sessions: pl.DataFrame, order: Sequence[str]) -> _Patients:
    for name in dict.fromkeys(("clinic_id", "patient_key", *order, "events")):
        if name not in sessions.columns:
            raise CheckFailed(f"sessions.{name}: column is missing")
        if sessions[name].null_count():
            raise CheckFailed(f"sessions.{name}: must not be null")
    counts(sessions["events"], "sessions.events")
    key = ["clinic_id", "patient_key", *order]
    if "events" not in order and sessions.select(key).is_duplicated().any():
        raise CheckFailed(f"sessions: {', '.join(key)} must be unique")
    clinics = sessions["clinic_id"].cast(pl.String).unique().sort().to_list()
    told = sessions.select(
        pl.col("clinic_id").cast(pl.String).cast(pl.Enum(clinics)).to_physical().alias("clinic"),
        # One number is grouped by faster than two names; that two patients share it is next to impossible.
        pl.struct("clinic_id", "patient_key").hash().alias("patient"),
        *dict.fromkeys((*order, "events")),
    ).with_columns(pl.col("events").cast(pl.Int64))
    counted = told.group_by("patient").agg(
        pl.col("clinic").first(), length=pl.len(), some=pl.col("events").max() > 0
    )
    quiet = (
        counted.filter(~pl.col("some"))
        .group_by("clinic", "length")
        .agg(number=pl.len())
        .with_columns(events=pl.lit(0, pl.Int64).repeat_by("length"))
    )
    loud = (
        told.join(counted.filter("some"), on="patient", how="semi")
        .sort("patient", *order)
        .group_by("patient", maintain_order=True)
        .agg(pl.col("clinic").first(), "events")
        .group_by("clinic", "events")
        .agg(number=pl.len())
        .with_columns(length=pl.col("events").list.len())
    )
    found = pl.concat(
        [
            quiet.select("clinic", "number", "length", "events"),
            loud.select("clinic", "number", "length", "events"),
        ]
    ).sort("clinic", "length", "events")
    length = found["length"].to_numpy().astype(np.int64)
    totals = np.zeros((len(length), int(length.max(initial=0))), dtype=np.int64)
    at = np.arange(totals.shape[1])[None, :] < length[:, None]
    totals[at] = found["events"].explode().to_numpy() if len(length) else 0
    return _Patients(
        clinics,
        found["clinic"].to_numpy().astype(np.int64),
        found["number"].to_numpy().astype(np.int64),
        length,
        np.cumsum(totals, axis=1),
    )


def _reaching(patients: _Patients) -> np.ndarray:
    """[clinic, n]: patients of the clinic with at least n + 1 sessions."""
    size, longest = len(patients.clinics), patients.totals.shape[1]
    found = np.zeros((size, longest + 1), dtype=np.int64)
    np.add.at(found, (patients.clinic, patients.length), patients.number)
    return np.cumsum(found[:, ::-1], axis=1)[:, ::-1][:, 1:]


def _compared_length(patients: _Patients, smallest_pool: int) -> np.ndarray:
    """Sessions up to which each patient can be compared; 0 where too few patients elsewhere had even one."""
    reaching = _reaching(patients)
    elsewhere = reaching.sum(axis=0)[None, :] - reaching
    furthest = (elsewhere >= max(smallest_pool, 1)).sum(axis=1)
    return np.minimum(patients.length, furthest[patients.clinic])


def _needed(patients: _Patients, compared: np.ndarray) -> np.ndarray:
    """[clinic, n]: patients of the clinic who are compared at session n + 1."""
    need = np.zeros((len(patients.clinics), patients.totals.shape[1]))
    some = compared > 0
    np.add.at(need, (patients.clinic[some], compared[some] - 1), patients.number[some])
    return need


def _moments(patients: _Patients, compared: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected events, variance of the drawn sum, and variance of the expected number, the pool
    being finite."""
    size, longest = len(patients.clinics), patients.totals.shape[1]
    need = _needed(patients, compared)
    reached = (np.arange(longest)[None, :] < patients.length[:, None]).astype(float)
    values = patients.totals * reached
    number = patients.number.astype(float)[:, None]
    expected, spread, pool_error = np.zeros(size), np.zeros(size), np.zeros(size)
    starts = np.searchsorted(patients.clinic, np.arange(size + 1))

    def products(rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Between session numbers i and j: sums of x_i x_j, of x_i, and numbers, of patients who
        reach both."""
        each, there = values[rows] * number[rows], reached[rows] * number[rows]
        return values[rows].T @ each, values[rows].T @ there, reached[rows].T @ there

    every = products(slice(None))
    for c in range(size):
        squares, sums, n = (
            a - b for a, b in zip(every, products(slice(starts[c], starts[c + 1])), strict=True)
        )
        at = np.maximum(np.diag(n), 1)
        mean = np.diag(sums) / at
        centred = squares - sums * mean[None, :] - sums.T * mean[:, None] + n * np.outer(mean, mean)
        weight = need[c] / at
        expected[c], spread[c] = need[c] @ mean, weight @ np.maximum(np.diag(centred), 0)
        pool_error[c] = max(float(weight @ centred @ weight), 0.0)
    return expected, spread, pool_error


def _convolved(
    patients: _Patients, compared: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """P(sum <= observed) and P(sum >= observed) of patients drawn with replacement, by Fourier transform."""
    size, longest = len(patients.clinics), patients.totals.shape[1]
    need = _needed(patients, compared)
    most = int(patients.totals.max(initial=0))
    reached = np.arange(longest)[None, :] < patients.length[:, None]
    who, n = np.nonzero(reached)
    own = np.zeros((size, longest, most + 1))
    np.add.at(own, (patients.clinic[who], n, patients.totals[who, n]), patients.number[who])
    every = own.sum(axis=0)
    lower, upper = np.ones(size), np.ones(size)
    for c in range(size):
        used = np.flatnonzero(need[c])
        if not len(used):
            continue
        pool = every[used] - own[c][used]
        pmf = pool / pool.sum(axis=1, keepdims=True)
        top = np.array([int(np.flatnonzero(row)[-1]) for row in pool])
        length = int((need[c][used] * top).sum()) + 1
        total = np.fft.irfft((np.fft.rfft(pmf, _power_of_two(length)) ** need[c][used][:, None]).prod(axis=0))
        total = np.maximum(total[:length], 0.0)
        lower[c] = total[: int(observed[c]) + 1].sum()
        upper[c] = total[int(observed[c]) :].sum()
    return np.minimum(lower, 1.0), np.minimum(upper, 1.0)


def _power_of_two(length: int) -> int:
    return int(2 ** np.ceil(np.log2(max(length, 2))))


def _bootstrapped(
    patients: _Patients, compared: np.ndarray, observed: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of resamples at most and at least as many events as observed, both counting the observation."""
    if resamples < 1:
        raise CheckFailed("resamples: must be a positive number")
    patients, compared = _one_by_one(patients, compared)
    longest = patients.totals.shape[1]
    # Patients who reach each session, clinic by clinic, so that a draw from a clinic's own can be told.
    order = [np.flatnonzero(patients.length > n) for n in range(longest)]
    offsets = np.cumsum([0, *(len(rows) for rows in order)])
    rows = np.concatenate(order) if order else np.zeros(0, dtype=int)
    session = np.repeat(np.arange(longest), np.diff(offsets))
    few, many = _draw(
        patients.clinic,
        compared,
        observed.astype(np.int64),
        patients.clinic[rows],
        patients.totals[rows, session],
        offsets,
        resamples,
        seed,
    )
    return (few + 1) / (resamples + 1), (many + 1) / (resamples + 1)


def _one_by_one(patients: _Patients, compared: np.ndarray) -> tuple[_Patients, np.ndarray]:
    """Each patient as a history of one, for drawing."""
    clinic, length, totals, each = (
        np.repeat(values, patients.number, axis=0)
        for values in (patients.clinic, patients.length, patients.totals, compared)
    )
    return _Patients(patients.clinics, clinic, np.ones_like(clinic), length, totals), each


@numba.njit(cache=True)
def _draw(
    clinic: np.ndarray,
    compared: np.ndarray,
    observed: np.ndarray,
    pool_clinic: np.ndarray,
    pool_total: np.ndarray,
    offsets: np.ndarray,
    resamples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    np.random.seed(seed)
    few, many = np.zeros(len(observed)), np.zeros(len(observed))
    start = 0
    while start < len(clinic):
        c, end = clinic[start], start
        while end < len(clinic) and clinic[end] == c:
            end += 1
        for _ in range(resamples):
            total = 0
            for i in range(start, end):
                n = compared[i] - 1
                if n < 0:
                    continue
                at = np.random.randint(offsets[n], offsets[n + 1])
                while pool_clinic[at] == c:  # others only; there are some, or the patient were not compared
                    at = np.random.randint(offsets[n], offsets[n + 1])
                total += pool_total[at]
            few[c] += total <= observed[c]
            many[c] += total >= observed[c]
        start = end
    return few, many


def _coverage(sessions: pl.DataFrame, clinics: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Share of sessions followed up, and Fisher's p of its being lower than elsewhere; null where
    not known."""
    unknown = np.full(len(clinics), np.nan)
    if "followed_up" not in sessions.columns:
        return unknown, unknown
    if sessions.schema["followed_up"] != pl.Boolean() or sessions["followed_up"].null_count():
        raise CheckFailed("sessions.followed_up: must be true or false")
    done = (
        sessions.group_by("clinic_id")
        .agg(x=pl.col("followed_up").sum(), n=pl.len())
        .sort(pl.col("clinic_id").cast(pl.String))
    )
    x, n = done["x"].to_numpy().astype(float), done["n"].to_numpy().astype(float)
    p = exact_tests.fisher_test(x, n, x.sum() - x, n.sum() - n, alternative="less")
    return x / n, p.to_numpy()
