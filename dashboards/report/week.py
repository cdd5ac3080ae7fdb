"""ISO weeks: Monday 00:00 UTC, half-open."""

import datetime as dt
import re
from dataclasses import dataclass

from producers.contracts.errors import SettingsError

_LABEL = re.compile(r"(\d{4})-W(\d{2})")


@dataclass(frozen=True, order=True)
class IsoWeek:
    """One week of ISO 8601; a year has 52 or 53 of them, and its first may begin in the old year."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "IsoWeek":
        """The week named like `2026-W47`. Raises SettingsError where there is no such week."""
        match = _LABEL.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            week = cls(int(match[1]), int(match[2]))
            dt.date.fromisocalendar(week.year, week.number, 1)
        except ValueError:
            raise SettingsError(f"week {text!r} is not an ISO week like 2026-W47") from None
        return week

    @classmethod
    def of(cls, moment: dt.datetime) -> "IsoWeek":
        """The week that contains `moment`."""
        year, number, _ = moment.astimezone(dt.UTC).isocalendar()
        return cls(year, number)

    @classmethod
    def named(cls, text: str | None, now: dt.datetime) -> "IsoWeek":
        """The week of this name, or the last that ended. Raises SettingsError for what is no week."""
        return cls.parse(text) if text else cls.last_completed(now)

    @classmethod
    def last_completed(cls, now: dt.datetime) -> "IsoWeek":
        """The newest week that has ended at `now`."""
        return cls.of(now).shifted(-1)

    @property
    def start(self) -> dt.datetime:
        """Its first moment, inclusive."""
        day = dt.date.fromisocalendar(self.year, self.number, 1)
        return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)

    @property
    def end(self) -> dt.datetime:
        """The first moment after it, exclusive."""
        return self.start + dt.timedelta(days=7)

    @property
    def last_day(self) -> dt.datetime:
        """Its Sunday, 00:00 UTC: for people, who count days, not limits."""
        return self.start + dt.timedelta(days=6)

    @property
    def label(self) -> str:
        return f"{self.year:04d}-W{self.number:02d}"

    def shifted(self, weeks: int) -> "IsoWeek":
        """The week so many weeks later, or earlier where negative."""
        return IsoWeek.of(self.start + dt.timedelta(weeks=weeks))

    def __str__(self) -> str:
        return self.label
