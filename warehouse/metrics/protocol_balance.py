"""Are a protocol's patients like those it is compared with, before and after weighting?"""

from collections.abc import Sequence

import polars as pl

from warehouse.metrics.balance import balance_table
from warehouse.metrics.columns import cells
from warehouse.metrics.propensity import fit_propensity, inverse_probability_weights
from warehouse.metrics.regression import NotEstimable

BALANCE_ROW: dict[str, pl.DataType] = {
    **{name: pl.String() for name in ("protocol_id", "covariate", "category")},
    **{name: pl.Int64() for name in ("patients", "compared")},
    **{name: pl.Float64() for name in ("mean_own", "mean_other", "smd", "smd_weighted")},
    "reason": pl.String(),
}


def protocol_balance(
    compared: pl.DataFrame, *, protocol: str, treatment: str, covariates: Sequence[str]
) -> pl.DataFrame:
    """Standardised mean differences of that protocol's patients (`treatment`) to the others, BALANCE_ROW.

    Weighted by the inverse probability of the protocol, as the adjusted difference is; null with a reason
    where that cannot be estimated. A row a category of a text column, its mean a proportion. Raises
    CheckFailed.
    Source: as `balance.balance_table` and `propensity.inverse_probability_weights`.
    """
    own = int(compared[treatment].sum())
    return (
        _table(cells(compared, (treatment, *covariates)), treatment, covariates)
        .with_columns(
            pl.col("term")
            .str.split_exact("=", 1)
            .struct.rename_fields(["covariate", "category"])
            .alias("_term"),
            protocol_id=pl.lit(protocol),
            patients=pl.lit(own),
            compared=pl.lit(compared.height - own),
            mean_own="mean_treated",
            mean_other="mean_control",
        )
        .unnest("_term")
        .select(pl.col(name).cast(dtype) for name, dtype in BALANCE_ROW.items())
    )


def _table(alike: pl.DataFrame, treatment: str, covariates: Sequence[str]) -> pl.DataFrame:
    size = alike["_size"].to_numpy()
    try:
        model = fit_propensity(alike, treatment=treatment, covariates=covariates, size=size)
    except NotEstimable as reason:
        plain = balance_table(alike, treatment=treatment, covariates=covariates, size="_size")
        return plain.with_columns(reason=pl.coalesce("reason", pl.lit(f"not weighted: {reason}")))
    weight = pl.Series("_weight", inverse_probability_weights(model.scores, model.treated, size=size))
    return balance_table(
        alike.with_columns(weight),
        treatment=treatment,
        covariates=covariates,
        weights="_weight",
        size="_size",
    )
