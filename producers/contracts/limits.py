"""The bounds that hold for every event, and what it means to be outside them. [A] marks an assumption."""

import datetime as dt

from producers.contracts.errors import ContractViolation

MAX_EVENT_BYTES = 64 * 1024
"""Largest event accepted; a 100-sample frame is about 3 KiB [A]."""
EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Nothing in this field happened before automated pens existed [A]."""
MAX_CLOCK_AHEAD = dt.timedelta(hours=1)
"""How far a clinic's clock may run ahead of the broker's before its event is refused [A]."""
MAX_PLANNED_AHEAD = dt.timedelta(days=730)
"""How far ahead a session may be booked: maintenance comes every 3-6 months, so two years is ample [A]."""
EARLIEST_DATE = dt.date(1900, 1, 1)
"""No clinic of today opened earlier [A]."""
MAX_DATE_AHEAD = dt.timedelta(days=366)
"""How far ahead a clinic may announce its opening, or a device its first day [A]."""
MAX_EXPIRY_AHEAD = dt.timedelta(days=3660)
"""How far ahead a sterile product may expire: shelf lives run to five years, with head-room [A]."""


def refuse_instant_outside(instant: dt.datetime, path: str, now: dt.datetime, *, planned: bool) -> None:
    """Refuse what happened, or is planned, outside the clock's bounds. Raises ContractViolation."""
    if planned and instant > now + MAX_PLANNED_AHEAD:
        raise ContractViolation("clock.future", path, "planned more than two years ahead")
    if not planned and instant > now + MAX_CLOCK_AHEAD:
        raise ContractViolation("clock.future", path, "later than it was received, by more than 1 h")
    if instant < EARLIEST:
        raise ContractViolation("clock.past", path, "before the year 2000")


def refuse_date_outside(date: dt.date, path: str, now: dt.datetime) -> None:
    """Refuse a day of the past or the near future that cannot be. Raises ContractViolation."""
    if not EARLIEST_DATE <= date <= now.date() + MAX_DATE_AHEAD:
        raise ContractViolation("date.range", path, "before 1900, or more than a year ahead")


def refuse_expiry_outside(date: dt.date, path: str, now: dt.datetime) -> None:
    """Refuse a use-by day that no product has. Raises ContractViolation."""
    if not EARLIEST.date() <= date <= now.date() + MAX_EXPIRY_AHEAD:
        raise ContractViolation("date.range", path, "before 2000, or more than ten years ahead")
