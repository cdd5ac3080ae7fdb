"""The shapes that enter and leave every metric function, and the checks at the edge.

counts by scope and interval -> check -> measure with its interval -> RESULT
"""

from collections.abc import Callable, Mapping

import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics.cards import MetricCard
from warehouse.metrics.intervals import Limits

INSTANT = pl.Datetime("us", "UTC")

CELL: dict[str, pl.DataType] = {
    "scope": pl.String(),
    "scope_id": pl.String(),
    "period": pl.String(),
    "interval_start": INSTANT,
    "interval_end": INSTANT,
}
"""What a result is about. A cell occurs once; its key leaves `interval_end` out."""

KEY = ("scope", "scope_id", "period", "interval_start")

RESULT: dict[str, pl.DataType] = {
    "metric_id": pl.String(),
    "metric_version": pl.Int32(),
    **CELL,
    "numerator": pl.Float64(),
    "denominator": pl.Float64(),
    "value": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "unit": pl.String(),
    "method": pl.String(),
    "reason": pl.String(),
    "expected": pl.Float64(),
    "statistic": pl.Float64(),
    "threshold": pl.Float64(),
    "p": pl.Float64(),
    "q": pl.Float64(),
    "detectable_ratio": pl.Float64(),
    "flag": pl.String(),
    "consecutive_flags": pl.Int32(),
    "change": pl.Float64(),
}
"""Columns of mart.metric_result without as_of, snapshot_id and computed_at, in order. From `expected` on they
are
null for metrics that are compared with nothing."""


def check(
    frame: pl.DataFrame, name: str, schema: Mapping[str, pl.DataType], *, key: tuple[str, ...]
) -> pl.DataFrame:
    """The columns of `schema`, in its order, once they hold: present, of their type, without null or NaN,
    unique by `key`. Any width of integer passes for Int64 and is widened.

    Raises CheckFailed naming the frame, the column and the rule.
    """
    for column, dtype in schema.items():
        if column not in frame.columns:
            raise CheckFailed(f"{name}.{column}: column is missing")
        found = frame.schema[column]
        if found != dtype and not (dtype == pl.Int64() and found.is_integer()):
            raise CheckFailed(f"{name}.{column}: must be {dtype}, is {found}")
    checked = frame.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
    for column, dtype in schema.items():
        if checked[column].null_count():
            raise CheckFailed(f"{name}.{column}: must not be null")
        if dtype.is_float() and checked[column].is_nan().any():
            raise CheckFailed(f"{name}.{column}: must not be NaN")
    if checked.select(key).is_duplicated().any():
        raise CheckFailed(f"{name}: {', '.join(key)} must be unique")
    return checked


def check_counts(frame: pl.DataFrame, name: str, *, numerator: str, denominator: str) -> pl.DataFrame:
    """Cells with two counts, `0 <= numerator <= denominator`.

    Raises CheckFailed naming the frame, the column and the rule.
    """
    checked = check(frame, name, {**CELL, denominator: pl.Int64(), numerator: pl.Int64()}, key=KEY)
    for column in (denominator, numerator):
        if (checked[column] < 0).any():
            raise CheckFailed(f"{name}.{column}: must not be negative")
    if (checked[numerator] > checked[denominator]).any():
        raise CheckFailed(f"{name}.{numerator}: must not exceed {denominator}")
    return checked


def proportion(
    card: MetricCard,
    counts: pl.DataFrame,
    *,
    numerator: str,
    denominator: str,
    interval: Callable[..., Limits],
    per: float = 1.0,
) -> pl.DataFrame:
    """RESULT rows of `numerator / denominator * per`, one per cell; null with a reason where that is 0 / 0.

    Raises CheckFailed.
    """
    checked = check_counts(counts, card.id, numerator=numerator, denominator=denominator)
    lower, upper = interval(checked[numerator], checked[denominator], level=card.level)
    return result(
        card,
        checked.select(
            *CELL,
            numerator=pl.col(numerator),
            denominator=pl.col(denominator),
            value=pl.when(pl.col(denominator) > 0).then(pl.col(numerator) / pl.col(denominator) * per),
            lower=lower * per,
            upper=upper * per,
            reason=pl.when(pl.col(denominator) == 0).then(pl.lit(f"no {card.denominator}")),
        ),
    )


def result(card: MetricCard, measured: pl.DataFrame) -> pl.DataFrame:
    """Measured cells with the card's columns, as RESULT: what they lack is null, except `level` and `method`,
    which are the card's. A NaN here would be our bug."""
    labelled = measured.with_columns(
        metric_id=pl.lit(card.id), metric_version=pl.lit(card.version), unit=pl.lit(card.unit)
    )
    absent = {"level": pl.lit(card.level), "method": pl.lit(card.interval)}
    labelled = labelled.with_columns(
        absent.get(column, pl.lit(None)).alias(column) for column in RESULT if column not in labelled.columns
    )
    complete = labelled.select(pl.col(column).cast(dtype) for column, dtype in RESULT.items())
    numbers = complete.select(pl.col(pl.Float64).is_nan().any())
    assert not any(numbers.row(0)), f"{card.id} computed a NaN"
    return complete


PREVIOUS: dict[str, pl.DataType] = {
    "metric_id": pl.String(),
    "metric_version": pl.Int32(),
    "scope": pl.String(),
    "scope_id": pl.String(),
    "period": pl.String(),
    "value": pl.Float64(),
    "flag": pl.String(),
    "consecutive_flags": pl.Int32(),
}
"""What a row of the day computed before says; once per metric version, scope and period."""


def with_history(rows: pl.DataFrame, previous: pl.DataFrame) -> pl.DataFrame:
    """RESULT rows with `consecutive_flags` (days in a row with the same flag, 0 without one) and `change` (of
    the
    value). Rows of another period than the year keep null: a week's earlier result is another week."""
    key = ["metric_id", "metric_version", "scope", "scope_id", "period"]
    before = previous.select(
        *key, was=pl.col("value"), had=pl.col("flag"), times=pl.col("consecutive_flags").fill_null(0)
    )
    joined = rows.join(before, on=key, how="left", maintain_order="left")
    again = pl.when(pl.col("had") == pl.col("flag")).then(pl.col("times")).otherwise(0)
    year = pl.col("period") == "year"
    return joined.with_columns(
        consecutive_flags=pl.when(year)
        .then(pl.when(pl.col("flag").is_null()).then(0).otherwise(again.fill_null(0) + 1))
        .cast(pl.Int32),
        change=pl.when(year).then(pl.col("value") - pl.col("was")),
    ).select(*rows.columns)
