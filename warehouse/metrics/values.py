"""Columns of numbers at the edge of the statistical functions: checked once, then plain float arrays.

Everything that is a number, a sequence, an array or a polars column is accepted; whatever breaks a rule is
refused in one line that names the function's argument and the rule. Nothing is dropped in silence.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from producers.contracts.errors import CheckFailed

Numbers = pl.Series | np.ndarray | Sequence[float] | float
"""One number or a column of them."""


def numbers(values: Any, name: str) -> np.ndarray:
    """The values as a one-dimensional float array, without null, NaN or infinity. Raises CheckFailed."""
    if isinstance(values, pl.Series) and values.null_count():
        raise CheckFailed(f"{name}: must not be null")
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError):
        raise CheckFailed(f"{name}: must be numbers") from None
    if array.ndim != 1:
        raise CheckFailed(f"{name}: must be one column")
    if np.isnan(array).any():
        raise CheckFailed(f"{name}: must not be NaN")
    if np.isinf(array).any():
        raise CheckFailed(f"{name}: must be finite")
    return array


def exposures(values: Any, name: str) -> np.ndarray:
    """Numbers that are not negative: person-days, sessions, expected counts. Raises CheckFailed."""
    array = numbers(values, name)
    if (array < 0).any():
        raise CheckFailed(f"{name}: must not be negative")
    return array


def counts(values: Any, name: str) -> np.ndarray:
    """Whole numbers that are not negative. Raises CheckFailed."""
    array = exposures(values, name)
    if (array != np.floor(array)).any():
        raise CheckFailed(f"{name}: must be whole numbers")
    return array


def probabilities(values: Any, name: str) -> np.ndarray:
    """Numbers from 0 to 1. Raises CheckFailed."""
    array = exposures(values, name)
    if (array > 1).any():
        raise CheckFailed(f"{name}: must not exceed 1")
    return array


def together(**columns: np.ndarray) -> list[np.ndarray]:
    """The columns at one length; a single number stands for every row. Raises CheckFailed."""
    try:
        return [np.array(column) for column in np.broadcast_arrays(*columns.values())]
    except ValueError:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise CheckFailed(f"columns must have the same length, are: {lengths}") from None


def of_trials(successes: Any, trials: Any, names: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of whole numbers, the first at most the second, row by row. Raises CheckFailed."""
    pair = {names[0]: counts(successes, names[0]), names[1]: counts(trials, names[1])}
    x, n = together(**pair)
    if (x > n).any():
        raise CheckFailed(f"{names[0]}: must not exceed {names[1]}")
    return x, n


def share(value: float, name: str) -> float:
    """A number strictly between 0 and 1, like a confidence level. Raises CheckFailed."""
    if not 0 < value < 1:
        raise CheckFailed(f"{name}: must lie between 0 and 1")
    return float(value)


def positive(value: float, name: str) -> float:
    """A finite number above 0. Raises CheckFailed."""
    if not 0 < value < np.inf:
        raise CheckFailed(f"{name}: must be a positive number")
    return float(value)


def chosen(value: str, name: str, options: Sequence[str]) -> str:
    """One of the named options. Raises CheckFailed."""
    if value not in options:
        raise CheckFailed(f"{name}: must be one of {', '.join(options)}")
    return value


def column(name: str, values: np.ndarray, known: np.ndarray | None = None) -> pl.Series:
    """A Float64 column in which what is not known, not finite or NaN is null."""
    array = np.asarray(values, dtype=float)
    fit = np.isfinite(array) if known is None else np.isfinite(array) & known
    return pl.Series(name, np.where(fit, array, 0.0)).zip_with(
        pl.Series(fit), pl.Series(name, [None] * len(array), dtype=pl.Float64)
    )


def reasons(length: int, *rules: tuple[np.ndarray, str]) -> pl.Series:
    """The first rule that applies to each row, in words; null where none does."""
    texts = np.full(length, None, dtype=object)
    for applies, text in reversed(rules):
        texts[np.broadcast_to(applies, length)] = text
    return pl.Series("reason", texts.tolist(), dtype=pl.String)
