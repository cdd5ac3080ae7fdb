"""Are the patients of two protocols alike, before and after weighting?"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from warehouse.metrics.columns import flags, numbers
from warehouse.metrics.regression import design

BALANCE: dict[str, pl.DataType] = {
    "term": pl.String(),
    "mean_treated": pl.Float64(),
    "mean_control": pl.Float64(),
    "sd_treated": pl.Float64(),
    "sd_control": pl.Float64(),
    "smd": pl.Float64(),
    "variance_ratio": pl.Float64(),
    "smd_weighted": pl.Float64(),
    "variance_ratio_weighted": pl.Float64(),
    "reason": pl.String(),
}


def balance_table(
    frame: pl.DataFrame,
    *,
    treatment: str,
    covariates: Sequence[str],
    weights: str | None = None,
    size: str | None = None,
) -> pl.DataFrame:
    """Standardised mean difference and variance ratio of each covariate, one row a term (BALANCE).

    A text column has a term for every category, a proportion each. `smd` is treated minus control over the
    root of the mean of both variances (n - 1; p (1 - p) for proportions), of the unweighted groups also in
    `smd_weighted`, so that only the difference changes. `variance_ratio` is null for proportions, which have
    no variance of their own. `size`: column with how many equal patients a row stands for, one unless given.
    Null with a `reason` where a group is empty or nothing varies. Below 0.1 in
    absolute value is commonly called balanced. Raises CheckFailed.

    Source: Austin, Statistics in Medicine 28 (2009) 3083-3107, eqs. 1-2 and §4.1; weighted: Austin and
    Stuart, Statistics in Medicine 34 (2015) 3661-3679.
    """
    treated = flags(frame, "balance", treatment)
    ones = np.ones(frame.height)
    weight = ones if weights is None else numbers(frame, "balance", weights, least=0.0)
    number = ones if size is None else numbers(frame, "balance", size, least=0.0)
    rows = [
        {"term": term, **_row(values, binary, treated, weight, number, weights is not None)}
        for term, values, binary in _terms(frame, covariates)
    ]
    return pl.DataFrame(rows, schema=BALANCE)


def _terms(frame: pl.DataFrame, covariates: Sequence[str]) -> list[tuple[str, np.ndarray, bool]]:
    terms: list[tuple[str, np.ndarray, bool]] = []
    for covariate in covariates:
        built = design(frame, "balance", (covariate,))
        if covariate in built.levels:
            text = frame[covariate].cast(pl.String)
            terms += [
                (f"{covariate}={level}", (text == level).to_numpy().astype(float), True)
                for level in built.levels[covariate]
            ]
        else:
            values = built.matrix[:, 1]
            terms.append((covariate, values, bool(np.isin(values, (0.0, 1.0)).all())))
    return terms


def _row(
    values: np.ndarray,
    binary: bool,
    treated: np.ndarray,
    weight: np.ndarray,
    size: np.ndarray,
    weighted: bool,
) -> dict[str, float | str | None]:
    sizes = int(size[treated].sum()), int(size[~treated].sum())
    if min(sizes) < (1 if binary else 2):
        return {"reason": f"{sizes[0]} treated and {sizes[1]} controls: too few to compare"}
    ones = np.ones(len(values))
    mean1, var1 = _moments(values[treated], ones[treated], size[treated], binary)
    mean0, var0 = _moments(values[~treated], ones[~treated], size[~treated], binary)
    pooled = float(np.sqrt((var1 + var0) / 2))
    row: dict[str, float | str | None] = {
        "mean_treated": mean1,
        "mean_control": mean0,
        "sd_treated": float(np.sqrt(var1)),
        "sd_control": float(np.sqrt(var0)),
        "smd": _ratio(mean1 - mean0, pooled),
        "variance_ratio": None if binary else _ratio(var1, var0),
    }
    if weighted and weight[treated].sum() > 0 and weight[~treated].sum() > 0:
        mean1, var1 = _moments(values[treated], weight[treated], size[treated], binary)
        mean0, var0 = _moments(values[~treated], weight[~treated], size[~treated], binary)
        row["smd_weighted"] = _ratio(mean1 - mean0, pooled)
        row["variance_ratio_weighted"] = None if binary else _ratio(var1, var0)
    if row["smd"] is None:
        row["reason"] = "does not vary within the groups"
    return row


def _moments(values: np.ndarray, weight: np.ndarray, size: np.ndarray, binary: bool) -> tuple[float, float]:
    """Weighted mean and variance of rows that stand for `size` patients each; with weights of 1 the variance
    of n - 1."""
    together = size * weight
    total = together.sum()
    mean = float(together @ values / total)
    if binary:
        return mean, mean * (1 - mean)
    spread = float(together @ (values - mean) ** 2)
    denominator = total - (together @ weight) / total
    return mean, spread / denominator if denominator > 0 else 0.0


def _ratio(numerator: float, denominator: float) -> float | None:
    """0 where nothing differs, null where nothing varies."""
    if denominator > 0:
        return numerator / denominator
    return 0.0 if numerator == 0 else None
