"""Repeated measures over a series: a linear mixed model with nested random intercepts, by REML.

rows -> sums a patient, an operator, a clinic -> restricted likelihood -> fixed effects, variances, shrunken
effects

Exact, not an approximation: with nested intercepts the inverse of the covariance needs only sums within
groups, and how far an innermost group is pulled depends on its size alone. So the likelihood costs one pass
over the groups above the innermost, by size of these, not over the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import optimize, special, stats

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import numbers, require, two_sided
from warehouse.metrics.regression import NotEstimable, design, gram, inverse

FIXED: dict[str, pl.DataType] = {
    "term": pl.String(),
    "value": pl.Float64(),
    "standard_error": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "p": pl.Float64(),
}
COMPONENTS: dict[str, pl.DataType] = {
    "component": pl.String(),
    "groups": pl.Int64(),
    "variance": pl.Float64(),
    "standard_deviation": pl.Float64(),
    "share": pl.Float64(),
}


@dataclass(frozen=True)
class MixedModel:
    """`fixed`: one row a term (FIXED, Wald intervals). `components`: one row a level and the residual
    (COMPONENTS; `share` of the total variance). `effects`: by level, one row a group: the keys down to it,
    `rows`, `value` (shrunken towards 0), `standard_error` (of the prediction, that of the fixed effects in
    it, the variances taken as known), `prediction_error` (that of the variances in it, too), and from it
    `lower`, `upper`. These three are null where the level's variance is estimated as 0 (every group's effect
    is then predicted as 0, with nothing to say how far off that is) or cannot be told from the others.
    `reason` says why all of them are empty; `log_likelihood` is the restricted one."""

    fixed: pl.DataFrame
    components: pl.DataFrame
    effects: dict[str, pl.DataFrame]
    log_likelihood: float | None
    rows: int
    reason: str | None = None


@dataclass(frozen=True)
class _Nested:
    """Sums of [X y] over the innermost groups, and where each level's groups begin in the level below.

    `by_size`: how the innermost groups add up to all that the likelihood needs of them."""

    sums: np.ndarray
    starts: list[np.ndarray]
    total: np.ndarray
    rows: int
    by_size: "_BySize"


@dataclass(frozen=True)
class _BySize:
    """Innermost groups of equal size added up: `sizes` in rows, `counts` of groups, `grams` of their sums;
    and `parts`, their sums within each group above, of the size with that `index`; a group above begins at
    each of `starts`."""

    sizes: np.ndarray
    counts: np.ndarray
    grams: np.ndarray
    parts: np.ndarray
    index: np.ndarray
    starts: np.ndarray

    def pulled(self, ratio: float) -> np.ndarray:
        """Sums of V⁻¹[X y] over each group above the innermost, at the innermost's variance ratio."""
        shrink = 1 + ratio * self.sizes[self.index]
        return np.add.reduceat(self.parts / shrink[:, None], self.starts, axis=0)


@dataclass(frozen=True)
class _Fit:
    """What follows from variance ratios; `covariance` is that of the fixed effects `beta`."""

    ratios: np.ndarray
    residual: float
    beta: np.ndarray
    covariance: np.ndarray
    deviance: float


_STEP = 0.05
"""Of the logarithm of a variance ratio, to either side."""


def mixed_model(
    frame: pl.DataFrame,
    *,
    outcome: str,
    covariates: Sequence[str] = (),
    groups: Sequence[str] = ("clinic_id", "operator_id", "patient_key"),
    level: float = 0.95,
    shrunken: Sequence[str] | None = None,
) -> MixedModel:
    """Outcome on covariates with a random intercept for each of `groups`, outermost first, each nested in
    those before it: an operator is one of a clinic, a patient one of an operator (who sees two operators has
    two). `shrunken`: of which levels the effects are wanted, all unless given; the outer ones cost little.

    REML. Raises CheckFailed for bad columns; `reason` where there is nothing to estimate.
    Source: Patterson and Thompson, Biometrika 58 (1971) 545-554; Laird and Ware, Biometrics 38 (1982)
    963-974; shrunken effects: Robinson, Statistical Science 6 (1991) 15-32; their errors with the variances
    estimated: Kackar and Harville, JASA 79 (1984) 853-862, and Prasad and Rao, JASA 85 (1990) 163-171;
    degrees of freedom: Satterthwaite, Biometrics Bulletin 2 (1946) 110-114.
    """
    quantile = two_sided(level)
    if not groups:
        raise CheckFailed("mixed model: needs at least one level of groups")
    require(frame, "mixed model", groups)
    wanted = tuple(groups) if shrunken is None else tuple(shrunken)
    if not set(wanted) <= set(groups):
        raise CheckFailed("mixed model: shrunken must name levels of groups")
    told = frame.sort(*groups)
    y = numbers(told, "mixed model", outcome)
    built = design(told, "mixed model", covariates)
    try:
        if told.height <= built.matrix.shape[1]:
            raise NotEstimable(f"{told.height} rows are too few for {built.matrix.shape[1]} terms")
        nested, keys = _nested(told, groups, built.matrix, y)
        inverse(nested.total[:-1, :-1], built.terms)
        for name, starts in zip(groups, nested.starts, strict=True):
            if len(starts) < 2:
                raise NotEstimable(f"{name} has fewer than two groups")
        if len(nested.starts[-1]) == told.height:
            raise NotEstimable(
                f"{groups[-1]} has a single row each: its variance cannot be told from the rest"
            )
        ratios = _maximum(nested)
    except NotEstimable as reason:
        empty = pl.DataFrame(schema=FIXED), pl.DataFrame(schema=COMPONENTS)
        return MixedModel(*empty, {}, None, told.height, f"not estimable: {reason}")
    fit = _fit(nested, ratios, built.terms)
    beta, residual, deviance = fit.beta, fit.residual, fit.deviance
    error = np.sqrt(np.diag(fit.covariance))
    fixed = pl.DataFrame(
        {
            "term": built.terms,
            "value": beta,
            "standard_error": error,
            "lower": beta - quantile * error,
            "upper": beta + quantile * error,
            "level": level,
            "p": 2 * special.ndtr(-np.abs(beta / error)),
        },
        schema=FIXED,
    )
    return MixedModel(
        fixed, _components(groups, nested, ratios, residual),
        _effects(groups, wanted, nested, keys, fit, built.terms, level),
        -deviance / 2, told.height,
    )  # fmt: skip


def _nested(
    told: pl.DataFrame, groups: Sequence[str], x: np.ndarray, y: np.ndarray
) -> tuple[_Nested, list[pl.DataFrame]]:
    """`told` is sorted by the groups, so that each group is a run of rows."""
    rows, keys = [], []
    changed = np.zeros(told.height, dtype=bool)
    for name in groups:
        column = told[name]
        changed = changed | (column != column.shift(1)).fill_null(True).to_numpy()
        rows.append(np.flatnonzero(changed))
        keys.append(told.select(groups[: len(rows)])[rows[-1]])
    z = np.hstack([x, y[:, None]])
    sums = np.add.reduceat(z, rows[-1], axis=0)
    # Where each outer group begins, counted in groups of the level below.
    starts = [np.searchsorted(rows[i + 1], rows[i]) for i in range(len(rows) - 1)] + [rows[-1]]
    return _Nested(sums, starts, gram(z), told.height, _by_size(sums, starts)), keys


def _by_size(sums: np.ndarray, starts: list[np.ndarray]) -> _BySize:
    sizes, index, counts = np.unique(np.round(sums[:, 0]), return_inverse=True, return_counts=True)
    by_size = np.split(np.argsort(index, kind="stable"), np.cumsum(counts)[:-1])
    above = np.zeros(len(sums), dtype=np.int64)
    if len(starts) > 1:
        above[starts[-2][1:]] = 1
        above = np.cumsum(above)
    order = np.lexsort((index, above))
    above, index = above[order], index[order]
    parts = np.flatnonzero(np.diff(above * len(sizes) + index, prepend=-1))
    return _BySize(
        sizes, counts, np.stack([gram(sums[members]) for members in by_size]),
        np.add.reduceat(sums[order], parts, axis=0), index[parts],
        np.flatnonzero(np.diff(above[parts], prepend=-1)),
    )  # fmt: skip


def _deviance(nested: _Nested, ratios: np.ndarray) -> tuple[float, np.ndarray]:
    """-2 restricted log likelihood at variance ratios (level by level over the residual), the residual
    variance profiled out; and [X y]'V⁻¹[X y] with V in units of the residual variance."""
    innermost = nested.by_size
    shrink = 1 + ratios[-1] * innermost.sizes
    swept = nested.total - np.tensordot(ratios[-1] / shrink, innermost.grams, axes=1)
    log_determinant = float(innermost.counts @ np.log(shrink))
    sums = innermost.pulled(ratios[-1])
    for index in range(len(ratios) - 2, -1, -1):
        if index < len(ratios) - 2:
            sums = np.add.reduceat(sums, nested.starts[index], axis=0)
        shrink = 1 + ratios[index] * sums[:, 0]  # the constant's sum is 1'V⁻¹1
        swept = swept - gram(sums, ratios[index] / shrink)
        log_determinant += float(np.log(shrink).sum())
        sums = sums / shrink[:, None]
    xx, xy = swept[:-1, :-1], swept[:-1, -1]
    degrees = nested.rows - len(xx)
    rest = float(swept[-1, -1] - xy @ np.linalg.solve(xx, xy))
    if rest <= 1e-12 * nested.total[-1, -1]:  # less is what rounding leaves
        raise NotEstimable("the outcome is explained without a rest")
    deviance = degrees * (1 + np.log(2 * np.pi * rest / degrees)) + log_determinant
    return float(deviance + np.linalg.slogdet(xx)[1]), swept


def _fit(nested: _Nested, ratios: np.ndarray, terms: Sequence[str]) -> _Fit:
    """Fixed effects and residual variance that belong to these variance ratios."""
    deviance, swept = _deviance(nested, ratios)
    xx, xy = swept[:-1, :-1], swept[:-1, -1]
    bread = inverse(xx, terms)
    beta = bread @ xy
    residual = float(swept[-1, -1] - xy @ beta) / (nested.rows - len(beta))
    return _Fit(ratios, residual, beta, residual * bread, deviance)


def _maximum(nested: _Nested) -> np.ndarray:
    """Variance ratios of highest restricted likelihood; searched as standard deviations, which may be 0."""

    def objective(roots: np.ndarray) -> float:
        return _deviance(nested, roots**2)[0]

    start = np.full(len(nested.starts), 0.7)
    bounds = [(0.0, 1e3)] * len(start)
    options = {"xatol": 1e-6, "fatol": 1e-8, "maxiter": 400 * len(start)}
    rough = optimize.minimize(objective, start, method="L-BFGS-B", bounds=bounds)
    found = optimize.minimize(objective, rough.x, method="Nelder-Mead", bounds=bounds, options=options)
    best = rough if rough.fun < found.fun else found
    return np.where(best.x < 1e-4, 0.0, best.x) ** 2


def _components(groups: Sequence[str], nested: _Nested, ratios: np.ndarray, residual: float) -> pl.DataFrame:
    variances = [*(ratios * residual).tolist(), residual]
    sizes = [*(len(starts) for starts in nested.starts), nested.rows]
    return pl.DataFrame(
        {
            "component": [*groups, "residual"],
            "groups": sizes,
            "variance": variances,
            "standard_deviation": np.sqrt(variances),
            "share": np.array(variances) / sum(variances),
        },
        schema=COMPONENTS,
    )


def _effects(
    groups: Sequence[str],
    wanted: Sequence[str],
    nested: _Nested,
    keys: list[pl.DataFrame],
    fit: _Fit,
    terms: Sequence[str],
    level: float,
) -> dict[str, pl.DataFrame]:
    """Shrunken effects with intervals that know of the variances' own error.

    How far a prediction moves with the variances within their error counts twice: once as its own error, and
    once because its standard error, put in at the estimates, is too small by as much on average.
    """
    depth = 1 + max((groups.index(name) for name in wanted), default=-1)
    predicted = _shrunken(nested, fit, depth)
    sizes = [nested.sums[:, 0]]
    for starts in reversed(nested.starts[:-1]):
        sizes.insert(0, np.add.reduceat(sizes[0], starts))
    effects: dict[str, pl.DataFrame] = {}
    for index, (moves, degrees) in enumerate(_with_variances(nested, fit, terms, predicted)):
        value, variance = predicted[index]
        told = keys[index].with_columns(
            rows=pl.Series(sizes[index].round().astype(np.int64)),
            value=pl.Series(value),
            standard_error=pl.Series(np.sqrt(variance)),
            prediction_error=pl.Series(np.sqrt(variance + 2 * moves)),
            half=pl.Series(stats.t.ppf(1 - (1 - level) / 2, degrees)),
        )
        told = told.with_columns(
            lower=pl.col("value") - pl.col("half") * pl.col("prediction_error"),
            upper=pl.col("value") + pl.col("half") * pl.col("prediction_error"),
        )
        effects[groups[index]] = told.drop("half").with_columns(
            pl.col("prediction_error", "lower", "upper").fill_nan(None)
        )
    return {name: effects[name] for name in groups if name in wanted}


def _with_variances(
    nested: _Nested, fit: _Fit, terms: Sequence[str], predicted: list[tuple[np.ndarray, np.ndarray]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """By level and group: the variance of the prediction that comes from the variances' estimation, and the
    degrees of freedom of the prediction's own variance; NaN where the level's ratio is 0, or the likelihood
    too flat to tell. By differences along the logarithm of each ratio that is not 0."""
    free = np.flatnonzero(fit.ratios > 0)

    def at(move: np.ndarray) -> np.ndarray:
        ratios = fit.ratios.copy()
        ratios[free] *= np.exp(move)
        return ratios

    steps = np.eye(len(free)) * _STEP
    curvature = np.empty((len(free), len(free)))
    for i, a in enumerate(steps):
        for j, b in enumerate(steps):
            corners = [(a + b, 1), (a - b, -1), (b - a, -1), (-a - b, 1)]
            bent = sum(sign * _deviance(nested, at(move))[0] / 2 for move, sign in corners)
            curvature[i, j] = bent / (4 * _STEP**2)
    told = len(free) > 0 and float(np.linalg.eigvalsh(curvature)[0]) > 0
    covariance = np.linalg.inv(curvature) if told else curvature
    depth = len(predicted)
    around = [
        [_shrunken(nested, _fit(nested, at(move), terms), depth) for move in (step, -step)] for step in steps
    ]
    found = []
    for index, (value, _) in enumerate(predicted):
        if not told or fit.ratios[index] == 0:
            found.append((np.full(len(value), np.nan), np.full(len(value), np.nan)))
            continue
        slope = np.array([(up[index][0] - down[index][0]) / (2 * _STEP) for up, down in around])
        widening = np.array([np.log(up[index][1] / down[index][1]) / (2 * _STEP) for up, down in around])
        moves = np.einsum("ji,jk,ki->i", slope, covariance, slope)
        spread = np.einsum("ji,jk,ki->i", widening, covariance, widening)
        found.append((moves, 2 / (spread + 2 / (nested.rows - len(fit.beta)))))
    return found


def _shrunken(nested: _Nested, fit: _Fit, depth: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Best linear unbiased predictions and their variances, the ratios taken as known; of the
    outermost `depth` levels: each explains what those above have left.

    The prediction is linear in y, so that the same steps on the columns of X say how it moves with the fixed
    effects; their error is added to that of the prediction.
    """
    ratios, residual, beta = fit.ratios, fit.residual, fit.beta
    levels = len(ratios)
    below = [nested.sums]  # V⁻¹[X y] added up by group, innermost first
    for index in range(levels - 1, 0, -1):
        if index == levels - 1:
            below.append(nested.by_size.pulled(ratios[index]))
        else:
            shrink = 1 + ratios[index] * below[-1][:, 0]
            below.append(np.add.reduceat(below[-1] / shrink[:, None], nested.starts[index - 1], axis=0))
    found = []
    above, above_variance = np.zeros((1, len(beta) + 1)), np.zeros(1)
    for index in range(depth):
        rest = below[levels - 1 - index]
        weight = rest[:, 0]  # the constant's: 1'V⁻¹1
        if index == 0:
            above, above_variance = np.repeat(above, len(rest), axis=0), np.zeros(len(rest))
        else:
            counts = np.diff(np.append(nested.starts[index - 1], len(rest)))
            above, above_variance = np.repeat(above, counts, axis=0), np.repeat(above_variance, counts)
        shrink = 1 + ratios[index] * weight
        pull = ratios[index] * weight / shrink
        moved = ratios[index] * (rest - above * weight[:, None]) / shrink[:, None]
        variance = residual * ratios[index] / shrink + pull**2 * above_variance
        variance = variance + np.einsum("ij,jk,ik->i", moved[:, :-1], fit.covariance, moved[:, :-1])
        found.append((moved[:, -1] - moved[:, :-1] @ beta, variance))
        # What the levels below have to explain is what is left after all effects above.
        above_variance = residual * ratios[index] / shrink + (1 - pull) ** 2 * above_variance
        above = above + moved
    return found
