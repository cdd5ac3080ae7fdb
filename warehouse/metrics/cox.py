"""Hazard ratios of covariates: Cox regression, also of one of several competing causes."""

from collections.abc import Sequence
from typing import Literal

import numba
import numpy as np
import polars as pl
from scipy import special

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import codes, flags, numbers, two_sided
from warehouse.metrics.regression import NotEstimable, design, inverse
from warehouse.metrics.survival import cause_codes

HAZARD: dict[str, pl.DataType] = {
    "term": pl.String(),
    "coefficient": pl.Float64(),
    "standard_error": pl.Float64(),
    "hazard_ratio": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "p": pl.Float64(),
    "subjects": pl.Int64(),
    "events": pl.Int64(),
    "log_likelihood": pl.Float64(),
    "method": pl.String(),
    "reason": pl.String(),
}
"""One row a term. `coefficient` and its error are of the log hazard ratio; `log_likelihood` of the fit."""


def cause_specific_cox(
    frame: pl.DataFrame, *, duration: str, cause: str, of_cause: int = 1, **options: object
) -> pl.DataFrame:
    """Cox regression of the hazard of one cause: other causes are censored at their time. HAZARD rows.

    `cause` is an integer: 0 censored, 1, 2, … the causes. Options as in `cox`. A cause-specific hazard ratio
    speaks of the rate among those still at risk, not of the share that has had the event in the end.
    Source: Prentice et al., Biometrics 34 (1978) 541-554; Putter, Fiocco and Geskus, Statistics in Medicine
    26 (2007) 2389-2430, §3.3.
    """
    causes = cause_codes(frame, cause)
    told = frame.with_columns(pl.Series("_of_cause", causes == of_cause))
    return cox(told, duration=duration, event="_of_cause", **options)  # type: ignore[arg-type]


def cox(
    frame: pl.DataFrame,
    *,
    duration: str,
    event: str,
    covariates: Sequence[str],
    strata: Sequence[str] = (),
    ties: Literal["efron", "breslow"] = "efron",
    cluster: str | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Proportional hazards regression by partial likelihood, one HAZARD row a term.

    Text covariates have one term a category but the first. `strata` have hazards of their own; `cluster`
    gives robust standard errors that allow for likeness within clusters. Where the likelihood has no maximum
    there is one row with a reason. Raises CheckFailed. Source: Cox, JRSS B 34 (1972) 187-220; ties: Efron,
    JASA 72 (1977) 557-565; robust: Lin and Wei, JASA 84 (1989) 1074-1078.
    """
    quantile = two_sided(level)
    if ties not in ("efron", "breslow"):
        raise CheckFailed(f"ties: must be efron or breslow, is {ties}")
    time = numbers(frame, "survival", duration, least=0.0)
    happened = flags(frame, "survival", event)
    built = design(frame, "survival", covariates)
    stratum, _ = codes(frame, "survival", tuple(strata))
    clusters = None if cluster is None else codes(frame, "survival", (cluster,))[0]
    common = {"subjects": frame.height, "events": int(happened.sum()), "level": level, "method": ties}
    if not covariates:
        raise CheckFailed("survival: Cox regression needs a covariate")
    try:
        order = np.lexsort((-time, stratum))
        x = np.ascontiguousarray(built.matrix[order, 1:])
        centre = x.mean(axis=0) if len(x) else np.zeros(x.shape[1])
        x -= centre
        coefficients, covariance, likelihood = _maximum(
            x, time[order], happened[order], stratum[order], ties == "efron", built.terms[1:]
        )
        if clusters is not None:
            scores = _scores(x, time[order], happened[order], stratum[order], coefficients, ties == "efron")
            sums = np.zeros((int(clusters.max()) + 1, x.shape[1]))
            np.add.at(sums, clusters[order], scores)
            covariance = covariance @ (sums.T @ sums) @ covariance
    except NotEstimable as reason:
        return pl.DataFrame([{**common, "reason": f"not estimable: {reason}"}], schema=HAZARD)
    error = np.sqrt(np.diag(covariance))
    return pl.DataFrame(
        [
            {
                **common, "term": term, "coefficient": b, "standard_error": e, "hazard_ratio": np.exp(b),
                "lower": np.exp(b - quantile * e), "upper": np.exp(b + quantile * e),
                "p": 2 * special.ndtr(-abs(b / e)), "log_likelihood": likelihood,
            }
            for term, b, e in zip(built.terms[1:], coefficients.tolist(), error.tolist(), strict=True)
        ],
        schema=HAZARD,
    )  # fmt: skip


def _maximum(
    x: np.ndarray,
    time: np.ndarray,
    happened: np.ndarray,
    stratum: np.ndarray,
    efron: bool,
    terms: Sequence[str],
) -> tuple[np.ndarray, np.ndarray, float]:
    """Newton's method with step halving; rows sorted by stratum, latest time first."""
    if not happened.any():
        raise NotEstimable("no event happened")
    beta = np.zeros(x.shape[1])
    likelihood, score, information = _partial(x, time, happened, stratum, beta, efron)
    for _ in range(60):
        try:
            step = inverse(information, terms) @ score
        except NotEstimable as reason:
            if (np.abs(beta) * x.std(axis=0) > 8).any():
                raise NotEstimable(_MONOTONE) from None
            raise reason
        for _ in range(30):
            better, score_next, information_next = _partial(x, time, happened, stratum, beta + step, efron)
            if better >= likelihood - 1e-10 * (1 + abs(likelihood)):
                break
            step = step / 2
        moved = np.max(np.abs(step) * np.sqrt(np.diag(information)))
        beta, score, information = beta + step, score_next, information_next
        gained, likelihood = better - likelihood, better
        if moved < 1e-7 and gained < 1e-9 * (1 + abs(likelihood)):
            break
    else:
        raise NotEstimable(_MONOTONE)
    covariance = inverse(information, terms)
    if ((np.abs(beta) * x.std(axis=0) > 8) & (np.diag(covariance) * x.var(axis=0) > 25)).any():
        raise NotEstimable(_MONOTONE)
    return beta, covariance, float(likelihood)


_MONOTONE = "a covariate tells all events apart: the likelihood has no maximum"


@numba.njit(cache=True)
def _partial(
    x: np.ndarray, time: np.ndarray, happened: np.ndarray, stratum: np.ndarray, beta: np.ndarray, efron: bool
) -> tuple[float, np.ndarray, np.ndarray]:
    """Log partial likelihood, score and information in one pass from the latest time to the earliest."""
    rows, size = x.shape
    likelihood, score, information = 0.0, np.zeros(size), np.zeros((size, size))
    risk, risk1, risk2 = 0.0, np.zeros(size), np.zeros((size, size))
    i = 0
    while i < rows:
        if i > 0 and stratum[i] != stratum[i - 1]:
            risk = 0.0
            risk1[:] = 0.0
            risk2[:] = 0.0
        tied, tied1, tied2, deaths = 0.0, np.zeros(size), np.zeros((size, size)), 0
        j = i
        while j < rows and time[j] == time[i] and stratum[j] == stratum[i]:
            linear = 0.0
            for a in range(size):
                linear += x[j, a] * beta[a]
            weight = np.exp(linear)
            risk += weight
            for a in range(size):
                risk1[a] += weight * x[j, a]
                for b in range(a + 1):
                    risk2[a, b] += weight * x[j, a] * x[j, b]
            if happened[j]:
                deaths += 1
                likelihood += linear
                tied += weight
                for a in range(size):
                    score[a] += x[j, a]
                    tied1[a] += weight * x[j, a]
                    for b in range(a + 1):
                        tied2[a, b] += weight * x[j, a] * x[j, b]
            j += 1
        for k in range(deaths):
            share = k / deaths if efron else 0.0
            total = risk - share * tied
            likelihood -= np.log(total)
            for a in range(size):
                mean_a = (risk1[a] - share * tied1[a]) / total
                score[a] -= mean_a
                for b in range(a + 1):
                    mean_b = (risk1[b] - share * tied1[b]) / total
                    information[a, b] += (risk2[a, b] - share * tied2[a, b]) / total - mean_a * mean_b
        i = j
    for a in range(size):
        for b in range(a):
            information[b, a] = information[a, b]
    return likelihood, score, information


@numba.njit(cache=True)
def _scores(
    x: np.ndarray, time: np.ndarray, happened: np.ndarray, stratum: np.ndarray, beta: np.ndarray, efron: bool
) -> np.ndarray:
    """Each row's part of the score: its own event, less its share in all events while it was at risk."""
    rows, size = x.shape
    weight = np.exp(x @ beta)
    risk, risk1 = np.zeros(rows), np.zeros((rows, size))
    for i in range(rows):
        risk[i], risk1[i] = weight[i], weight[i] * x[i]
        if i > 0 and stratum[i] == stratum[i - 1]:
            risk[i] += risk[i - 1]
            risk1[i] += risk1[i - 1]
    scores = np.zeros((rows, size))
    hazard, hazard1 = 0.0, np.zeros(size)
    i = rows - 1
    while i >= 0:
        if i < rows - 1 and stratum[i] != stratum[i + 1]:
            hazard = 0.0
            hazard1[:] = 0.0
        j, deaths, tied, tied1 = i, 0, 0.0, np.zeros(size)
        while j >= 0 and time[j] == time[i] and stratum[j] == stratum[i]:
            if happened[j]:
                deaths += 1
                tied += weight[j]
                tied1 += weight[j] * x[j]
            j -= 1
        # With Efron's ties an event row itself is at risk only in part at the later of the tied events.
        spared, spared1, mean = 0.0, np.zeros(size), np.zeros(size)
        for k in range(deaths):
            share = k / deaths if efron else 0.0
            total = risk[i] - share * tied
            average = (risk1[i] - share * tied1) / total
            hazard += 1 / total
            hazard1 += average / total
            spared += share / total
            spared1 += share * average / total
            mean += average / deaths
        for k in range(j + 1, i + 1):
            if happened[k]:
                scores[k] += x[k] - mean
                scores[k] -= weight[k] * (x[k] * (hazard - spared) - (hazard1 - spared1))
            else:
                scores[k] -= weight[k] * (x[k] * hazard - hazard1)
        i = j
    return scores
