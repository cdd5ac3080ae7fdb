"""Case mix: the chance of an adverse event by the patients' own features, so that clinics are compared
fairly.

sessions with features -> fit (weighted least squares, repeated) -> a versioned model as plain data
model + sessions -> expected events, and how well the model is calibrated
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from scipy import special, stats

from producers.contracts.errors import CheckFailed
from warehouse.metrics.values import chosen, column, counts, exposures, probabilities, share, together

_MOST_STEPS = 50


@dataclass(frozen=True)
class CaseMixModel:
    """A fitted model, complete enough to be kept in a table and used again.

    `terms` name the design's columns: "intercept", "feature=level" for categories (the most frequent level is
    the reference) and "feature" for numbers. `trials` is sessions (logistic) or exposure (poisson). `errors`
    are standard errors. `separated` names terms whose coefficient ran away because no event, or only events,
    were seen there: they are held by the penalty.
    """

    version: int
    family: str
    terms: tuple[str, ...]
    coefficients: tuple[float, ...]
    errors: tuple[float, ...]
    levels: Mapping[str, tuple[str, ...]]
    numbers: tuple[str, ...]
    trials: float
    events: float
    deviance: float
    penalty: float
    separated: tuple[str, ...] = field(default=())

    def table(self, *, level: float = 0.95) -> pl.DataFrame:
        """One row per term: `term`, `coefficient`, `error`, `ratio` with `lower` and `upper`, `p`.

        `ratio` is an odds ratio (logistic) or a rate ratio (poisson).
        """
        b, se = np.array(self.coefficients), np.array(self.errors)
        z = stats.norm.ppf((1 + share(level, "level")) / 2)
        wald = np.divide(b, se, out=np.zeros_like(b), where=se > 0)
        return pl.DataFrame(
            [
                pl.Series("term", self.terms),
                column("coefficient", b),
                column("error", se),
                column("ratio", np.exp(b)),
                column("lower", np.exp(b - z * se)),
                column("upper", np.exp(np.minimum(b + z * se, 700))),
                column("p", 2 * special.ndtr(-np.abs(wald))),
            ]
        )


def fit(
    rows: pl.DataFrame,
    *,
    outcome: str,
    categories: Sequence[str] = (),
    numbers: Sequence[str] = (),
    family: str = "logistic",
    exposure: str | None = None,
    weight: str | None = None,
    penalty: float = 0.0,
    version: int = 1,
) -> CaseMixModel:
    """Fit the chance (logistic) or rate (poisson) of `outcome` by maximum likelihood.

    `rows`: one row per session, or per cell of equal sessions with their number in `weight`. Logistic:
    `outcome` is 0 or 1, or with `weight` the events of the cell. Poisson: a count, per `exposure` where it is
    given. `penalty`: ridge on every coefficient but the intercept, on features scaled to unit variance; a
    small one keeps rare levels finite. Raises CheckFailed. Source: iteratively reweighted least squares,
    McCullagh and Nelder, Generalized Linear Models, 2nd ed. (1989), section 2.5; ridge: le Cessie and van
    Houwelingen, Applied Statistics 41 (1992) 191-201.
    """
    chosen(family, "family", ("logistic", "poisson"))
    levels = {name: _levels(rows, name, weight) for name in categories}
    x, terms = _design(rows, levels, tuple(numbers), "rows")
    y, size = _outcome(rows, outcome, weight, exposure, family)
    if not len(y):
        raise CheckFailed("rows: must not be empty")
    scale = np.sqrt(np.maximum((x**2).mean(axis=0) - x.mean(axis=0) ** 2, 0.0))
    ridge = np.where(scale > 0, exposures(penalty, "penalty")[0] * scale**2, 0.0)
    ridge[0] = 0.0
    b, covariance, deviance = _reweighted(x, y, size, family, ridge)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    runaway = tuple(
        term for term, value, error in zip(terms, b, errors, strict=True) if abs(value) > 12 or error > 50
    )
    return CaseMixModel(
        version,
        family,
        terms,
        tuple(map(float, b)),
        tuple(map(float, errors)),
        levels,
        tuple(numbers),
        float(size.sum()),
        float(y.sum()),
        deviance,
        penalty,
        runaway,
    )


def _levels(rows: pl.DataFrame, name: str, weight: str | None) -> tuple[str, ...]:
    """The levels of a category, the one with most sessions first."""
    _present(rows, name, "rows")
    if weight is not None:
        _present(rows, weight, "rows")
    size = pl.len() if weight is None else pl.col(weight).sum()
    found = rows.group_by(level=pl.col(name).cast(pl.String)).agg(size=size)
    return tuple(found.sort(["size", "level"], descending=[True, False])["level"].to_list())


def _present(rows: pl.DataFrame, name: str, frame: str) -> None:
    if name not in rows.columns:
        raise CheckFailed(f"{frame}.{name}: column is missing")
    if rows[name].null_count():
        raise CheckFailed(f"{frame}.{name}: must not be null; give unknown its own level")


def _design(
    rows: pl.DataFrame, levels: Mapping[str, tuple[str, ...]], plain: tuple[str, ...], frame: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    parts, terms = [np.ones(rows.height)], ["intercept"]
    for name, known in levels.items():
        _present(rows, name, frame)
        text = rows[name].cast(pl.String)
        if not text.is_in(known).all():
            raise CheckFailed(f"{frame}.{name}: has a level that the model does not know")
        for level in known[1:]:
            parts.append((text == level).to_numpy().astype(float))
            terms.append(f"{name}={level}")
    for name in plain:
        _present(rows, name, frame)
        parts.append(_finite(rows[name], f"{frame}.{name}"))
        terms.append(name)
    return np.column_stack(parts), tuple(terms)


def _finite(values: pl.Series, name: str) -> np.ndarray:
    if not values.dtype.is_numeric():
        raise CheckFailed(f"{name}: must be numbers, is {values.dtype}")
    array = values.to_numpy().astype(float)
    if not np.isfinite(array).all():
        raise CheckFailed(f"{name}: must be finite")
    return array


def _outcome(
    rows: pl.DataFrame, outcome: str, weight: str | None, exposure: str | None, family: str
) -> tuple[np.ndarray, np.ndarray]:
    """Events and trials (logistic) or exposure (poisson) per row."""
    _present(rows, outcome, "rows")
    y = counts(rows[outcome].cast(pl.Float64), f"rows.{outcome}")
    size_name = weight if family == "logistic" else exposure
    if size_name is None:
        size = np.ones(len(y))
    else:
        _present(rows, size_name, "rows")
        size = exposures(rows[size_name].cast(pl.Float64), f"rows.{size_name}")
    if family == "logistic" and (y > size).any():
        raise CheckFailed(f"rows.{outcome}: must not exceed {weight or 1}")
    if ((size == 0) & (y > 0)).any():
        raise CheckFailed(f"rows.{outcome}: must be 0 where {size_name} is 0")
    return y, size


def _reweighted(
    x: np.ndarray, y: np.ndarray, size: np.ndarray, family: str, ridge: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, covariance and deviance; a step that makes things worse is halved."""
    total, events = size.sum(), y.sum()
    if family == "logistic" and not 0 < events < total:
        raise CheckFailed("rows: a model needs events and non-events")
    if events == 0:
        raise CheckFailed("rows: a model needs events")
    b = np.zeros(x.shape[1])
    b[0] = special.logit(events / total) if family == "logistic" else np.log(events / total)

    def loss(at: np.ndarray) -> float:
        return _deviance(y, size, _mean(x @ at, family), family) + float(ridge @ at**2)

    before = loss(b)
    for _ in range(_MOST_STEPS):
        mean = _mean(x @ b, family)
        variance = size * (mean * (1 - mean) if family == "logistic" else mean)
        information = (x * variance[:, None]).T @ x + np.diag(ridge)
        score = x.T @ (y - size * mean) - ridge * b
        step = np.linalg.lstsq(information, score, rcond=1e-12)[0]
        length = 1.0
        while loss(b + length * step) > before + 1e-10 and length > 1e-6:
            length /= 2
        b = b + length * step
        after = loss(b)
        if abs(before - after) <= 1e-10 * (abs(after) + 1):
            break
        before = after
    mean = _mean(x @ b, family)
    variance = size * (mean * (1 - mean) if family == "logistic" else mean)
    information = (x * variance[:, None]).T @ x + np.diag(ridge)
    return b, np.linalg.pinv(information, hermitian=True), _deviance(y, size, mean, family)


def _mean(linear: np.ndarray, family: str) -> np.ndarray:
    return special.expit(linear) if family == "logistic" else np.exp(np.clip(linear, -700, 700))


def _deviance(y: np.ndarray, size: np.ndarray, mean: np.ndarray, family: str) -> float:
    if family == "logistic":
        rest = size - y
        ratio = np.where(size > 0, size, 1.0)
        seen = special.xlogy(y, y / ratio) + special.xlogy(rest, rest / ratio)
        said = special.xlogy(y, np.maximum(mean, 1e-300)) + special.xlogy(rest, np.maximum(1 - mean, 1e-300))
        return float(2 * (seen - said).sum())
    expected = size * mean
    return float(2 * (special.xlogy(y, y / np.where(expected > 0, expected, 1.0)) - (y - expected)).sum())


def predict(model: CaseMixModel, rows: pl.DataFrame, *, exposure: str | None = None) -> pl.Series:
    """Probability of the event (logistic) or expected events (poisson) of each row, column `expected`.

    A level the model does not know is refused: its risk is unknown. Raises CheckFailed.
    """
    x, _ = _design(rows, model.levels, model.numbers, "rows")
    mean = _mean(x @ np.array(model.coefficients), model.family)
    if exposure is not None:
        _present(rows, exposure, "rows")
        mean = mean * exposures(rows[exposure].cast(pl.Float64), f"rows.{exposure}")
    return pl.Series("expected", mean)


@dataclass(frozen=True)
class Calibration:
    """How well predictions agree with outcomes.

    `in_the_large`: observed over expected events. `intercept`, `slope`: of the outcome on the logit of the
    prediction, 0 and 1 when right. `c_statistic`: chance that of an event and a non-event the event had the
    higher prediction. `hosmer_lemeshow` with `degrees_of_freedom` and `p`. `brier`: mean squared error.
    `groups`: `group`, `rows`, `observed`, `expected`, `mean_predicted`. What cannot be computed is null.
    """

    in_the_large: float | None
    intercept: float | None
    slope: float | None
    c_statistic: float | None
    hosmer_lemeshow: float | None
    degrees_of_freedom: int
    p: float | None
    brier: float
    groups: pl.DataFrame


def calibration(outcomes: Any, predicted: Any, *, groups: int = 10) -> Calibration:
    """Calibration of predicted probabilities against outcomes of 0 and 1. Raises CheckFailed.

    Source: Hosmer, Lemeshow and Sturdivant, Applied Logistic Regression, 3rd ed. (2013), section 5.2 (for new
    data the statistic has as many degrees of freedom as groups; on the data the model was fitted on, two
    fewer, which is what `degrees_of_freedom` says); intercept and slope: Cox, Biometrika 45 (1958) 562-565.
    """
    y, p = together(outcomes=counts(outcomes, "outcomes"), predicted=probabilities(predicted, "predicted"))
    if (y > 1).any():
        raise CheckFailed("outcomes: must be 0 or 1")
    if not len(y):
        raise CheckFailed("outcomes: must not be empty")
    order = np.argsort(p, kind="stable")
    # Equal predictions belong together: a group ends where its quantile's last prediction ends.
    cuts = np.unique(np.quantile(p, np.arange(1, groups) / groups, method="inverted_cdf"))
    where = np.searchsorted(cuts, p, side="left")
    size, seen = np.bincount(where, minlength=len(cuts) + 1), np.bincount(where, y, len(cuts) + 1)
    expected = np.bincount(where, p, len(cuts) + 1)
    kept = size > 0
    size, seen, expected = size[kept], seen[kept], expected[kept]
    spread = expected * (1 - expected / size)
    valid = bool((spread > 0).all()) and len(size) > 2
    statistic = float(((seen - expected) ** 2 / np.where(spread > 0, spread, 1)).sum()) if valid else None
    freedom = max(len(size) - 2, 0)
    intercept, slope = _logit_line(y, p)
    return Calibration(
        in_the_large=float(y.sum() / p.sum()) if p.sum() > 0 else None,
        intercept=intercept,
        slope=slope,
        c_statistic=_concordance(y[order], p[order]),
        hosmer_lemeshow=statistic,
        degrees_of_freedom=freedom,
        p=float(stats.chi2.sf(statistic, freedom)) if statistic is not None else None,
        brier=float(((y - p) ** 2).mean()),
        groups=pl.DataFrame(
            {
                "group": np.arange(1, len(size) + 1),
                "rows": size,
                "observed": seen,
                "expected": expected,
                "mean_predicted": expected / size,
            }
        ),
    )


def _concordance(y: np.ndarray, p: np.ndarray) -> float | None:
    events = y.sum()
    if events in (0, len(y)):
        return None
    ranks = stats.rankdata(p)
    return float((ranks[y == 1].sum() - events * (events + 1) / 2) / (events * (len(y) - events)))


def _logit_line(y: np.ndarray, p: np.ndarray) -> tuple[float | None, float | None]:
    inside = (p > 0) & (p < 1)
    if not inside.all() or y.sum() in (0, len(y)) or np.ptp(p) == 0:
        return None, None
    x = np.column_stack([np.ones(len(p)), special.logit(p)])
    b, _, _ = _reweighted(x, y, np.ones(len(y)), "logistic", np.zeros(2))
    return float(b[0]), float(b[1])
