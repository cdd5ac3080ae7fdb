"""Who stays to be measured: completers against all, and weights for those who left."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import stats

from warehouse.metrics.causal import mean_error
from warehouse.metrics.columns import codes, flags, numbers, require, two_sided
from warehouse.metrics.propensity import effective_sample_size
from warehouse.metrics.regression import NotEstimable, design, logistic

DROPOUT: dict[str, pl.DataType] = {
    "method": pl.String(),
    "value": pl.Float64(),
    "standard_error": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "patients": pl.Int64(),
    "measured": pl.Int64(),
    "effective_size": pl.Float64(),
    "most_weight": pl.Float64(),
    "reason": pl.String(),
}


def ipcw(
    frame: pl.DataFrame, *, measured: str, covariates: Sequence[str], stabilised: bool = True
) -> pl.Series:
    """Inverse probability of censoring weights: for those measured, the overall share over the chance to be
    measured given the covariates (1 over it, unless stabilised); 0 for those who left. In the frame's order.

    Raises NotEstimable where a covariate tells exactly who left.
    Source: Robins and Finkelstein, Biometrics 56 (2000) 779-788; Seaman and White, Statistical Methods in
    Medical Research 22 (2013) 278-295.
    """
    seen = flags(frame, "drop-out", measured)
    if seen.all():
        return pl.Series("weight", np.ones(frame.height))
    built = design(frame, "drop-out", covariates)
    chance = logistic(built.matrix, seen.astype(float), built.terms).predict(built.matrix)
    return pl.Series("weight", np.where(seen, (seen.mean() if stabilised else 1.0) / chance, 0.0))


def completers_and_all(
    frame: pl.DataFrame,
    *,
    outcome: str,
    measured: str,
    covariates: Sequence[str],
    interim: str | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Mean outcome of completers, and of all as far as they can be known; DROPOUT rows.

    `outcome` may be null where `measured` is false. `completers`: the plain mean of those measured, with
    Student's interval. `all weighted`: completers weighted for those like them who left (IPCW), which is
    right if the covariates hold why they left; its error treats the weights as known, which errs on the wide
    side. With `interim`, an earlier value of everybody, `last observed` carries it forward for those who
    left: shown because readers ask, not because it is right. Apart lines say that drop-out tells. Raises
    CheckFailed.
    """
    require(frame, "drop-out", (measured, *covariates))
    seen = flags(frame, "drop-out", measured)
    y = np.zeros(frame.height)
    y[seen] = numbers(frame.filter(pl.Series(seen)), "drop-out", outcome)
    common = {"patients": frame.height, "measured": int(seen.sum()), "level": level}
    rows: list[dict[str, object]] = [{**common, "method": "completers", **_student(y[seen], level)}]
    weighted: dict[str, object] = {**common, "method": "all weighted"}
    try:
        if seen.sum() < 2:
            raise NotEstimable(f"{int(seen.sum())} patients were measured")
        weights = ipcw(frame, measured=measured, covariates=covariates).to_numpy()
        mean = float(weights @ y / weights.sum())
        influence = weights * (y - mean) / weights.mean()
        clusters = None
        if cluster is not None:
            clusters = codes(frame, "drop-out", (cluster,))[0]
        error = mean_error(influence, clusters)
        half = two_sided(level) * error
        weighted |= {
            "value": mean, "standard_error": error, "lower": mean - half, "upper": mean + half,
            "effective_size": effective_sample_size(weights[seen]), "most_weight": float(weights.max()),
        }  # fmt: skip
    except NotEstimable as reason:
        weighted["reason"] = f"not estimable: {reason}"
    rows.append(weighted)
    if interim is not None:
        carried = np.where(seen, y, numbers(frame, "drop-out", interim))
        rows.append({**common, "method": "last observed", **_student(carried, level)})
    return pl.DataFrame(rows, schema=DROPOUT)


def _student(values: np.ndarray, level: float) -> dict[str, object]:
    n = len(values)
    if n < 2:
        return {"reason": f"not estimable: {n} patients were measured"}
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(n))
    half = float(stats.t.ppf(1 - (1 - level) / 2, n - 1)) * error
    return {
        "value": mean, "standard_error": error, "lower": mean - half, "upper": mean + half,
        "effective_size": float(n), "most_weight": 1.0,
    }  # fmt: skip
