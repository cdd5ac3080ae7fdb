"""How many, how fast, how severe: incidence by any exposure, time to onset, grades.

A card's metric takes counts by cell and gives RESULT rows; the general measures below take columns and
frames.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import special

from producers.contracts.errors import CheckFailed
from warehouse.metrics import cards, intervals
from warehouse.metrics.frames import proportion
from warehouse.metrics.values import (
    Numbers,
    chosen,
    column,
    counts,
    exposures,
    numbers,
    of_trials,
    positive,
    reasons,
    together,
)

MEASURE: dict[str, pl.DataType] = {
    "numerator": pl.Float64(),
    "denominator": pl.Float64(),
    "value": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
    "level": pl.Float64(),
    "method": pl.String(),
    "reason": pl.String(),
}
"""A measure of each row with its interval; null with a reason where nobody was at risk."""


def adverse_event_incidence(counts: pl.DataFrame) -> pl.DataFrame:
    """Incidence proportion per 100 sessions with a known outcome, one RESULT row per cell of `counts`.

    `counts`: CELL plus the integers `sessions_with_known_outcome` and `sessions_with_adverse_event`.
    Where no outcome is known, value and limits are null and `reason` says so. Raises CheckFailed.
    Source: Clopper and Pearson (1934), see the card.
    """
    return proportion(
        cards.ADVERSE_EVENT_INCIDENCE,
        counts,
        numerator="sessions_with_adverse_event",
        denominator="sessions_with_known_outcome",
        interval=intervals.clopper_pearson,
        per=100.0,
    )


def incidence_proportion(
    new_cases: Numbers, at_risk: Numbers, *, level: float = 0.95, method: str = "wilson", per: float = 1.0
) -> pl.DataFrame:
    """New cases per `per` at risk at the start, MEASURE. `method`: wilson or clopper-pearson.

    Source: Rothman, Greenland and Lash, Modern Epidemiology, 3rd ed. (2008), chapter 3. Raises CheckFailed.
    """
    chosen(method, "method", ("wilson", "clopper-pearson"))
    x, n = of_trials(new_cases, at_risk, ("new_cases", "at_risk"))
    interval = intervals.wilson if method == "wilson" else intervals.clopper_pearson
    lower, upper = interval(x, n, level=level)
    return _measure(x, n, lower, upper, level, pl.Series("method", [method] * len(x), dtype=pl.String), per)


def incidence_rate(
    new_cases: Numbers, exposure: Numbers, *, level: float = 0.95, method: str = "auto", per: float = 1.0
) -> pl.DataFrame:
    """New cases per `per` units of exposure (person-days, passes, cartridges, minutes), MEASURE.

    `method`: garwood, byar, or auto (exact below ten cases); each row names its own. Raises CheckFailed.
    Source: Rothman, Greenland and Lash, Modern Epidemiology, 3rd ed. (2008), chapter 3.
    """
    x, t = together(new_cases=counts(new_cases, "new_cases"), exposure=exposures(exposure, "exposure"))
    if ((t == 0) & (x > 0)).any():
        raise CheckFailed("new_cases: must be 0 where exposure is 0")
    lower, upper, names = intervals.poisson(x, level=level, method=method)
    safe = np.where(t > 0, t, 1.0)
    return _measure(x, t, lower / pl.Series(safe), upper / pl.Series(safe), level, names, per)


def _measure(
    x: np.ndarray,
    n: np.ndarray,
    lower: pl.Series,
    upper: pl.Series,
    level: float,
    method: pl.Series,
    per: float,
) -> pl.DataFrame:
    scale, some = positive(per, "per"), n > 0
    low, high = (limit.fill_null(0.0).to_numpy() * scale for limit in (lower, upper))
    return pl.DataFrame(
        [
            column("numerator", x),
            column("denominator", n),
            column("value", x / np.where(some, n, 1.0) * scale, some),
            column("lower", low, some),
            column("upper", high, some),
            pl.Series("level", np.full(len(x), level)),
            method,
            reasons(len(x), (~some, "nobody at risk")),
        ]
    )


def by_severity(
    events: pl.DataFrame, sessions_at_risk: int, *, level: float = 0.95, per: float = 100.0
) -> pl.DataFrame:
    """Sessions with at least one event of each grade or worse, and with a serious one: `severity` and
    MEASURE.

    `events`: one row per event with `session_id`, `grade` (1 to 5) and `serious` (boolean). A session counts
    once in each row, however many events it had. Raises CheckFailed.
    """
    for name in ("session_id", "grade", "serious"):
        if name not in events.columns:
            raise CheckFailed(f"events.{name}: column is missing")
        if events[name].null_count():
            raise CheckFailed(f"events.{name}: must not be null")
    if not events["grade"].is_between(1, 5).all():
        raise CheckFailed("events.grade: must lie between 1 and 5")
    kinds = [(f"grade {grade} or worse", pl.col("grade") >= grade) for grade in range(1, 6)]
    kinds.append(("serious", pl.col("serious")))
    found = [events.filter(rule)["session_id"].n_unique() for _, rule in kinds]
    if found[0] > sessions_at_risk:
        raise CheckFailed("sessions_at_risk: must not be fewer than the sessions with events")
    measured = incidence_proportion(found, sessions_at_risk, level=level, method="clopper-pearson", per=per)
    return measured.insert_column(0, pl.Series("severity", [name for name, _ in kinds]))


def time_to_onset(
    days: Numbers, *, quantiles: Sequence[float] = (0.25, 0.5, 0.75), level: float = 0.95
) -> pl.DataFrame:
    """Quantiles of the days from session to onset, of events that occurred: `quantile`, `value`, `lower`,
    `upper`, `events`, `level`, `method`, `reason`.

    Limits are order statistics, right whatever the distribution; null where so few events have none.
    Source: Conover, Practical Nonparametric Statistics, 3rd ed. (1999), section 3.2. Raises CheckFailed.
    """
    onset = np.sort(exposures(days, "days")) if np.size(days) else np.zeros(0)
    asked, n = numbers(list(quantiles), "quantiles"), len(onset)
    if ((asked <= 0) | (asked >= 1)).any():
        raise CheckFailed("quantiles: must lie between 0 and 1")
    value, lower, upper = (np.full(len(asked), np.nan) for _ in range(3))
    for i, q in enumerate(asked if n else []):
        value[i] = np.quantile(onset, q)
        # The numbers below the quantile that leave at most half the error on each side.
        below = np.cumsum(binomial_pmf(n, q))
        low = int(np.searchsorted(below, (1 - level) / 2, side="right"))
        high = int(np.searchsorted(below, (1 + level) / 2, side="left")) + 1
        lower[i] = onset[low - 1] if low >= 1 else np.nan
        upper[i] = onset[high - 1] if high <= n else np.nan
    return pl.DataFrame(
        [
            pl.Series("quantile", asked),
            column("value", value),
            column("lower", lower),
            column("upper", upper),
            pl.Series("events", [n] * len(asked)),
            pl.Series("level", np.full(len(asked), level)),
            pl.Series("method", ["order-statistics"] * len(asked)),
            reasons(
                len(asked),
                (np.full(len(asked), n == 0), "no events"),
                (np.isnan(lower) | np.isnan(upper), "too few events for a limit at this level"),
            ),
        ]
    )


def binomial_pmf(n: int, p: float) -> np.ndarray:
    """Probabilities of 0 to n successes."""
    k = np.arange(n + 1)
    log = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.exp(log + special.xlogy(k, p) + special.xlog1py(n - k, -p))
