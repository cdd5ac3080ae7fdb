"""Standardised rates: observed over expected numbers, and rates on a standard population.

strata of a group + reference rates -> O/E with interval (indirect)
strata of a group + standard weights -> rate with interval (direct)
"""

import numpy as np
import polars as pl
from scipy import special

from producers.contracts.errors import CheckFailed
from warehouse.metrics import exact_tests, intervals
from warehouse.metrics.comparisons import ESTIMATE, estimate
from warehouse.metrics.values import (
    Numbers,
    chosen,
    column,
    counts,
    exposures,
    positive,
    reasons,
    share,
    together,
)


def observed_expected_ratio(
    observed: Numbers, expected: Numbers, *, level: float = 0.95, method: str = "exact"
) -> pl.DataFrame:
    """Observed over expected events, ESTIMATE, with the exact Poisson p-value of a ratio of 1.

    `method`: exact (Garwood), byar, or auto (exact below ten events). The expected number is taken as known.
    Nothing expected gives null and a reason. Raises CheckFailed.
    Source: Breslow and Day, Statistical Methods in Cancer Research, volume II (1987), section 2.3.
    """
    chosen(method, "method", ("exact", "garwood", "byar", "auto"))
    o, e = together(observed=counts(observed, "observed"), expected=exposures(expected, "expected"))
    lower, upper, names = intervals.poisson(o, level=level, method="garwood" if method == "exact" else method)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = (
            np.where(e > 0, part / e, np.nan) for part in (o, lower.to_numpy(), upper.to_numpy())
        )
    found = estimate(
        value,
        low,
        high,
        level=level,
        method=method,
        p=exact_tests.poisson_test(o, e),
        reason=reasons(len(o), (e == 0, "nothing expected")),
    )
    return found.with_columns(names).select(*ESTIMATE)


def indirect_standardisation(
    strata: pl.DataFrame,
    *,
    by: str = "group",
    reference: pl.DataFrame | None = None,
    level: float = 0.95,
    method: str = "exact",
    internal: bool = True,
) -> pl.DataFrame:
    """O/E of each group at the reference's stratum rates: `by`, observed, expected and ESTIMATE.

    `strata`: one row per group and stratum with `by`, `stratum`, `events`, `exposure`. `reference`:
    `stratum`, `events`, `exposure`; without it, with `internal`, all groups together are the reference. A
    stratum with exposure that the reference does not know is refused: its expected number is unknown, not 0.
    Raises CheckFailed. Source: Breslow and Day, volume II (1987), section 2.3.
    """
    cells = _cells(strata, "strata", by)
    if reference is None and not internal:
        raise CheckFailed("reference: is missing")
    source = cells if reference is None else _cells(reference, "reference", None)
    rates = (
        source.group_by("stratum")
        .agg(pl.col("events", "exposure").sum())
        .filter(pl.col("exposure") > 0)
        .select("stratum", rate=pl.col("events") / pl.col("exposure"))
    )
    joined = cells.join(rates, on="stratum", how="left")
    if joined.select(((pl.col("exposure") > 0) & pl.col("rate").is_null()).any()).item():
        raise CheckFailed("strata.stratum: must have a rate in the reference wherever a group has exposure")
    totals = joined.group_by(by, maintain_order=True).agg(
        observed=pl.col("events").sum(),
        expected=(pl.col("exposure") * pl.col("rate").fill_null(0.0)).sum(),
        exposure=pl.col("exposure").sum(),
    )
    found = observed_expected_ratio(totals["observed"], totals["expected"], level=level, method=method)
    return pl.concat([totals, found], how="horizontal")


def direct_standardisation(
    strata: pl.DataFrame,
    standard: pl.DataFrame,
    *,
    by: str = "group",
    level: float = 0.95,
    method: str = "gamma",
    per: float = 1.0,
) -> pl.DataFrame:
    """The rate each group would have in the standard population: `by`, crude and ESTIMATE, per `per` of
    exposure.

    `strata`: one row per group and stratum with `by`, `stratum`, `events`, `exposure`. `standard`: `stratum`,
    `weight`, not negative, made to sum to 1. A group without exposure in a stratum of the standard has no
    such rate: null with a reason. p is null: one rate is compared with nothing. `method`: gamma (Fay and
    Feuer, Statistics in Medicine 16 (1997) 791-801, right at zero events too) or dobson (Dobson, Kuulasmaa,
    Eberle and Scherer, ibid. 10 (1991) 457-462, exact Poisson limits of the total). Raises CheckFailed.
    """
    chosen(method, "method", ("gamma", "dobson"))
    tail = (1 - share(level, "level")) / 2
    cells = _cells(strata, "strata", by)
    for name in ("stratum", "weight"):
        if name not in standard.columns:
            raise CheckFailed(f"standard.{name}: column is missing")
    if standard["stratum"].is_duplicated().any():
        raise CheckFailed("standard.stratum: must be unique")
    weights = exposures(standard["weight"], "standard.weight")
    positive(float(weights.sum()), "standard.weight in total")
    known = standard.select("stratum", weight=pl.Series(weights / weights.sum())).filter(pl.col("weight") > 0)
    if cells.join(known, on="stratum", how="anti").select((pl.col("exposure") > 0).any()).item():
        raise CheckFailed("strata.stratum: must have a weight in the standard wherever a group has exposure")
    groups = cells.select(by).unique(maintain_order=True)
    full = (
        groups.join(known, how="cross")
        .join(cells, on=[by, "stratum"], how="left")
        .with_columns(pl.col("events", "exposure").fill_null(0))
    )
    share_of = pl.when(pl.col("exposure") > 0).then(pl.col("weight") / pl.col("exposure"))
    sums = full.group_by(by, maintain_order=True).agg(
        events=pl.col("events").sum(),
        exposure=pl.col("exposure").sum(),
        rate=(share_of * pl.col("events")).sum(),
        variance=(share_of**2 * pl.col("events")).sum(),
        largest=share_of.max().fill_null(0.0),
        complete=(pl.col("exposure") > 0).all(),
    )
    x, y, v, w = (sums[name].to_numpy().astype(float) for name in ("events", "rate", "variance", "largest"))
    limits = _gamma_limits(y, v, w, tail) if method == "gamma" else _dobson_limits(x, y, v, level)
    complete = sums["complete"].to_numpy()
    value, lower, upper = (np.where(complete, part, np.nan) * per for part in (y, *limits))
    found = estimate(
        value,
        lower,
        upper,
        level=level,
        method=method,
        p=pl.Series("p", [None] * len(x), dtype=pl.Float64),
        reason=reasons(len(x), (~complete, "no exposure in some stratum of the standard")),
    )
    crude = column(
        "crude", x / np.where(sums["exposure"].to_numpy() > 0, sums["exposure"].to_numpy(), np.nan) * per
    )
    return pl.concat([sums.select(by, "events", "exposure"), crude.to_frame(), found], how="horizontal")


def _gamma_limits(y: np.ndarray, v: np.ndarray, w: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    some = y > 0
    safe_v, safe_y = np.where(some, v, 1.0), np.where(some, y, 1.0)
    lower = np.where(some, safe_v / safe_y * special.gammaincinv(safe_y**2 / safe_v, tail), 0.0)
    spread = v + w**2
    safe = np.where(spread > 0, spread, 1.0)
    shape = np.where(spread > 0, (y + w) ** 2 / safe, 1.0)
    return lower, np.where(spread > 0, safe / np.maximum(y + w, 1e-300), 0.0) * special.gammaincinv(
        shape, 1 - tail
    )


def _dobson_limits(
    x: np.ndarray, y: np.ndarray, v: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    low, high = (limit.to_numpy() for limit in intervals.garwood(x, level=level))
    scale = np.where(x > 0, np.sqrt(v / np.maximum(x, 1)), np.nan)
    return y + scale * (low - x), y + scale * (high - x)


def _cells(frame: pl.DataFrame, name: str, by: str | None) -> pl.DataFrame:
    """Events and exposure per group and stratum, checked."""
    keys = [*([by] if by else []), "stratum"]
    for found in (*keys, "events", "exposure"):
        if found not in frame.columns:
            raise CheckFailed(f"{name}.{found}: column is missing")
    for key in keys:
        if frame[key].null_count():
            raise CheckFailed(f"{name}.{key}: must not be null")
    if frame.select(keys).is_duplicated().any():
        raise CheckFailed(f"{name}: {', '.join(keys)} must be unique")
    events, exposure = (
        counts(frame["events"], f"{name}.events"),
        exposures(frame["exposure"], f"{name}.exposure"),
    )
    if ((events > 0) & (exposure == 0)).any():
        raise CheckFailed(f"{name}.events: must be 0 where exposure is 0")
    return frame.select(*keys).with_columns(
        events=pl.Series(events, dtype=pl.Float64), exposure=pl.Series(exposure, dtype=pl.Float64)
    )
