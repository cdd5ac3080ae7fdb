"""Do groups differ in their time to an event? Log-rank and its weighted kin, and Gray's test."""

from typing import Literal

import numba
import numpy as np
import polars as pl
from scipy import linalg, stats

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import codes, flags, numbers
from warehouse.metrics.survival import cause_codes

Weights = Literal["log-rank", "gehan", "tarone-ware", "fleming-harrington"]

TEST: dict[str, pl.DataType] = {
    "method": pl.String(),
    "statistic": pl.Float64(),
    "degrees_of_freedom": pl.Int64(),
    "p": pl.Float64(),
    "groups": pl.Int64(),
    "reason": pl.String(),
}
"""One row a test; numbers are null and `reason` says why where there is nothing to compare."""


def log_rank_test(
    frame: pl.DataFrame,
    *,
    duration: str,
    event: str,
    group: str,
    strata: str | None = None,
    weights: Weights = "log-rank",
    rho: float = 1.0,
) -> pl.DataFrame:
    """Is the hazard the same in all groups? One TEST row, by the chi-squared distribution.

    Hypergeometric variance, ties as they are. `weights`: log-rank 1, gehan the number at risk, tarone-ware
    its root, fleming-harrington the pooled survival just before, to the power `rho`. With `strata` groups are
    compared within each stratum and the differences summed. Raises CheckFailed. Source: Mantel, Cancer
    Chemotherapy Reports 50 (1966) 163-170; Klein and Moeschberger, Survival Analysis, 2nd ed. (2003), §7.3
    (eqs. 7.3.3-7.3.5) and §7.5.
    """
    if weights not in ("log-rank", "gehan", "tarone-ware", "fleming-harrington"):
        raise CheckFailed(
            f"weights: must be log-rank, gehan, tarone-ware or fleming-harrington, is {weights}"
        )
    time = numbers(frame, "survival", duration, least=0.0)
    happened = flags(frame, "survival", event)
    mine, keys = codes(frame, "survival", (group,))
    stratum, _ = codes(frame, "survival", () if strata is None else (strata,))
    size = keys.height
    difference, variance = np.zeros(size), np.zeros((size, size))
    for number in np.unique(stratum):
        inside = stratum == number
        part = _log_rank(time[inside], happened[inside], mine[inside], size, weights, rho)
        difference, variance = difference + part[0], variance + part[1]
    return _chi_squared(weights, difference, variance, size)


def _log_rank(
    time: np.ndarray, happened: np.ndarray, group: np.ndarray, size: int, weights: str, rho: float
) -> tuple[np.ndarray, np.ndarray]:
    """Observed minus expected events of each group, and their covariance."""
    times, which = np.unique(time, return_inverse=True)
    left = np.bincount(which * size + group, minlength=len(times) * size).reshape(len(times), size)
    events = np.bincount(which[happened] * size + group[happened], minlength=len(times) * size).reshape(
        len(times), size
    )
    at_risk = left[::-1].cumsum(axis=0)[::-1].astype(float)
    d, n = events.sum(axis=1).astype(float), at_risk.sum(axis=1)
    weight = {"log-rank": np.ones_like(n), "gehan": n, "tarone-ware": np.sqrt(n)}.get(weights)
    if weight is None:
        survival = np.cumprod(1 - d / n)
        weight = np.concatenate([[1.0], survival[:-1]]) ** rho
    share = at_risk / n[:, None]
    difference = (weight[:, None] * (events - share * d[:, None])).sum(axis=0)
    factor = weight**2 * d * np.where(n > 1, (n - d) / np.maximum(n - 1, 1), 0.0)
    variance = np.diag(factor @ share) - (share * factor[:, None]).T @ share
    return difference, variance


def gray_test(
    frame: pl.DataFrame, *, duration: str, cause: str, group: str, of_cause: int = 1, rho: float = 0.0
) -> pl.DataFrame:
    """Is the cumulative incidence of one cause the same in all groups, others competing? One TEST row.

    `cause` is an integer: 0 censored, 1, 2, … the causes. `rho` weights by (1 - pooled incidence) to that
    power. Raises CheckFailed. Source: Gray, Annals of Statistics 16 (1988) 1141-1154, §2 (as in R's cmprsk).
    """
    time = numbers(frame, "survival", duration, least=0.0)
    causes = cause_codes(frame, cause)
    mine, keys = codes(frame, "survival", (group,))
    size = keys.height
    if not (causes == of_cause).any():
        return _chi_squared("gray", np.zeros(size), np.zeros((size, size)), size)
    times, which = np.unique(time, return_inverse=True)

    def count(rows: np.ndarray) -> np.ndarray:
        flat = np.bincount(which[rows] * size + mine[rows], minlength=len(times) * size)
        return flat.reshape(len(times), size).astype(float)

    everyone = np.ones(len(time), dtype=bool)
    difference, variance = _gray(
        count(everyone), count(causes == of_cause), count((causes > 0) & (causes != of_cause)), rho
    )
    return _chi_squared("gray", difference, variance, size)


@numba.njit(cache=True)
def _gray(
    left: np.ndarray, wanted: np.ndarray, other: np.ndarray, rho: float
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of Gray's test and their covariance, from counts by time and group.

    At each time the groups have an adjusted risk set R_k = n_k (1 - F_k) / S_k, F and S just before it; the
    score is the difference between events and those expected if the subdistribution hazard were the pooled
    one. Martingale increments of both kinds of event are carried through to the end by `c`.
    """
    size = left.shape[1]
    at_risk = left.sum(axis=0)
    survival, incidence = np.ones(size), np.zeros(size)  # just before the time
    pooled = 0.0
    score, covariance = np.zeros(size), np.zeros((size, size))
    c, cross, own = np.zeros((size, size)), np.zeros((size, size)), np.zeros(size)
    for t in range(left.shape[0]):
        d1, d2 = wanted[t].sum(), other[t].sum()
        if d1 + d2 > 0:
            survival_now, incidence_now = survival.copy(), incidence.copy()
            share = np.zeros(size)  # n / S just before: the weight of the group in the variance
            risk = 0.0
            for k in range(size):
                if at_risk[k] > 0:
                    survival_now[k] = survival[k] * (at_risk[k] - wanted[t, k] - other[t, k]) / at_risk[k]
                    incidence_now[k] = incidence[k] + survival[k] * wanted[t, k] / at_risk[k]
                    share[k] = at_risk[k] / survival[k]
                    risk += share[k] * (1 - incidence[k])
            total = share.sum()
            pooled_now = pooled + d1 / total
            weight = (1 - pooled) ** rho
            a = np.zeros((size, size))
            for i in range(size):
                for k in range(size):
                    a[i, k] = weight * share[i] * ((1.0 if i == k else 0.0) - share[k] / total)
            c += a * d1 / (total * (1 - pooled))
            for k in range(size):
                if at_risk[k] <= 0:
                    continue
                score[k] += weight * (wanted[t, k] - d1 * share[k] * (1 - incidence[k]) / risk)
                carried = (1 - pooled_now) / survival_now[k] if survival_now[k] > 0 else 0.0
                if d1 > 0:
                    ties = 1 - (d1 - 1) / (total * survival[k] - 1) if d1 > 1 else 1.0
                    spread = ties * d1 / (total * share[k])
                    left_over = 1 - carried
                    own[k] += left_over**2 * spread
                    for i in range(size):
                        step = a[i, k] - left_over * c[i, k]
                        cross[i, k] += step * left_over * spread
                        for j in range(size):
                            covariance[i, j] += step * (a[j, k] - left_over * c[j, k]) * spread
                if other[t, k] > 0 and survival_now[k] > 0:
                    ties = 1 - (other[t, k] - 1) / (at_risk[k] - 1) if other[t, k] > 1 else 1.0
                    spread = ties * other[t, k] / share[k] ** 2
                    own[k] += carried**2 * spread
                    for i in range(size):
                        step = carried * c[i, k]
                        cross[i, k] -= step * carried * spread
                        for j in range(size):
                            covariance[i, j] += step * carried * c[j, k] * spread
            survival, incidence, pooled = survival_now, incidence_now, pooled_now
        at_risk = at_risk - left[t]
    for i in range(size):
        for j in range(size):
            for k in range(size):
                covariance[i, j] += c[i, k] * c[j, k] * own[k] + c[i, k] * cross[j, k] + c[j, k] * cross[i, k]
    return score, covariance


def _chi_squared(method: str, difference: np.ndarray, variance: np.ndarray, size: int) -> pl.DataFrame:
    """The quadratic form of the differences; groups that were never at risk with others fall out by its
    rank."""
    row: dict[str, object] = {"method": method, "groups": size}
    scale = np.abs(variance).max(initial=0.0)
    rank = int(np.linalg.matrix_rank(variance, tol=1e-9 * scale)) if scale > 0 else 0
    if size < 2:
        row["reason"] = "not estimable: fewer than two groups"
    elif rank == 0:
        row["reason"] = "not estimable: no event happened while two groups were at risk"
    else:
        statistic = float(difference @ linalg.pinvh(variance, atol=1e-9 * scale) @ difference)
        row |= {
            "statistic": statistic,
            "degrees_of_freedom": rank,
            "p": float(stats.chi2.sf(statistic, rank)),
        }
    return pl.DataFrame([row], schema=TEST)
