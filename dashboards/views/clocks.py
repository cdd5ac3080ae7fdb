"""The regulators' clocks, said again for the web process; a test holds them against
warehouse.metrics.signals,
whose import would bring polars and scipy, 120 MB that a web process has no use for."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Due:
    """The last day of one reporting duty."""

    id: str
    who: str
    due_on: dt.date
    source: str


_CLOCKS = (
    ("us-user-facility", "US user facility: death or serious injury", 10, True, "21 CFR 803.30"),
    ("us-manufacturer", "US manufacturer: death, serious injury, malfunction", 30, False, "21 CFR 803.50"),
    ("us-manufacturer-urgent", "US manufacturer: remedial action needed", 5, True, "21 CFR 803.53"),
    ("eu-serious-threat", "EU manufacturer: serious public health threat", 2, False, "EU MDR Art. 87(4)"),
    ("eu-death", "EU manufacturer: death or serious deterioration", 10, False, "EU MDR Art. 87(5)"),
    ("eu-serious", "EU manufacturer: other serious incident", 15, False, "EU MDR Art. 87(3)"),
)


def due_dates(aware_on: dt.date) -> list[Due]:
    """Every clock's last day, the earliest first; the day of becoming aware is day 0, holidays are not
    known."""
    found = [
        Due(
            name,
            who,
            _work_days_after(aware_on, days) if work_days else aware_on + dt.timedelta(days=days),
            source,
        )
        for name, who, days, work_days, source in _CLOCKS
    ]
    return sorted(found, key=lambda due: (due.due_on, due.id))


def _work_days_after(day: dt.date, days: int) -> dt.date:
    while days:
        day += dt.timedelta(days=1)
        days -= day.weekday() < 5
    return day
