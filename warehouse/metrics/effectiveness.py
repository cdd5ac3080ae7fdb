"""What protocols achieve."""

import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics import cards, intervals
from warehouse.metrics.frames import CELL, KEY, check, result

NO_CHANGE = 4.0
"""The GAIS score that means no change; 1 is very much improved, 5 worse."""
_WORST, _BEST = 5.0, 1.0
_PATIENT: dict[str, pl.DataType] = {
    "clinic_id": pl.String(),
    "patient_key": pl.String(),
    "protocol_id": pl.String(),
    "gais_score": pl.Float64(),
}


def protocol_improvement(patients: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Mean gain in GAIS grades per patient, one RESULT row per cell.

    `patients`: one row per patient of a clinic, with `clinic_id`, `patient_key`, `protocol_id`, `gais_score`.
    `cells`: CELL, of scope network or protocol; a cell without patients gets nulls and a reason, and so does
    one with a single patient, whose spread is unknown. Raises CheckFailed.
    Source: Student's t interval of a mean, see the card.
    """
    card = cards.PROTOCOL_IMPROVEMENT
    checked = check(patients, f"{card.id} patients", _PATIENT, key=("clinic_id", "patient_key"))
    if not checked["gais_score"].is_between(_BEST, _WORST).all():
        raise CheckFailed(f"{card.id} patients.gais_score: must lie between {_BEST:g} and {_WORST:g}")
    gains = checked.with_columns(gain=NO_CHANGE - pl.col("gais_score"))
    spread = (
        check(cells, f"{card.id} cells", CELL, key=KEY)
        .join(_by_scope(gains), on=["scope", "scope_id"], how="left")
        .with_columns(pl.col("size", "total").fill_null(0))
    )
    lower, upper = intervals.mean_t(spread["mean"], spread["deviation"], spread["size"], level=card.level)
    return result(
        card,
        spread.select(
            *CELL,
            numerator=pl.col("total"),
            denominator=pl.col("size"),
            value=pl.when(pl.col("size") >= 2).then(pl.col("mean")),
            lower=lower,
            upper=upper,
            reason=pl.when(pl.col("size") == 0)
            .then(pl.lit(f"no {card.denominator}"))
            .when(pl.col("size") == 1)
            .then(pl.lit("only one patient: no interval can be given")),
        ),
    )


def _by_scope(gains: pl.DataFrame) -> pl.DataFrame:
    """Size, total, mean and standard deviation (n - 1; null for one) per protocol and over the network."""
    measures = (
        pl.len().cast(pl.Int64).alias("size"),
        pl.col("gain").sum().alias("total"),
        pl.col("gain").mean().alias("mean"),
        pl.col("gain").std().alias("deviation"),
    )
    by_protocol = gains.group_by(pl.col("protocol_id").alias("scope_id"), maintain_order=True).agg(*measures)
    return pl.concat(
        [
            gains.select(pl.lit("network").alias("scope"), pl.lit("network").alias("scope_id"), *measures),
            by_protocol.select(pl.lit("protocol").alias("scope"), pl.all()),
        ]
    )
