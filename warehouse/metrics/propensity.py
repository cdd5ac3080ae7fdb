"""Who is given which protocol: the propensity model, its weights, and whether the groups overlap at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy import stats

from producers.contracts.errors import CheckFailed
from warehouse.metrics.columns import flags
from warehouse.metrics.regression import Design, Fit, NotEstimable, design, design_like, logistic

Estimand = Literal["ATE", "ATT", "ATC"]
"""Average effect in all, in the treated, in the controls."""

OVERLAP: dict[str, pl.DataType] = {
    "group": pl.String(),
    "size": pl.Int64(),
    "propensity_least": pl.Float64(),
    "propensity_median": pl.Float64(),
    "propensity_most": pl.Float64(),
    "outside_common_share": pl.Float64(),
    "clipped_share": pl.Float64(),
    "weight_mean": pl.Float64(),
    "weight_most": pl.Float64(),
    "effective_size": pl.Float64(),
    "c_statistic": pl.Float64(),
}


@dataclass(frozen=True)
class PropensityModel:
    """A fitted logistic model of the treatment. `version` names the list of covariates: change it with
    them. `scores` are the probabilities of the rows that it was fitted on, in their order."""

    version: str
    pattern: Design
    fit: Fit
    scores: np.ndarray
    treated: np.ndarray

    def predict(self, frame: pl.DataFrame) -> pl.Series:
        """Probability of treatment for other rows. Raises CheckFailed for an unknown category."""
        x = design_like(frame, f"propensity {self.version}", self.pattern).matrix
        return pl.Series("propensity", self.fit.predict(x))

    def coefficients(self) -> pl.DataFrame:
        """One row a term: `version`, `term`, `coefficient` (log odds), `standard_error`, to be kept."""
        return pl.DataFrame(
            {
                "version": [self.version] * len(self.pattern.terms),
                "term": self.pattern.terms,
                "coefficient": self.fit.coefficients,
                "standard_error": np.sqrt(np.diag(self.fit.bread) / len(self.scores)),
            }
        )


def fit_propensity(
    frame: pl.DataFrame,
    *,
    treatment: str,
    covariates: Sequence[str],
    version: str = "1",
    size: np.ndarray | None = None,
) -> PropensityModel:
    """The probability of treatment given the covariates, by maximum likelihood.

    `size`: where a row stands for as many equal patients. Coefficients and scores are then those of all of
    them; standard errors are not.
    Raises CheckFailed for bad columns and NotEstimable where a group is empty or a covariate separates them.
    Source: Rosenbaum and Rubin, Biometrika 70 (1983) 41-55.
    """
    treated = flags(frame, "propensity", treatment)
    if not treated.any() or treated.all():
        raise NotEstimable("only one of the two groups has patients")
    pattern = design(frame, "propensity", covariates)
    fit = logistic(pattern.matrix, treated.astype(float), pattern.terms, size)
    return PropensityModel(version, pattern, fit, fit.predict(pattern.matrix), treated)


def clipped(scores: np.ndarray, clip: tuple[float, float] | None) -> tuple[np.ndarray, np.ndarray]:
    """Scores moved into the closed range `clip`, and which of them were moved; `None` moves none.

    Raises CheckFailed unless 0 < lowest < highest < 1.
    """
    if clip is None:
        return scores, np.zeros(len(scores), dtype=bool)
    low, high = clip
    if not 0 < low < high < 1:
        raise CheckFailed("clip: must be two probabilities, 0 < lowest < highest < 1")
    return np.clip(scores, low, high), (scores < low) | (scores > high)


def inverse_probability_weights(
    scores: np.ndarray,
    treated: np.ndarray,
    *,
    estimand: Estimand = "ATE",
    stabilised: bool = True,
    size: np.ndarray | None = None,
) -> np.ndarray:
    """Weights that make both groups look like the target population.

    ATE: 1/e for the treated, 1/(1-e) for controls; ATT: 1 and e/(1-e); ATC: (1-e)/e and 1. Stabilised ATE
    weights are multiplied by the group's share, so that they average about 1; the estimates of normalised
    estimators do not change by it. `size`: as for `fit_propensity`.
    Source: Robins, Hernán and Brumback, Epidemiology 11 (2000) 550-560; ATT: Hirano and Imbens, Health
    Services and Outcomes Research Methodology 2 (2001) 259-278.
    """
    if estimand == "ATT":
        return np.where(treated, 1.0, scores / (1 - scores))
    if estimand == "ATC":
        return np.where(treated, (1 - scores) / scores, 1.0)
    if estimand != "ATE":
        raise CheckFailed(f"estimand: must be ATE, ATT or ATC, is {estimand}")
    share = np.average(treated, weights=size) if stabilised else 1.0
    other = 1 - share if stabilised else 1.0
    return np.where(treated, share / scores, other / (1 - scores))


def effective_sample_size(weights: np.ndarray | pl.Series, size: np.ndarray | None = None) -> float:
    """(sum of weights)² / sum of squared weights: as many equally weighted rows would know as much; 0 for
    none. `size`: how many rows have each weight, one unless given.

    Source: Kish, Survey Sampling (1965), §11.7; McCaffrey, Ridgeway and Morral, Psychological Methods 9
    (2004) 403-425.
    """
    values = np.asarray(weights, dtype=float)
    number = np.ones(len(values)) if size is None else size
    squared = float((number * values) @ values)
    return float((number @ values) ** 2 / squared) if squared > 0 else 0.0


def overlap_table(
    model: PropensityModel, *, estimand: Estimand = "ATE", clip: tuple[float, float] | None = None
) -> pl.DataFrame:
    """One row a group (treated, control): range of scores, share outside the other group's range, share
    clipped, weights and effective size (OVERLAP). `c_statistic` is the same in both rows: 0.5 says that the
    covariates do not tell the groups apart, 1 that the groups cannot be compared.
    """
    scores, moved = clipped(model.scores, clip)
    weights = inverse_probability_weights(scores, model.treated, estimand=estimand)
    c_statistic = _c_statistic(model.scores, model.treated)
    rows = []
    for group, mine in (("treated", model.treated), ("control", ~model.treated)):
        own, other = model.scores[mine], model.scores[~mine]
        outside = (own < other.min()) | (own > other.max())
        rows.append(
            (
                group, int(mine.sum()), float(own.min()), float(np.median(own)), float(own.max()),
                float(outside.mean()), float(moved[mine].mean()), float(weights[mine].mean()),
                float(weights[mine].max()), effective_sample_size(weights[mine]), c_statistic,
            )
        )  # fmt: skip
    return pl.DataFrame(rows, schema=OVERLAP, orient="row")


def _c_statistic(scores: np.ndarray, treated: np.ndarray) -> float:
    """Chance that a treated row has the higher score of a random pair; ties count half."""
    ranks = stats.rankdata(scores)
    n1, n0 = int(treated.sum()), int((~treated).sum())
    return float((ranks[treated].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))
