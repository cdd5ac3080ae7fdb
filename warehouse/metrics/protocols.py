"""Many protocols at once: adjusted means, differences with error control, ranks with their uncertainty, and
benefit beside harm."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from scipy import special

from producers.contracts.errors import CheckFailed
from warehouse.metrics.causal import mean_error
from warehouse.metrics.columns import cells, codes, flags, numbers, require, two_sided
from warehouse.metrics.propensity import effective_sample_size
from warehouse.metrics.regression import NotEstimable, design, least_squares, logistic

Adjustment = Literal["holm", "benjamini-hochberg", "bonferroni", "none"]

MEANS: dict[str, pl.DataType] = {
    "protocol": pl.String(),
    "patients": pl.Int64(),
    "crude_mean": pl.Float64(),
    "value": pl.Float64(),
    "standard_error": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "effective_size": pl.Float64(),
    "least_chance": pl.Float64(),
    "reason": pl.String(),
}
DIFFERENCES: dict[str, pl.DataType] = {
    "protocol": pl.String(),
    "against": pl.String(),
    "crude_difference": pl.Float64(),
    "value": pl.Float64(),
    "standard_error": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "p": pl.Float64(),
    "p_adjusted": pl.Float64(),
    "adjustment": pl.String(),
    "important_from": pl.Float64(),
    "conclusion": pl.String(),
    "reason": pl.String(),
}


def adjust_p(p: Sequence[float] | np.ndarray, method: Adjustment = "holm") -> np.ndarray:
    """p values for a family of tests: Holm and Bonferroni control any false claim, Benjamini-Hochberg their
    share.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979) 65-70; Benjamini and Hochberg, JRSS B 57 (1995)
    289-300.
    """
    values = np.asarray(p, dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        raise CheckFailed("p: must lie between 0 and 1")
    m = len(values)
    order = np.argsort(values)
    if method == "none":
        return values.copy()
    if method == "bonferroni":
        return np.minimum(values * m, 1.0)
    if method == "holm":
        stepped = np.maximum.accumulate(values[order] * (m - np.arange(m)))
    elif method == "benjamini-hochberg":
        stepped = np.minimum.accumulate((values[order] * m / np.arange(1, m + 1))[::-1])[::-1]
    else:
        raise CheckFailed(f"adjustment: must be holm, benjamini-hochberg, bonferroni or none, is {method}")
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


class _Adjusted:
    """Doubly robust mean outcome of each protocol in the population of all, and the influence on it of each
    row of a cell of `size` equal rows."""

    def __init__(
        self, frame: pl.DataFrame, outcome: str, protocol: str, covariates: Sequence[str], cluster: str | None
    ) -> None:
        clusters = () if cluster is None else (cluster,)
        columns = (outcome, protocol, *covariates, *clusters)
        require(frame, "protocols", columns)
        frame = cells(frame, columns)
        self.size = frame["_size"].to_numpy()
        truth = frame.schema[outcome] == pl.Boolean
        self.y = flags(frame, "protocols", outcome) * 1.0 if truth else numbers(frame, "protocols", outcome)
        self.group, keys = codes(frame, "protocols", (protocol,))
        self.names = keys[protocol].cast(pl.String).to_list() if keys.height else []
        self.clusters = codes(frame, "protocols", clusters)[0] if clusters else None
        self.built = design(frame, "protocols", covariates)
        self.binary = bool(np.isin(self.y, (0.0, 1.0)).all())
        self.means: dict[int, float] = {}
        self.influence: dict[int, np.ndarray] = {}
        self.chance: dict[int, np.ndarray] = {}
        self.reasons: dict[int, str] = {}
        for number in range(len(self.names)):
            try:
                self._fit(number)
            except NotEstimable as reason:
                self.reasons[number] = f"not estimable: {reason}"

    def _fit(self, number: int) -> None:
        x, mine = self.built.matrix, self.group == number
        if len(self.names) < 2:
            raise NotEstimable("there is only one protocol")
        if self.patients(number) <= x.shape[1]:
            raise NotEstimable(f"{self.patients(number)} patients are too few for {x.shape[1]} terms")
        chance = logistic(x, mine.astype(float), self.built.terms, self.size).predict(x)
        fit = (logistic if self.binary and 0 < self.y[mine].mean() < 1 else least_squares)(
            x[mine], self.y[mine], self.built.terms, self.size[mine]
        )
        predicted = fit.predict(x)
        plug_in = predicted + np.where(mine, (self.y - predicted) / chance, 0.0)
        self.means[number] = float(self.size @ plug_in / self.size.sum())
        self.influence[number] = plug_in - self.means[number]
        self.chance[number] = chance

    def patients(self, number: int) -> int:
        return int(self.size[self.group == number].sum())

    def crude_mean(self, number: int) -> float:
        mine = self.group == number
        return float(self.size[mine] @ self.y[mine] / self.size[mine].sum())


def protocol_means(
    frame: pl.DataFrame,
    *,
    outcome: str,
    protocol: str,
    covariates: Sequence[str],
    cluster: str | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Mean outcome of each protocol as if the whole population had had it, beside the crude mean; MEANS rows.

    Doubly robust, one logistic model a protocol (it against all others); errors by influence functions.
    `least_chance` is the smallest modelled chance to get the protocol: near 0 the population hardly has it to
    compare. Source: as `causal.aipw`; several treatments: Cattaneo, Journal of Econometrics 155 (2010)
    138-154.
    """
    return _means(_Adjusted(frame, outcome, protocol, covariates, cluster), level)


def _means(adjusted: _Adjusted, level: float) -> pl.DataFrame:
    quantile = two_sided(level)
    rows = []
    for number, name in enumerate(adjusted.names):
        mine = adjusted.group == number
        row: dict[str, object] = {
            "protocol": name, "patients": adjusted.patients(number),
            "crude_mean": adjusted.crude_mean(number), "level": level, "reason": adjusted.reasons.get(number),
        }  # fmt: skip
        if number in adjusted.means:
            error = mean_error(adjusted.influence[number], adjusted.clusters, adjusted.size)
            weights = 1 / adjusted.chance[number][mine]
            value = adjusted.means[number]
            row |= {
                "value": value, "standard_error": error,
                "lower": value - quantile * error, "upper": value + quantile * error,
                "effective_size": effective_sample_size(weights, adjusted.size[mine]),
                "least_chance": float(adjusted.chance[number].min()),
            }  # fmt: skip
        rows.append(row)
    return pl.DataFrame(rows, schema=MEANS)


def protocol_differences(
    frame: pl.DataFrame,
    *,
    outcome: str,
    protocol: str,
    covariates: Sequence[str],
    against: str | None = None,
    adjustment: Adjustment = "holm",
    important: float = 0.0,
    cluster: str | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Adjusted differences of all pairs (or of all `against` one), crude beside, DIFFERENCES rows.

    `p_adjusted` is for the family of all rows; intervals are simultaneous (Bonferroni) unless the adjustment
    is none or Benjamini-Hochberg. `conclusion`: better or worse where `p_adjusted` is below 1 - level, with
    "by an important margin" where the whole interval lies beyond `important`; "no important difference" where
    it lies within ± `important`; else "not settled".
    """
    adjusted = _Adjusted(frame, outcome, protocol, covariates, cluster)
    return _differences(adjusted, against, adjustment, important, level)


def _differences(
    adjusted: _Adjusted, against: str | None, adjustment: Adjustment, important: float, level: float
) -> pl.DataFrame:
    two_sided(level)
    names = adjusted.names
    if against is not None and against not in names:
        raise CheckFailed(f"protocols: there is no patient of {against}")
    pairs = [
        (i, j)
        for j in range(len(names))
        for i in range(len(names))
        if (i > j if against is None else i != j and names[j] == against)
    ]
    estimable = [pair for pair in pairs if all(number in adjusted.means for number in pair)]
    errors = {
        (i, j): mean_error(adjusted.influence[i] - adjusted.influence[j], adjusted.clusters, adjusted.size)
        for i, j in estimable
    }
    values = {(i, j): adjusted.means[i] - adjusted.means[j] for i, j in estimable}
    p = np.array([2 * special.ndtr(-abs(values[pair] / errors[pair])) for pair in estimable])
    p_adjusted = dict(zip(estimable, adjust_p(p, adjustment).tolist(), strict=True))
    simultaneous = adjustment in ("holm", "bonferroni") and len(estimable) > 1
    quantile = two_sided(1 - (1 - level) / len(estimable) if simultaneous else level)
    rows = []
    for i, j in pairs:
        crude = adjusted.crude_mean(i) - adjusted.crude_mean(j)
        row: dict[str, object] = {
            "protocol": names[i], "against": names[j], "crude_difference": crude, "level": level,
            "adjustment": adjustment, "important_from": important,
            "reason": adjusted.reasons.get(i) or adjusted.reasons.get(j),
        }  # fmt: skip
        if (i, j) in values:
            value, half = values[i, j], quantile * errors[i, j]
            row |= {
                "value": value, "standard_error": errors[i, j], "lower": value - half, "upper": value + half,
                "p": float(p[estimable.index((i, j))]), "p_adjusted": p_adjusted[i, j],
                "conclusion": _conclusion(value, half, p_adjusted[i, j], important, 1 - level),
            }  # fmt: skip
        rows.append(row)
    return pl.DataFrame(rows, schema=DIFFERENCES)


def _conclusion(value: float, half: float, p: float, important: float, alpha: float) -> str:
    if p < alpha:
        word = "better" if value > 0 else "worse"
        beyond = abs(value) - half > important > 0
        return f"{word} by an important margin" if beyond else word
    return "no important difference" if abs(value) + half < important else "not settled"


def protocol_ranks(
    frame: pl.DataFrame,
    *,
    outcome: str,
    protocol: str,
    covariates: Sequence[str],
    cluster: str | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Rank of each protocol by its adjusted mean (1: highest), with the ranks that it may have; best first.

    Columns: those of `protocol_means`, `rank`, `rank_lower`, `rank_upper`: 1 + how many are surely higher,
    and how many are not surely lower, by Holm's pairwise tests at `level`, so that all intervals of ranks
    hold together. Null where there is no adjusted mean. Never a bare league table. Source: Mogstad, Romano,
    Shaikh and Wilhelm, Review of Economic Studies 91 (2024) 476-518, §3.
    """
    adjusted = _Adjusted(frame, outcome, protocol, covariates, cluster)
    means = _means(adjusted, level)
    pairs = _differences(adjusted, None, "holm", 0.0, level).filter(pl.col("value").is_not_null())
    sure = pairs.filter(pl.col("p_adjusted") < 1 - level)
    known = means.filter(pl.col("value").is_not_null()).height
    higher = sure.select(
        winner=pl.when(pl.col("value") > 0).then("protocol").otherwise("against"),
        loser=pl.when(pl.col("value") > 0).then("against").otherwise("protocol"),
    )
    lost = higher.group_by(protocol="loser").agg(_lost=pl.len().cast(pl.Int64))
    won = higher.group_by(protocol="winner").agg(_won=pl.len().cast(pl.Int64))
    estimable = pl.col("value").is_not_null()
    return (
        means.join(lost, on="protocol", how="left")
        .join(won, on="protocol", how="left")
        .with_columns(
            rank=pl.when(estimable).then(pl.col("value").rank("min", descending=True).cast(pl.Int64)),
            rank_lower=pl.when(estimable).then(1 + pl.col("_lost").fill_null(0)),
            rank_upper=pl.when(estimable).then(known - pl.col("_won").fill_null(0)),
        )
        .drop("_lost", "_won")
        .sort("rank", "protocol", nulls_last=True)
    )


def benefit_and_harm(
    frame: pl.DataFrame,
    *,
    benefit: str,
    harm: str,
    protocol: str,
    covariates: Sequence[str],
    cluster: str | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Adjusted benefit and adjusted risk of an adverse event of each protocol, both with intervals; one row a
    protocol, for one plot. `harm` is true or false. Columns `benefit`, `benefit_lower`, … `harm_upper`,
    `reason`."""
    sides = {}
    for side, column in (("benefit", benefit), ("harm", harm)):
        if side == "harm":
            flags(frame, "protocols", column)
        found = protocol_means(
            frame, outcome=column, protocol=protocol, covariates=covariates, cluster=cluster, level=level
        )
        sides[side] = found.select(
            "protocol", "patients",
            pl.col("value").alias(side), pl.col("lower").alias(f"{side}_lower"),
            pl.col("upper").alias(f"{side}_upper"), pl.col("reason").alias(f"_{side}"),
        )  # fmt: skip
    both = sides["benefit"].join(sides["harm"].drop("patients"), on="protocol")
    return both.with_columns(
        harm_lower=pl.col("harm_lower").clip(lower_bound=0.0),
        harm_upper=pl.col("harm_upper").clip(upper_bound=1.0),
        reason=pl.coalesce("_benefit", "_harm"),
        level=pl.lit(level),
    ).drop("_benefit", "_harm")
