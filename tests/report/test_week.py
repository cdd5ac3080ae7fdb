"""ISO weeks: names, limits and steps."""

import datetime as dt

import pytest

from dashboards.report import IsoWeek
from producers.contracts import SettingsError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("label", "start"),
    [
        ("2026-W01", "2025-12-29"),
        ("2026-W47", "2026-11-16"),
        ("2026-W53", "2026-12-28"),
        ("2027-W01", "2027-01-04"),
        ("2020-W53", "2020-12-28"),
    ],
)
def test_a_week_begins_on_its_monday(label: str, start: str):
    """A week is Monday 00:00 UTC to Monday 00:00 UTC, whatever year that Monday is in."""
    week = IsoWeek.parse(label)
    assert week.start == dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC)
    assert week.end - week.start == dt.timedelta(days=7)
    assert str(week) == label


@pytest.mark.parametrize(
    "text", ["2027-W53", "2026-W00", "2026-W54", "2026-47", "2026-W7", "last", "0000-W01", ""]
)
def test_what_is_no_week_is_refused_by_name(text: str):
    """A year without a 53rd week refuses it, as does any other text, naming what was given."""
    with pytest.raises(SettingsError, match=f"week '{text}' is not an ISO week"):
        IsoWeek.parse(text)


def test_the_week_after_the_53rd_is_the_first_of_the_next_year():
    """Steps cross the years at the ISO limits: 2026 has 53 weeks."""
    last = IsoWeek.parse("2026-W53")
    assert last.shifted(1) == IsoWeek.parse("2027-W01")
    assert IsoWeek.parse("2027-W01").shifted(-1) == last
    assert last.shifted(-52) == IsoWeek.parse("2026-W01")
    assert last < last.shifted(1)


@pytest.mark.parametrize(
    ("now", "label"),
    [
        ("2027-01-03T23:59:59+00:00", "2026-W52"),
        ("2027-01-04T00:00:00+00:00", "2026-W53"),
        ("2027-01-04T00:30:00+01:00", "2026-W52"),
        ("2026-10-26T07:00:00+01:00", "2026-W43"),
    ],
)
def test_the_last_completed_week_is_by_utc(now: str, label: str):
    """A week is over at Monday 00:00 UTC, whatever a clinic's midnight or clock change."""
    assert IsoWeek.last_completed(dt.datetime.fromisoformat(now)).label == label
