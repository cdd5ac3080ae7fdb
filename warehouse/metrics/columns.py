"""Columns that enter a statistical method, checked at the edge: present, of their kind, whole.

frame -> check -> numpy array. One clear line names the frame, the column and the rule; never a value.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.special import ndtri

from producers.contracts.errors import CheckFailed


def require(frame: pl.DataFrame, name: str, columns: Sequence[str]) -> None:
    """The columns are there and hold no null. Raises CheckFailed."""
    for column in columns:
        if column not in frame.columns:
            raise CheckFailed(f"{name}.{column}: column is missing")
        if frame[column].null_count():
            raise CheckFailed(f"{name}.{column}: must not be null")


def numbers(frame: pl.DataFrame, name: str, column: str, *, least: float | None = None) -> np.ndarray:
    """A numeric column as floats, none of them NaN or infinite, none below `least`. Raises CheckFailed."""
    require(frame, name, (column,))
    series = frame[column]
    if not series.dtype.is_numeric():
        raise CheckFailed(f"{name}.{column}: must be a number, is {series.dtype}")
    values = series.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        raise CheckFailed(f"{name}.{column}: must not be NaN or infinite")
    if least is not None and (values < least).any():
        raise CheckFailed(f"{name}.{column}: must be at least {least:g}")
    return values


def flags(frame: pl.DataFrame, name: str, column: str) -> np.ndarray:
    """A Boolean column, or one of 0 and 1, as Booleans. Raises CheckFailed."""
    require(frame, name, (column,))
    if frame.schema[column] == pl.Boolean:
        return frame[column].to_numpy()
    values = numbers(frame, name, column)
    if not np.isin(values, (0.0, 1.0)).all():
        raise CheckFailed(f"{name}.{column}: must be true or false, or 0 or 1")
    return values == 1.0


def codes(frame: pl.DataFrame, name: str, columns: Sequence[str]) -> tuple[np.ndarray, pl.DataFrame]:
    """Which group each row belongs to, numbered from 0 in the order of the keys, and the keys in that order.

    Without columns there is one group. Raises CheckFailed.
    """
    if not columns:
        return np.zeros(frame.height, dtype=np.int64), pl.DataFrame(height=1)
    require(frame, name, columns)
    keys = frame.select(columns).unique().sort(columns)
    numbered = keys.with_row_index("_code")
    found = frame.select(columns).join(numbered, on=list(columns), how="left", maintain_order="left")
    return found["_code"].to_numpy().astype(np.int64), keys


def starts(frame: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """True at the first row of each run of equal keys; in a sorted frame, of each group. No columns: one
    run."""
    first = np.arange(frame.height) == 0
    for column in columns:
        values = frame[column]
        first = first | (values != values.shift(1)).fill_null(True).to_numpy()
    return first


def cells(frame: pl.DataFrame, columns: Sequence[str], *, size: str = "_size") -> pl.DataFrame:
    """Rows that are equal in `columns` as one, in the order of their values, with their number in `size`.

    A model of categories then costs what its cells cost, however many patients they hold. Nothing is rounded
    or binned: with fractions among the columns there may be as many cells as rows.
    """
    alike = list(dict.fromkeys(columns))
    return frame.group_by(alike).agg(pl.len().cast(pl.Float64).alias(size)).sort(alike)


def two_sided(level: float) -> float:
    """The standard normal quantile of a two-sided interval of that level."""
    if not 0 < level < 1:
        raise CheckFailed(f"level: must lie between 0 and 1, is {level:g}")
    return float(ndtri(1 - (1 - level) / 2))
