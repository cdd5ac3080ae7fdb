"""Crude and adjusted effects of one protocol against another, side by side.

frame -> propensity, outcome model -> two mean outcomes with each row's influence -> difference or ratio

Every method gives the mean outcome if all of the target population had protocol 1 and if all had protocol 0,
together with the influence of each row on both. Standard errors, intervals, ratios and clustering follow from
the influences in one place. No bootstrap, no random numbers, and no clipping unless asked for and reported.
Effects are causal only if the covariates hold all that matters to both the choice of protocol and the
outcome; E-values say how much would have to be missing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from scipy import special, stats

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import codes, flags, numbers, require, two_sided
from warehouse.metrics.propensity import (
    Estimand,
    PropensityModel,
    clipped,
    effective_sample_size,
    fit_propensity,
    inverse_probability_weights,
)
from warehouse.metrics.regression import (
    Fit,
    NotEstimable,
    design,
    least_squares,
    logistic,
)
from warehouse.metrics.sensitivity import approximate_risk_ratio, e_value, e_value_of_limit

Measure = Literal["difference", "ratio"]
StandardError = Literal["stacked", "robust", "influence"]

EFFECT: dict[str, pl.DataType] = {
    "method": pl.String(),
    "estimand": pl.String(),
    "measure": pl.String(),
    "value": pl.Float64(),
    "standard_error": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "p": pl.Float64(),
    "mean_treated": pl.Float64(),
    "mean_control": pl.Float64(),
    "size_treated": pl.Int64(),
    "size_control": pl.Int64(),
    "effective_size_treated": pl.Float64(),
    "effective_size_control": pl.Float64(),
    "clipped_share": pl.Float64(),
    "e_value": pl.Float64(),
    "e_value_limit": pl.Float64(),
    "propensity_version": pl.String(),
    "reason": pl.String(),
}
"""One row an effect. `standard_error` is of the difference, or of the logarithm of the ratio; `clipped_share`
is 0 where nothing was clipped; all numbers are null and `reason` says why where there is no estimate."""


@dataclass(frozen=True)
class _Means:
    """Two mean outcomes and what each row adds to their error: variance of a mean is sum(influence²)/n²."""

    treated: float
    control: float
    influence_treated: np.ndarray
    influence_control: np.ndarray
    effective_treated: float
    effective_control: float
    clipped_share: float = 0.0
    version: str | None = None
    degrees: float = math.inf


@dataclass(frozen=True)
class _Members:
    """How the rows of cells lie in clusters: `size` rows of `cell` belong to `cluster`."""

    cell: np.ndarray
    cluster: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class _Data:
    """Rows, or cells of `size` equal rows each; `members` where rows lie in clusters."""

    y: np.ndarray
    treated: np.ndarray
    size: np.ndarray
    members: _Members | None
    frame: pl.DataFrame

    @property
    def binary(self) -> bool:
        return bool(np.isin(self.y, (0.0, 1.0)).all())

    @property
    def rows(self) -> int:
        return int(self.size.sum())

    def error(self, influence: np.ndarray) -> float:
        """Standard error of a mean from the influences of the cells' rows, see `mean_error`."""
        if self.members is None:
            return float(np.sqrt((self.size * influence) @ influence)) / self.rows
        at = self.members
        return _clustered_error(np.bincount(at.cluster, at.size * influence[at.cell]), self.rows)


def _data(frame: pl.DataFrame, outcome: str, treatment: str, cluster: str | None) -> _Data:
    y, treated = _outcome(frame, outcome), flags(frame, "effect", treatment)
    size = np.ones(len(y))
    members = None
    if cluster is not None:
        found = codes(frame, "effect", (cluster,))[0]
        members = _Members(np.arange(len(y)), found, size)
    return _Data(y, treated, size, members, frame)


def _outcome(frame: pl.DataFrame, name: str) -> np.ndarray:
    truth = frame.schema.get(name) == pl.Boolean
    return flags(frame, "effect", name).astype(float) if truth else numbers(frame, "effect", name)


def _cells(
    frame: pl.DataFrame, outcome: str, treatment: str, cluster: str | None, covariates: Sequence[str]
) -> _Data:
    """Rows that are equal in all that a method looks at, as one cell, see `columns.cells`; with a fractional
    covariate rows stay as they are."""
    columns = list(dict.fromkeys([outcome, treatment, *covariates]))
    if any(frame.schema[name].is_float() for name in covariates if name in frame.columns):
        return _data(frame, outcome, treatment, cluster)
    # Whole columns are checked before any row is taken for another.
    _outcome(frame, outcome), flags(frame, "effect", treatment)
    require(frame, "effect", (*covariates, *([] if cluster is None else [cluster])))
    apart = [*columns, *([] if cluster is None else [pl.col(cluster).alias("_cluster")])]
    parts = frame.group_by(apart).agg(_size=pl.len().cast(pl.Float64))
    cells = parts.group_by(columns).agg(pl.col("_size").sum()).sort(columns)
    members = None
    if cluster is not None:
        placed = parts.join(cells.select(columns).with_row_index("_cell"), on=columns).sort(
            "_cluster", "_cell"
        )
        members = _Members(
            placed["_cell"].to_numpy().astype(np.int64),
            codes(placed, "effect", ("_cluster",))[0],
            placed["_size"].to_numpy(),
        )
    return _Data(
        _outcome(cells, outcome), flags(cells, "effect", treatment), cells["_size"].to_numpy(), members, cells
    )


# ── the methods ─────────────────────────────────────────────────────────────────────────────────────────


def crude(
    frame: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    measure: Measure = "difference",
    cluster: str | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Effect without any adjustment, one EFFECT row: what the eye sees, and what confounding misleads.

    The difference without `cluster` is Welch's, with his degrees of freedom.
    Source: Welch, Biometrika 29 (1938) 350-362.
    """
    data = _data(frame, outcome, treatment, cluster)

    def means() -> _Means:
        t, n = data.treated, len(data.y)
        sizes = int(t.sum()), int((~t).sum())
        mean1, mean0 = data.y[t].mean(), data.y[~t].mean()
        # n - 1 in each group, as Welch has it.
        bessel1, bessel0 = (math.sqrt(size / (size - 1)) for size in sizes)
        influence1 = np.where(t, (data.y - mean1) * n / sizes[0] * bessel1, 0.0)
        influence0 = np.where(t, 0.0, (data.y - mean0) * n / sizes[1] * bessel0)
        parts = data.y[t].var(ddof=1) / sizes[0], data.y[~t].var(ddof=1) / sizes[1]
        degrees = math.inf
        if data.members is None and measure == "difference" and sum(parts) > 0:
            degrees = sum(parts) ** 2 / (parts[0] ** 2 / (sizes[0] - 1) + parts[1] ** 2 / (sizes[1] - 1))
        return _Means(mean1, mean0, influence1, influence0, float(sizes[0]), float(sizes[1]), degrees=degrees)

    return _effect(data, "crude", "ATE", measure, level, means)


def iptw(
    frame: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "ATE",
    measure: Measure = "difference",
    clip: tuple[float, float] | None = None,
    standard_error: StandardError = "stacked",
    cluster: str | None = None,
    version: str = "1",
    level: float = 0.95,
) -> pl.DataFrame:
    """Effect by inverse probability of treatment weighting with normalised (stabilised) weights, one EFFECT
    row.

    `standard_error` "stacked" allows for the propensity having been estimated (as Stata's teffects ipw);
    "robust" treats the weights as known, which for the ATE is wider on average (as a marginal structural
    model fitted by GEE). `clip` moves scores into a range; the share moved is in the row.
    Source: Robins, Hernán and Brumback, Epidemiology 11 (2000) 550-560; variance: Lunceford and Davidian,
    Statistics in Medicine 23 (2004) 2937-2960, eq. 19 and appendix.
    """
    data = _data(frame, outcome, treatment, cluster)
    if standard_error not in ("stacked", "robust"):
        raise CheckFailed(f"standard_error: must be stacked or robust, is {standard_error}")

    def means() -> _Means:
        model = fit_propensity(frame, treatment=treatment, covariates=covariates, version=version)
        return _weighted(data, model, estimand, clip, standard_error)

    return _effect(data, "iptw", estimand, measure, level, means)


def standardisation(
    frame: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "ATE",
    measure: Measure = "difference",
    interactions: Sequence[str] | Literal["all"] = "all",
    outcome_model: Literal["auto", "linear", "logistic"] = "auto",
    cluster: str | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Effect by standardisation (parametric g-formula), one EFFECT row.

    A model of the outcome predicts what each patient of the target population would have had with either
    protocol. `interactions` "all" lets every covariate act differently under each protocol, which is one
    model an arm (as Stata's teffects ra); otherwise the covariates named, or none. "auto" takes a logistic
    model for outcomes that are all 0 or 1. The standard error allows for the model having been estimated.
    Source: Robins, Mathematical Modelling 7 (1986) 1393-1512; Hernán and Robins, Causal Inference: What If
    (2020), ch. 13; variance by M-estimation: Stefanski and Boos, American Statistician 56 (2002) 29-38.
    """
    data = _data(frame, outcome, treatment, cluster)

    def means() -> _Means:
        return _standardised(data, covariates, estimand, interactions, outcome_model)

    return _effect(data, "standardisation", estimand, measure, level, means)


def aipw(
    frame: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    outcome_covariates: Sequence[str] | None = None,
    estimand: Estimand = "ATE",
    measure: Measure = "difference",
    outcome_model: Literal["auto", "linear", "logistic"] = "auto",
    clip: tuple[float, float] | None = None,
    standard_error: StandardError = "influence",
    cluster: str | None = None,
    version: str = "1",
    level: float = 0.95,
) -> pl.DataFrame:
    """Effect by augmented inverse probability weighting, one EFFECT row; doubly robust: consistent when the
    propensity model or the outcome model (one an arm) holds.

    `covariates` go into the propensity, `outcome_covariates` (the same unless given) into the outcome models.
    The standard error is that of the efficient influence function; "stacked" also allows for both models
    having been estimated, which stays right when one of them is wrong (as Stata's teffects aipw).
    Source: Robins, Rotnitzky and Zhao, JASA 89 (1994) 846-866; Glynn and Quinn, Political Analysis 18 (2010)
    36-56, eq. 3-5; ATT: Mercatanti and Li, Annals of Applied Statistics 8 (2014) 2485-2508.
    """
    if standard_error not in ("influence", "stacked"):
        raise CheckFailed(f"standard_error: must be influence or stacked, is {standard_error}")
    names = covariates if outcome_covariates is None else outcome_covariates
    if standard_error == "influence":
        data = _cells(frame, outcome, treatment, cluster, (*covariates, *names))
    else:
        data = _data(frame, outcome, treatment, cluster)

    def means() -> _Means:
        model = fit_propensity(
            data.frame, treatment=treatment, covariates=covariates, version=version, size=data.size
        )
        return _doubly_robust(data, model, names, estimand, outcome_model, clip, standard_error)

    return _effect(data, "aipw", estimand, measure, level, means)


def effects(
    frame: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "ATE",
    measure: Measure = "difference",
    clip: tuple[float, float] | None = None,
    cluster: str | None = None,
    version: str = "1",
    level: float = 0.95,
) -> pl.DataFrame:
    """Crude, IPTW, standardised and doubly robust effect next to each other, four EFFECT rows.

    The propensity model is fitted once. A method that cannot answer has a reason; the others still answer.
    """
    data = _data(frame, outcome, treatment, cluster)
    held: list[PropensityModel | NotEstimable] = []

    def model() -> PropensityModel:
        if not held:
            try:
                held.append(
                    fit_propensity(frame, treatment=treatment, covariates=covariates, version=version)
                )
            except NotEstimable as reason:
                held.append(reason)
        if isinstance(held[0], NotEstimable):
            raise held[0]
        return held[0]

    row: dict[str, Callable[[], _Means]] = {
        "iptw": lambda: _weighted(data, model(), estimand, clip, "stacked"),
        "standardisation": lambda: _standardised(data, covariates, estimand, "all", "auto"),
        "aipw": lambda: _doubly_robust(data, model(), covariates, estimand, "auto", clip, "influence"),
    }
    options: dict[str, Any] = {"outcome": outcome, "treatment": treatment, "measure": measure}
    return pl.concat(
        [
            crude(frame, cluster=cluster, level=level, **options),
            *(_effect(data, name, estimand, measure, level, means) for name, means in row.items()),
        ]
    )


# ── weighting ───────────────────────────────────────────────────────────────────────────────────────────


def _weighted(
    data: _Data,
    model: PropensityModel,
    estimand: Estimand,
    clip: tuple[float, float] | None,
    standard_error: StandardError,
) -> _Means:
    scores, moved = clipped(model.scores, clip)
    weights = inverse_probability_weights(scores, data.treated, estimand=estimand)
    mean1, influence1 = _weighted_mean(data.y, weights * data.treated)
    mean0, influence0 = _weighted_mean(data.y, weights * ~data.treated)
    if standard_error == "stacked":
        slope = np.where(moved, 0.0, _weight_slope(weights, scores, data.treated, estimand))
        influence1 += _by_propensity(model, slope * data.treated, data.y - mean1, weights * data.treated)
        influence0 += _by_propensity(model, slope * ~data.treated, data.y - mean0, weights * ~data.treated)
    return _Means(
        mean1, mean0, influence1, influence0,
        effective_sample_size(weights[data.treated]), effective_sample_size(weights[~data.treated]),
        float(moved.mean()), model.version,
    )  # fmt: skip


def _weighted_mean(y: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    mean = float(weights @ y / weights.sum())
    return mean, weights * (y - mean) / weights.mean()


def _weight_slope(
    weights: np.ndarray, scores: np.ndarray, treated: np.ndarray, estimand: Estimand
) -> np.ndarray:
    """Derivative of each weight by its linear predictor."""
    if estimand == "ATT":
        return np.where(treated, 0.0, weights)
    if estimand == "ATC":
        return np.where(treated, -weights, 0.0)
    return np.where(treated, -weights * (1 - scores), weights * scores)


def _by_propensity(
    model: PropensityModel, slope: np.ndarray, residual: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """What each row adds to a weighted mean through the coefficients of the propensity model."""
    x = model.pattern.matrix
    gradient = x.T @ (slope * residual) / weights.sum()
    return (model.treated - model.scores) * (x @ (model.fit.bread @ gradient))


# ── standardisation ─────────────────────────────────────────────────────────────────────────────────────


def _standardised(
    data: _Data,
    covariates: Sequence[str],
    estimand: Estimand,
    interactions: Sequence[str] | Literal["all"],
    outcome_model: str,
) -> _Means:
    built = design(data.frame, "effect", covariates)
    x = built.matrix
    target = _target(data.treated, estimand)
    if interactions == "all":
        arms = []
        for mine in (data.treated, ~data.treated):
            fit, predicted = _arm(data, x, mine, built.terms, outcome_model)
            arms.append(_standard_mean(x, data.y, fit, predicted, predicted, x, target, mine.astype(float)))
    else:
        unknown = set(interactions) - set(covariates)
        if unknown:
            raise CheckFailed(f"interactions: {min(unknown)} is not among the covariates")
        chosen = [index for index, term in enumerate(built.terms) if term.split("=")[0] in set(interactions)]
        t = data.treated.astype(float)[:, None]
        terms = (*built.terms, "treatment", *(f"treatment:{built.terms[index]}" for index in chosen))
        pooled = np.hstack([x, t, t * x[:, chosen]])
        fit = _fitted(data, pooled, data.y, terms, outcome_model)
        actual = fit.predict(pooled)
        arms = []
        for value in (1.0, 0.0):
            set_to = np.hstack([x, np.full_like(t, value), value * x[:, chosen]])
            arms.append(
                _standard_mean(
                    pooled, data.y, fit, actual, fit.predict(set_to), set_to, target, np.ones(len(t))
                )
            )
    (mean1, influence1), (mean0, influence0) = arms
    sizes = float(data.treated.sum()), float((~data.treated).sum())
    return _Means(mean1, mean0, influence1, influence0, *sizes)


def _target(treated: np.ndarray, estimand: Estimand) -> np.ndarray:
    """1 for rows of the target population, 0 for others."""
    if estimand == "ATE":
        return np.ones(len(treated))
    if estimand not in ("ATT", "ATC"):
        raise CheckFailed(f"estimand: must be ATE, ATT or ATC, is {estimand}")
    return (treated if estimand == "ATT" else ~treated).astype(float)


def _fitted(
    data: _Data,
    x: np.ndarray,
    y: np.ndarray,
    terms: Sequence[str],
    outcome_model: str,
    size: np.ndarray | None = None,
) -> Fit:
    if outcome_model not in ("auto", "linear", "logistic"):
        raise CheckFailed(f"outcome_model: must be auto, linear or logistic, is {outcome_model}")
    if outcome_model == "logistic" and not data.binary:
        raise CheckFailed("effect: a logistic outcome model needs outcomes of 0 and 1")
    if outcome_model == "logistic" or (outcome_model == "auto" and data.binary):
        return logistic(x, y, terms, size)
    return least_squares(x, y, terms, size)


def _arm(
    data: _Data, x: np.ndarray, mine: np.ndarray, terms: Sequence[str], outcome_model: str
) -> tuple[Fit, np.ndarray]:
    """Outcome model of one arm, and its prediction for every row. The bread is per row of all rows."""
    patients = int(data.size[mine].sum())
    if patients <= x.shape[1]:
        raise NotEstimable(f"{patients} patients of one protocol are too few for {x.shape[1]} terms")
    fit = _fitted(data, x[mine], data.y[mine], terms, outcome_model, data.size[mine])
    fit = replace(fit, bread=fit.bread * len(mine) / mine.sum())
    return fit, fit.predict(x)


def _standard_mean(
    x: np.ndarray,
    y: np.ndarray,
    fit: Fit,
    actual: np.ndarray,
    predicted: np.ndarray,
    set_to: np.ndarray,
    target: np.ndarray,
    used: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Mean prediction over the target population, with influences: its own spread and the coefficients'.

    `actual` is what the model says of the rows as they are (`x`), `predicted` with the protocol `set_to`.
    """
    mean = float(target @ predicted / target.sum())
    gradient = set_to.T @ (target * fit.slope(predicted)) / target.sum()
    own = target * (predicted - mean) / target.mean()
    return mean, own + used * (y - actual) * (x @ (fit.bread @ gradient))


# ── doubly robust ───────────────────────────────────────────────────────────────────────────────────────


def _doubly_robust(
    data: _Data,
    model: PropensityModel,
    covariates: Sequence[str],
    estimand: Estimand,
    outcome_model: str,
    clip: tuple[float, float] | None,
    standard_error: StandardError,
) -> _Means:
    scores, moved = clipped(model.scores, clip)
    same = tuple(covariates) == model.pattern.covariates
    built = model.pattern if same else design(data.frame, "effect", covariates)
    target = _target(data.treated, estimand)
    tilt = {"ATE": np.ones_like(scores), "ATT": scores, "ATC": 1 - scores}[estimand]
    arms, effective = [], []
    for mine, probability in ((data.treated, scores), (~data.treated, 1 - scores)):
        fit, predicted = _arm(data, built.matrix, mine, built.terms, outcome_model)
        weights = np.where(mine, tilt / probability, 0.0)
        # In the arm that is the target itself the weights are 1 and the outcome needs no model.
        plug_in = target * predicted + weights * (data.y - predicted)
        mean = float(data.size @ plug_in / (data.size @ target))
        influence = (plug_in - target * mean) / (data.size @ target / data.rows)
        if standard_error == "stacked":
            x = built.matrix
            gradient = x.T @ ((target - weights) * fit.slope(predicted)) / target.sum()
            influence += mine * (data.y - predicted) * (x @ (fit.bread @ gradient))
            slope = np.where(moved, 0.0, _weight_slope(weights, scores, data.treated, estimand))
            influence += _by_propensity(model, slope, data.y - predicted, target)
        arms.append((mean, influence))
        effective.append(effective_sample_size(weights[mine], data.size[mine]))
    (mean1, influence1), (mean0, influence0) = arms
    share_moved = float(data.size @ moved / data.rows)
    return _Means(
        mean1, mean0, influence1, influence0, effective[0], effective[1], share_moved, model.version
    )


# ── from means to rows ──────────────────────────────────────────────────────────────────────────────────


def _effect(
    data: _Data, method: str, estimand: str, measure: str, level: float, means: Callable[[], _Means]
) -> pl.DataFrame:
    if measure not in ("difference", "ratio"):
        raise CheckFailed(f"measure: must be difference or ratio, is {measure}")
    two_sided(level)
    sizes = int(data.size[data.treated].sum()), int(data.size[~data.treated].sum())
    labels = {
        "method": method, "estimand": estimand, "measure": measure, "level": level,
        "size_treated": sizes[0], "size_control": sizes[1],
    }  # fmt: skip
    try:
        if min(sizes) < 2:
            raise NotEstimable(f"{sizes[0]} patients of one protocol and {sizes[1]} of the other")
        measured = _measured(data, means(), measure, level)
    except NotEstimable as reason:
        measured = {"reason": f"not estimable: {reason}"}
    return pl.DataFrame([{**labels, **measured}], schema=EFFECT)


def _measured(data: _Data, means: _Means, measure: str, level: float) -> dict[str, Any]:
    centre, influence = _centre(means, measure)
    error = data.error(influence)
    if not error > 0:
        raise NotEstimable("the outcome does not vary")
    quantile = (
        stats.t.ppf(1 - (1 - level) / 2, means.degrees)
        if math.isfinite(means.degrees)
        else (two_sided(level))
    )
    lower, upper = centre - quantile * error, centre + quantile * error
    statistic = abs(centre / error)
    p = 2 * (
        stats.t.sf(statistic, means.degrees) if math.isfinite(means.degrees) else special.ndtr(-statistic)
    )
    back: Callable[[float], float] = math.exp if measure == "ratio" else float
    return {
        "value": back(centre),
        "standard_error": error,
        "lower": back(lower),
        "upper": back(upper),
        "p": float(p),
        "mean_treated": means.treated,
        "mean_control": means.control,
        "effective_size_treated": means.effective_treated,
        "effective_size_control": means.effective_control,
        "clipped_share": means.clipped_share,
        "propensity_version": means.version,
        **_e_values(data, means, measure, (centre, lower, upper)),
    }


def _centre(means: _Means, measure: str) -> tuple[float, np.ndarray]:
    if measure == "difference":
        return means.treated - means.control, means.influence_treated - means.influence_control
    if means.treated <= 0 or means.control <= 0:
        raise NotEstimable("a ratio needs two means above 0")
    return (
        math.log(means.treated / means.control),
        means.influence_treated / means.treated - means.influence_control / means.control,
    )


def mean_error(
    influence: np.ndarray, clusters: np.ndarray | None = None, size: np.ndarray | None = None
) -> float:
    """Standard error of a mean from its influences; with clusters, of sums over clusters, with the factor
    m / (m - 1). `size`: how many rows have each influence, one unless given. Source: Liang and Zeger,
    Biometrika 73 (1986) 13-22."""
    each = np.ones(len(influence)) if size is None else size
    if clusters is None:
        return float(np.sqrt((each * influence) @ influence) / each.sum())
    return _clustered_error(np.bincount(clusters, weights=each * influence), int(each.sum()))


def _clustered_error(sums: np.ndarray, rows: int) -> float:
    if len(sums) < 2:
        raise NotEstimable("one cluster says nothing about the spread between clusters")
    return float(np.sqrt(sums @ sums * len(sums) / (len(sums) - 1))) / rows


def _e_values(
    data: _Data, means: _Means, measure: str, estimate: tuple[float, float, float]
) -> dict[str, float | None]:
    """Of a ratio directly; of a difference of risks by the ratio of the same two risks, and its limits."""
    if measure == "ratio":
        value, lower, upper = (math.exp(part) for part in estimate)
    elif data.binary:
        try:
            centre, influence = _centre(means, "ratio")
        except NotEstimable:
            return {"e_value": None, "e_value_limit": None}
        half = (
            (estimate[2] - estimate[0])
            / max(data.error(means.influence_treated - means.influence_control), 1e-300)
            * data.error(influence)
        )
        value, lower, upper = (math.exp(part) for part in (centre, centre - half, centre + half))
    else:
        spread = _pooled_deviation(data)
        if not spread > 0:
            return {"e_value": None, "e_value_limit": None}
        value, lower, upper = (approximate_risk_ratio(part, spread) for part in estimate)
    return {"e_value": e_value(value), "e_value_limit": e_value_of_limit(lower, upper)}


def _pooled_deviation(data: _Data) -> float:
    total = 0.0
    for mine in (data.treated, ~data.treated):
        y, size = data.y[mine], data.size[mine]
        total += float(size @ (y - size @ y / size.sum()) ** 2)
    return math.sqrt(total / (data.rows - 2)) if data.rows > 2 else 0.0
