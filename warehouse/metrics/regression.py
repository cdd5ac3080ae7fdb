"""The two regressions that adjustment rests on: least squares and logistic, on a named design.

frame -> design (columns with names) -> fit (coefficients, information, scores) -> predictions
Everything is exact and repeatable: no sampling, no penalty, no silent dropping of columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import linalg, special

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import numbers, require

_BLOCK = 100_000
"""Rows worked on at a time, so that a million rows need no second copy of their design."""


class NotEstimable(Exception):
    """There is no answer in these data; the text says why. Caught where results are made, never shown raw."""


@dataclass(frozen=True)
class Design:
    """A matrix with named columns, the constant first. `levels`: the categories of each text column, in
    order; the first is the reference."""

    covariates: tuple[str, ...]
    terms: tuple[str, ...]
    levels: dict[str, tuple[str, ...]]
    matrix: np.ndarray


def design(frame: pl.DataFrame, name: str, covariates: Sequence[str]) -> Design:
    """Numbers as they are, truth values as 0 and 1, text as one indicator a category but the first.

    Raises CheckFailed for a missing column, a null or a NaN; a time or a list is no covariate.
    """
    require(frame, name, covariates)
    if len(set(covariates)) < len(covariates):
        raise CheckFailed(f"{name}: a covariate is named twice")
    levels: dict[str, tuple[str, ...]] = {}
    for column in covariates:
        if frame.schema[column] in (pl.String, pl.Categorical) or isinstance(frame.schema[column], pl.Enum):
            levels[column] = tuple(frame[column].cast(pl.String).unique().sort())
    return _built(frame, name, tuple(covariates), levels)


def design_like(frame: pl.DataFrame, name: str, pattern: Design) -> Design:
    """The same columns for other rows. Raises CheckFailed for a category that the pattern has not seen."""
    require(frame, name, pattern.covariates)
    for column, known in pattern.levels.items():
        if not frame[column].cast(pl.String).is_in(known).all():
            raise CheckFailed(f"{name}.{column}: holds a category that the model was not fitted with")
    return _built(frame, name, pattern.covariates, pattern.levels)


def _built(
    frame: pl.DataFrame, name: str, covariates: tuple[str, ...], levels: dict[str, tuple[str, ...]]
) -> Design:
    terms, columns = ["constant"], []
    for column in covariates:
        if column in levels:
            terms += [f"{column}={level}" for level in levels[column][1:]]
        else:
            truth = frame.schema[column] == pl.Boolean
            terms.append(column)
            columns.append(
                numbers(frame.select(pl.col(column).cast(pl.Int8)) if truth else frame, name, column)
            )
    if not columns:
        return Design(covariates, tuple(terms), levels, _cells(frame, levels))
    matrix = np.empty((frame.height, len(terms)), order="C")
    matrix[:, 0] = 1.0
    at, given = 1, iter(columns)
    for column in covariates:
        if column in levels:
            codes = _codes(frame, column, levels[column])
            for place in range(1, len(levels[column])):
                matrix[:, at] = codes == place
                at += 1
        else:
            matrix[:, at] = next(given)
            at += 1
    return Design(covariates, tuple(terms), levels, matrix)


def _codes(frame: pl.DataFrame, column: str, levels: Sequence[str]) -> np.ndarray:
    """Which of the levels each row has, by its place."""
    return frame[column].cast(pl.String).cast(pl.Enum(levels)).to_physical().to_numpy().astype(np.int64)


def _cells(frame: pl.DataFrame, levels: dict[str, tuple[str, ...]]) -> np.ndarray:
    """The matrix of text alone: a row is one of few, so each is made once and then looked up."""
    cell = np.zeros(frame.height, dtype=np.int64)
    for column, known in levels.items():
        cell = cell * max(len(known), 1) + _codes(frame, column, known)
    found, where = np.unique(cell, return_inverse=True)
    rows, rest = [np.ones((len(found), 1))], found
    for known in reversed(levels.values()):
        rest, place = np.divmod(rest, max(len(known), 1))
        rows.insert(1, np.eye(max(len(known), 1))[place][:, 1:])
    return np.hstack(rows)[where]


def gram(x: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """X'WX, block by block."""
    total = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), _BLOCK):
        block = x[start : start + _BLOCK]
        total += block.T @ (block if weights is None else block * weights[start : start + _BLOCK, None])
    return total


def inverse(matrix: np.ndarray, terms: Sequence[str]) -> np.ndarray:
    """Inverse of a symmetric positive matrix; scaled first, so that units of columns do not matter.

    Raises NotEstimable naming a term that the others determine.
    """
    scale = np.sqrt(np.diag(matrix))
    if not (scale > 0).all():
        raise NotEstimable(f"no information on {terms[int(np.argmin(scale))]}")
    scaled = matrix / np.outer(scale, scale)
    _, r, pivot = linalg.qr(scaled, pivoting=True)
    diagonal = np.abs(np.diag(r))
    if diagonal[-1] < 1e-10 * diagonal[0]:
        redundant = terms[int(pivot[int(np.argmax(diagonal < 1e-10 * diagonal[0]))])]
        raise NotEstimable(f"the other covariates determine {redundant}")
    return np.linalg.inv(scaled) / np.outer(scale, scale)


@dataclass(frozen=True)
class Fit:
    """A fitted mean model. `bread` is the inverse of the mean information per row (of all rows given, also
    those of weight 0), so that a coefficient's influence is `bread @ score` of a row."""

    kind: str
    coefficients: np.ndarray
    bread: np.ndarray
    iterations: int
    log_likelihood: float | None = None

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Expected outcome of each row."""
        linear = x @ self.coefficients
        return special.expit(linear) if self.kind == "logistic" else linear

    def slope(self, predicted: np.ndarray) -> np.ndarray:
        """Derivative of the prediction by the linear predictor."""
        return predicted * (1 - predicted) if self.kind == "logistic" else np.ones_like(predicted)


def least_squares(
    x: np.ndarray, y: np.ndarray, terms: Sequence[str], weights: np.ndarray | None = None
) -> Fit:
    """Ordinary or weighted least squares. Raises NotEstimable for columns that determine one another."""
    w = np.ones(len(y)) if weights is None else weights
    information = gram(x, w)
    bread = inverse(information, terms)
    return Fit("linear", bread @ (x.T @ (w * y)), bread * len(y), 1)


def logistic(x: np.ndarray, y: np.ndarray, terms: Sequence[str], weights: np.ndarray | None = None) -> Fit:
    """Logistic regression by iteratively re-weighted least squares (Newton's method with step halving).

    `y` is 0 or 1. Raises NotEstimable where covariates separate the outcomes (the likelihood has no maximum)
    or determine one another. Source: McCullagh and Nelder, Generalized Linear Models, 2nd ed. (1989), §4.4;
    separation: Albert and Anderson, Biometrika 71 (1984) 1-10.
    """
    w = np.ones(len(y)) if weights is None else weights
    if not (w * y).any() or not (w * (1 - y)).any():
        raise NotEstimable("the outcome of the logistic model never varies")
    inverse(gram(x, w), terms)
    coefficients = np.zeros(x.shape[1])
    linear = np.zeros(len(y))
    likelihood = _log_likelihood(linear, y, w)
    iteration = 0
    for _ in range(100):
        iteration += 1
        p = special.expit(linear)
        information = gram(x, w * p * (1 - p))
        try:
            step = inverse(information, terms) @ (x.T @ (w * (y - p)))
        except NotEstimable:
            raise NotEstimable(_SEPARATED) from None
        for _ in range(40):
            moved = linear + x @ step
            better = _log_likelihood(moved, y, w)
            if better >= likelihood - 1e-9 * (1 + abs(likelihood)):
                break
            step = step / 2
        coefficients, linear = coefficients + step, moved
        gained, likelihood = better - likelihood, better
        scale = np.sqrt(np.diag(information))
        if np.max(np.abs(step) * scale) < 1e-8 * max(1.0, np.sqrt(w.sum())) and abs(gained) < 1e-7 * (
            1 + abs(likelihood)
        ):
            break
        if likelihood > -1e-6 * w.sum():
            raise NotEstimable(_SEPARATED)
    else:
        raise NotEstimable(_SEPARATED)
    p = special.expit(linear)
    # Quasi-separation: the likelihood levels off while a coefficient runs away.
    information = gram(x, w * p * (1 - p))
    variances = np.diag(inverse(information, terms))
    spread = w @ (x - w @ x / w.sum()) ** 2 / w.sum()
    if (np.abs(coefficients) * np.sqrt(spread) > 15).any() and (variances * spread > 100).any():
        raise NotEstimable(_SEPARATED)
    return Fit("logistic", coefficients, inverse(information, terms) * len(y), iteration, likelihood)


_SEPARATED = "a covariate separates the groups completely: there is no overlap"


def _log_likelihood(linear: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    return float(np.sum(w * (y * linear - np.logaddexp(0, linear))))
