"""Small cells: what would speak of fewer than five people is not in the frozen data at all.

Done before anything is rendered, so no renderer can leak it.
"""

import dataclasses
from collections.abc import Mapping

from dashboards.report.model import Figure
from dashboards.report.words import METRICS, SMALLEST_SHOWN


def small(figure: Figure) -> bool:
    """Whether it is about some people, but fewer than may be shown."""
    about_people = METRICS[figure.metric_id].about_people
    return about_people and figure.denominator is not None and 0 < figure.denominator < SMALLEST_SHOWN


def suppressed(figure: Figure) -> Figure:
    """The figure without its numbers."""
    nothing = dict.fromkeys(("numerator", "denominator", "value", "lower", "upper", "reason"))
    return dataclasses.replace(figure, **nothing, suppressed=True)  # type: ignore[arg-type]


def complementary(column: Mapping[str, Figure | None]) -> dict[str, Figure | None]:
    """Suppress a second cell where only one is: else total minus the rest would give it away."""
    shown = dict(column)
    if sum(figure is not None and figure.suppressed for figure in column.values()) != 1:
        return shown
    others = [
        (figure.denominator, name)
        for name, figure in column.items()
        if figure is not None and not figure.suppressed and figure.denominator
    ]
    if others:
        _, name = min(others)
        figure = column[name]
        assert figure is not None
        shown[name] = suppressed(figure)
    return shown


def counts(column: Mapping[str, int]) -> dict[str, int | None]:
    """Counts of people: null below the threshold but for 0; and a second one, where only one is null."""
    shown: dict[str, int | None] = {
        name: None if 0 < count < SMALLEST_SHOWN else count for name, count in column.items()
    }
    if sum(count is None for count in shown.values()) == 1:
        others = [(count, name) for name, count in shown.items() if count]
        if others:
            shown[min(others)[1]] = None
    return shown
