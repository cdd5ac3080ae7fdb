"""The weekly report at its right time: waited for, told to be late, issued once, revised for late data."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.accounts import add_user
from dashboards.report import IsoWeek, ReportData
from flows.delivery.reporting import NETWORK, Outcome, Reporting
from flows.settings import Settings
from flows.weekly_report import ended_week
from tests.report import world
from tests.report.world import AS_OF, NOW, WEEK
from warehouse import store
from warehouse.deliveries import Ledger, Recipient

pytestmark = pytest.mark.integration

EVERY = [NETWORK, "clinic-harbour", "clinic-north", "clinic-west"]


class Office:
    """A home with a warehouse, two readers, and the clock's hand."""

    def __init__(self, home: Path, lake: tuple[store.Connection, store.Location]) -> None:
        self.connection, self.location = lake
        self.touched = False
        self.settings = Settings(
            home=home,
            catalog=self.location.catalog,
            data_path=self.location.data_path,
            mail_host="127.0.0.1",
            mail_domains="d.example",
            report_time_zone="Europe/Berlin",
        )
        self.ledger = Ledger(self.settings.delivery_ledger)
        for name, role, clinics in (("mia", "clinic_manager", ["north"]), ("noor", "network_manager", [])):
            add_user(self.settings.accounts_file, name, "a long enough password", role, clinics)
            self.ledger.remember(Recipient(name, f"{name}@d.example"))

    def at(self, now: dt.datetime) -> Reporting:
        return Reporting(self.settings, self.connection, now)

    def silence(self, clinic: str) -> None:
        """That clinic's data ends within the week."""
        self.touched = True
        with store.transaction(self.connection, self.location):
            self.connection.execute("DELETE FROM raw.session_completed WHERE id = $id", {"id": f"{clinic}-2"})

    def speak(self, clinic: str, number: int, at: dt.datetime) -> None:
        self.touched = True
        world.add_session(self.connection, self.location, clinic, number, at)

    def know(self, rows: list[dict[str, Any]]) -> None:
        """Make `rows` the metric results."""
        self.touched = True
        world.write(self.connection, self.location, rows)

    def planned(self) -> list[tuple[str, str, str, int]]:
        rows = self.ledger.listed()
        return sorted((row["kind"], row["scope"], row["recipient"], row["revision"]) for row in rows)

    def newest(self, scope: str) -> ReportData:
        files = sorted((self.settings.archive_dir / WEEK.label / scope).glob("*.json"))
        return ReportData.from_json(files[-1].read_bytes())


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[store.Connection, store.Location]]:
    """One warehouse for this module."""
    connection, location = world.fill(tmp_path_factory.mktemp("lake"))
    yield connection, location
    connection.close()


@pytest.fixture
def office(tmp_path: Path, lake: tuple[store.Connection, store.Location]) -> Iterator[Office]:
    """A home of its own on that warehouse, which is put back as it was."""
    found = Office(tmp_path, lake)
    yield found
    if found.touched:
        world.put_back(*lake)


def issued(outcomes: list[Outcome]) -> list[str]:
    return sorted(scope for outcome in outcomes for scope in outcome.issued)


def test_each_reader_gets_the_edition_of_their_scope_once(office: Office):
    """The manager of one clinic gets that clinic's, who sees all gets the network's; twice is once."""
    for _ in range(2):
        office.at(NOW).issue(WEEK, EVERY, wait=True)
    assert office.planned() == [("weekly", "clinic-north", "mia", 1), ("weekly", "network", "noor", 1)]
    content = json.loads(office.ledger.listed()[0]["content"])
    assert (office.settings.archive_dir / f"{content['report']}.json").exists()


def test_a_report_waits_for_its_clinics(office: Office):
    """What is due waits for the clinics that are behind; the others' editions go out."""
    office.silence("north")
    reporting = office.at(NOW)
    reporting.expect_zone("Europe/Berlin", WEEK)
    outcomes = reporting.catch_up()
    assert issued(outcomes) == ["clinic-harbour", "clinic-west"]
    assert set(outcomes[0].behind) == {"network", "clinic-north"}
    assert office.planned() == []
    office.speak("north", 9, WEEK.end + dt.timedelta(hours=8))
    assert issued(office.at(NOW + dt.timedelta(hours=1)).catch_up()) == ["clinic-north", "network"]
    assert office.at(NOW + dt.timedelta(hours=2)).catch_up() == []


def test_grace_is_waited_for_too(office: Office):
    """With a grace, data must reach so far past the week's end."""
    office.settings = office.settings.model_copy(update={"report_grace_hours": 1})
    outcome = office.at(NOW).issue(WEEK, EVERY, wait=True)
    assert outcome.issued == {}
    assert set(outcome.behind["network"]) == {"north", "harbour", "west"}


def test_who_waits_is_told_once(office: Office):
    """When patience is over, the readers of a late edition get one notice, naming the clinics behind."""
    office.silence("north")
    office.at(NOW).expect_zone("Europe/Berlin", WEEK)
    for hours in (1, 25, 26):
        office.at(WEEK.end + dt.timedelta(hours=hours)).catch_up()
    assert office.planned() == [("delayed", "clinic-north", "mia", 1), ("delayed", "network", "noor", 1)]
    note = json.loads(office.ledger.listed()[0]["content"])
    assert note["facts"] == [["North Clinic", "data to 2026-11-15 15:00 UTC"]]


def test_a_silent_clinic_does_not_keep_it_back_for_ever(office: Office):
    """Six days after the week the report goes out, and says whose data is missing."""
    office.silence("north")
    office.at(NOW).expect_zone("Europe/Berlin", WEEK)
    outcomes = office.at(WEEK.end + dt.timedelta(days=6)).catch_up()
    assert "network" in issued(outcomes)
    assert any("North Clinic (to 15 November 2026)" in note for note in office.newest("network").notes)


def test_late_sessions_make_a_revision_with_a_reason(office: Office):
    """Sessions of the week that come after the report make one revision, that says why and what is other."""
    office.at(NOW).issue(WEEK, EVERY, wait=True)
    office.speak("north", 7, WEEK.end - dt.timedelta(hours=1))
    late = world.result("adverse_event_incidence", 12, 99, week=WEEK)
    office.know(world.replaced(world.usual(), late))
    assert office.at(NOW + dt.timedelta(hours=5)).catch_up() == []
    outcomes = office.at(NOW + dt.timedelta(hours=30)).catch_up()
    assert issued(outcomes) == ["clinic-north", "network"]
    assert ("weekly", "network", "noor", 2) in office.planned()
    second = office.newest("network")
    assert second.reason == "7 sessions of the week are known now, 6 were before"
    assert second.differences[0] == "Sessions of the week: 6 before, 7 now."
    assert any("11 of 96) before" in text and "12 of 99) now" in text for text in second.differences)
    assert office.at(NOW + dt.timedelta(hours=31)).catch_up() == []


def test_without_late_data_nothing_is_revised(office: Office):
    """Other numbers of a later day alone, such as rolling figures, make no revision by themselves."""
    office.at(NOW).issue(WEEK, EVERY, wait=True)
    later = [row | {"as_of": AS_OF + dt.timedelta(days=1)} for row in world.usual()]
    office.know(later)
    assert office.at(NOW + dt.timedelta(hours=30)).catch_up() == []


def test_a_missed_hour_is_made_up(office: Office):
    """Where nothing ran at the hour, every edition is due a day after the week; not before."""
    office.at(WEEK.end + dt.timedelta(hours=23)).expect_forgotten()
    assert office.ledger.expected() == []
    office.at(WEEK.end + dt.timedelta(hours=24)).expect_forgotten()
    assert [scope for _, scope in office.ledger.expected()] == sorted(EVERY)


def test_nobody_is_planned_for_without_a_mail_server(office: Office):
    """No mail server: reports are archived, and no mail piles up for the day there is one."""
    office.settings = office.settings.model_copy(update={"mail_host": None})
    assert office.at(NOW).issue(WEEK, EVERY, wait=True).planned == 0
    assert office.planned() == []


@pytest.mark.parametrize(
    ("due", "zone", "week"),
    [
        ("2026-11-16T06:00+00:00", "Europe/Berlin", "2026-W46"),
        ("2026-11-15T18:00+00:00", "Pacific/Auckland", "2026-W46"),
        ("2026-11-16T15:00+00:00", "America/Los_Angeles", "2026-W46"),
        ("2026-03-29T22:30+00:00", "Europe/Berlin", "2026-W13"),
        ("2026-10-25T23:30+00:00", "Europe/Berlin", "2026-W43"),
        ("2027-01-04T06:00+00:00", "Europe/Berlin", "2026-W53"),
    ],
)
def test_a_zones_monday_reports_the_week_before(due: str, zone: str, week: str):
    """By the zone's own calendar, on the days of a clock change and at the turn of the year too."""
    assert ended_week(dt.datetime.fromisoformat(due), zone) == IsoWeek.parse(week)


def test_east_of_greenwich_the_week_is_waited_for(office: Office):
    """Auckland's Monday morning comes before the week's end by UTC: nothing is issued until it is over."""
    reporting = office.at(WEEK.end - dt.timedelta(hours=6))
    reporting.expect_zone("Europe/Berlin", WEEK)
    assert reporting.catch_up() == []
    assert issued(office.at(NOW).catch_up()) == sorted(EVERY)
