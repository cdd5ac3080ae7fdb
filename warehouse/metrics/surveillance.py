"""Sequential surveillance of one lot, firmware or device: a plan, its looks, and a history that only grows.

plan (horizon, alpha) -> critical value -> look (events, expected) -> history; a look without new data is no
look
"""

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics import maxsprt
from warehouse.metrics.maxsprt import CriticalValue
from warehouse.metrics.values import counts, exposures

LOOK: dict[str, pl.DataType] = {
    "look": pl.Int32(),
    "as_of": pl.Datetime("us", "UTC"),
    "events": pl.Int64(),
    "expected": pl.Float64(),
    "relative_risk": pl.Float64(),
    "statistic": pl.Float64(),
    "critical_value": pl.Float64(),
    "alpha_spent": pl.Float64(),
    "signal": pl.Boolean(),
    "reason": pl.String(),
}
"""One look: cumulative numbers since the start, the log-likelihood ratio, and alpha spent up to it."""


@dataclass(frozen=True)
class PoissonPlan:
    """A continuous Poisson MaxSPRT: safe for looks at any times, every day or once a month.

    `horizon`: expected events at the end. `minimum_events`: fewer never signal. `delay`: expected events
    before the first look.
    """

    horizon: float
    alpha: float = 0.05
    minimum_events: int = 1
    delay: float = 0.0

    @property
    def critical_value(self) -> CriticalValue:
        return _critical_value(self)

    def minimum_detectable_relative_risk(self, *, power: float = 0.8) -> float | None:
        """The smallest relative risk found with this power by the horizon; null where none below 1000 is."""
        return _detectable(self, power)

    def ending_at(self, expected: float, *, power: float = 0.8) -> float | None:
        """The smallest relative risk found with this power if it ends early, at this many expected events."""
        value = self.critical_value.critical_value
        if value is None or expected <= self.delay:
            return None
        return maxsprt.poisson_minimum_detectable_relative_risk(
            value,
            min(expected, self.horizon),
            power=power,
            minimum_events=self.minimum_events,
            delay=self.delay,
        )

    def alpha_spent(self, expected: float) -> float:
        """Chance of a signal up to this many expected events when nothing is wrong."""
        value = self.critical_value.critical_value
        if value is None or expected <= 0 or expected < self.delay:
            return 0.0
        return maxsprt.poisson_performance(
            value,
            min(expected, self.horizon),
            1.0,
            minimum_events=self.minimum_events,
            delay=self.delay,
        ).power


@lru_cache(maxsize=4096)
def _critical_value(plan: PoissonPlan) -> CriticalValue:
    return maxsprt.poisson_critical_value(
        plan.horizon, alpha=plan.alpha, minimum_events=plan.minimum_events, delay=plan.delay
    )


@lru_cache(maxsize=4096)
def _detectable(plan: PoissonPlan, power: float) -> float | None:
    value = plan.critical_value.critical_value
    if value is None:
        return None
    return maxsprt.poisson_minimum_detectable_relative_risk(
        value, plan.horizon, power=power, minimum_events=plan.minimum_events, delay=plan.delay
    )


def no_looks() -> pl.DataFrame:
    """An empty look history."""
    return pl.DataFrame(schema=LOOK)


def take_look(
    history: pl.DataFrame,
    plan: PoissonPlan,
    *,
    as_of: dt.datetime,
    events: int,
    expected: float,
    baseline: tuple[int, float] | None = None,
) -> pl.DataFrame:
    """The history with one more look, LOOK; unchanged where nothing was expected since the last one.

    `events` and `expected` are cumulative since the start. `baseline`, where the expected number rests on a
    sample: its events, and how many of them the model expects; the statistic is then the conditional one. A
    signal stays one at every later look. Nothing is looked at beyond the horizon: the last look is at its
    numbers, and says so. Raises CheckFailed where a look goes back in time, which would look again at what
    has been spent.
    """
    counts(events, "events"), exposures(expected, "expected")
    last = history.row(-1, named=True) if history.height else None
    if last:
        if as_of < last["as_of"]:
            raise CheckFailed("history.as_of: a look must not come before the last one")
        if expected <= last["expected"] or last["expected"] >= plan.horizon:
            return history
    critical = plan.critical_value
    statistic = float(maxsprt.poisson_llr(events, expected)[0]) if expected > 0 or events == 0 else None
    if baseline and expected > 0:
        # At the baseline's own rate its events are as many as expected.
        statistic = float(maxsprt.conditional_poisson_llr(events, expected, baseline[0], baseline[1])[0])
    within = expected <= plan.horizon
    enough = events >= plan.minimum_events and expected >= plan.delay
    crossed = (
        critical.critical_value is not None and statistic is not None and statistic >= critical.critical_value
    )
    row = {
        "look": (last["look"] if last else 0) + 1,
        "as_of": as_of,
        "events": events,
        "expected": float(expected),
        "relative_risk": events / expected if expected > 0 else None,
        "statistic": statistic,
        "critical_value": critical.critical_value,
        "alpha_spent": plan.alpha_spent(expected),
        "signal": bool(last and last["signal"]) or (within and enough and crossed),
        "reason": _why_not(plan, expected, critical),
    }
    return pl.concat([history, pl.DataFrame([row], schema=LOOK)])


def _why_not(plan: PoissonPlan, expected: float, critical: CriticalValue) -> str | None:
    if critical.critical_value is None:
        return critical.reason
    if expected > plan.horizon:
        return "beyond the horizon: this surveillance has ended"
    if expected <= 0:
        return "nothing expected yet"
    return "before the first look" if expected < plan.delay else None
