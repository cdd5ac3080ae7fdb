"""What a report says beside the metrics: signals, funnel, people due, devices, links, late data."""

import dataclasses
import datetime as dt
import re

import pytest

from dashboards.report import ReportData, freeze
from dashboards.report.chart import funnel_svg, spark_svg
from dashboards.report.render_html import render_html
from dashboards.report.render_mail import render_mail
from dashboards.report.render_pdf import render_pdf
from dashboards.report.suppression import counts
from dashboards.report.view import fingerprint, spark_alt, words
from tests.report import world
from tests.report.conftest import Freeze
from tests.report.world import AS_OF, NOW, WEEK
from warehouse import store

pytestmark = pytest.mark.integration

Warehouse = tuple[store.Connection, store.Location]


def test_signals_are_new_ongoing_or_closed(frozen: Freeze):
    """Opened within seven days is new, older is ongoing, closed within seven days is closed; others are out:
    closed long ago, or opened after the metrics were computed."""
    rows = frozen().signals
    assert [(row.signal_id, row.state, row.status, row.owner) for row in rows] == [
        ("new1", "new", "open", None),
        ("old1", "ongoing", "acknowledged", "Dana Ruiz"),
        ("shut1", "closed", "closed", None),
    ]
    assert (rows[0].value, rows[0].q, rows[0].rule) == (1.75, 0.004, "Adverse events, observed over expected")


def test_an_open_signal_has_its_clocks(frozen: Freeze):
    """Each regulator's last day is counted from the day the signal opened; a closed one has none."""
    new, old, closed = frozen().signals
    assert len(new.clocks) == 6
    assert [clock.due_on for clock in new.clocks][:2] == [dt.date(2026, 11, 16), dt.date(2026, 11, 20)]
    shown = words(frozen())["signals"]["rows"]
    assert shown[0]["cells"][-1][0].startswith("2026-11-16 EU manufacturer")
    assert shown[1]["cells"][-1] == ["all passed", "the last on 2026-11-06"]
    assert closed.clocks == ()
    assert old.owner == shown[1]["cells"][3][0]


@pytest.mark.parametrize(("clinic", "seen"), [("west", ["new1"]), ("north", ["shut1"]), ("harbour", [])])
def test_a_clinic_learns_of_its_own_signals_only(frozen: Freeze, clinic: str, seen: list[str]):
    """Signals about another clinic, its staff or the network's lots are not in a clinic's edition."""
    data = frozen(clinic=clinic)
    assert [row.signal_id for row in data.signals] == seen
    if not seen:
        assert words(data)["signals"]["summary"].startswith("No signal is open")


def test_the_funnel_has_each_clinic_and_the_limits_of_chance(frozen: Freeze):
    """A point for each clinic by its expected number; what lies outside the outer limits is named."""
    data = frozen()
    assert [(p.clinic_id, p.observed, p.expected) for p in data.funnel] == [
        ("north", 50, 55.5),
        ("harbour", 63, 61.0),
        ("west", 112, 64.0),
    ]
    for point in data.funnel:
        assert point.limits_998 is not None
        assert point.limits_95 is not None
        assert point.limits_998[0] < point.limits_95[0] < 1 < point.limits_95[1] < point.limits_998[1]
    assert "Outside the outer limits: Westend Skin." in words(data)["funnel"]["alt"]
    assert funnel_svg(data, font="serif").startswith("<svg")
    alone = frozen(clinic="north")
    assert len(alone.funnel) == 1
    assert funnel_svg(alone, font="serif") == ""


def test_a_clinic_with_few_sessions_has_no_point(frozen: Freeze):
    """A clinic whose incidence is suppressed shows no number in the funnel either."""
    data = frozen(world.result("adverse_event_incidence", 1, 3, scope="clinic", scope_id="north"))
    (point,) = [point for point in data.funnel if point.clinic_id == "north"]
    assert point.suppressed
    numbers = (point.observed, point.expected, point.ratio, point.lower, point.upper, point.limits_95)
    assert numbers == (None,) * 6


def test_people_due_are_counts(frozen: Freeze):
    """Due, at risk and overdue by clinic and in all; few are suppressed, and a second with them."""
    shown = {row.clinic_id: (row.due, row.at_risk, row.overdue) for row in frozen().due or ()}
    assert shown == {
        "harbour": (30, None, 8),
        "north": (12, None, 9),
        "west": (7, 11, 5),
        "network": (49, 19, 22),
    }
    assert [(r.due, r.at_risk, r.overdue) for r in frozen(clinic="harbour").due or ()] == [(30, None, 8)]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"a": 3, "b": 9, "c": 20}, {"a": None, "b": None, "c": 20}),
        ({"a": 3, "b": 2, "c": 20}, {"a": None, "b": None, "c": 20}),
        ({"a": 0, "b": 5}, {"a": 0, "b": 5}),
        ({"a": 4}, {"a": None}),
    ],
)
def test_few_people_are_never_the_only_gap(given: dict[str, int], shown: dict[str, int | None]):
    """One to four people are suppressed, and with a single gap the next smallest is too."""
    assert counts(given) == shown


def test_a_due_list_of_another_day_is_not_told(warehouse: Warehouse):
    """The due list is kept of the newest refresh: a report of another day has no such table."""
    data = freeze(warehouse[0], week=WEEK, clinic=None, computed_at=NOW)
    assert data.due is not None
    connection, location = warehouse
    later = [row | {"as_of": AS_OF + dt.timedelta(hours=1)} for row in world.usual()]
    world.write(connection, location, later)
    data = freeze(connection, week=WEEK, clinic=None, computed_at=NOW)
    assert data.due is None
    assert "Patients due for maintenance" not in [table["heading"] for table in words(data)["tables"]]


def test_overdue_devices_are_listed(frozen: Freeze):
    """Devices never calibrated come first, then the longest overdue; day 183 is still in time."""
    found = [(row.device_id, row.days_overdue) for row in frozen().devices]
    assert found == [("pen-9", None), ("pen-2", 17)]
    assert [row.device_id for row in frozen(clinic="north").devices] == ["pen-2"]


def test_a_tile_has_its_twelve_weeks(warehouse: Warehouse):
    """A rolling figure's earlier weeks are what was known then, oldest first; a missing week is a gap."""
    connection, location = warehouse
    rows = [row for row in world.eleven_weeks_before() if row["numerator"] != 575]
    world.write(connection, location, world.usual() + rows)
    data = freeze(connection, week=WEEK, clinic=None, computed_at=NOW)
    (tile,) = [tile for tile in data.tiles if tile.figure.metric_id == "maintenance_on_time"]
    counted = [figure and figure.numerator for figure in tile.history]
    assert counted == [545, 550, 555, 560, 565, 570, None, 580, 585, 590, 595, 610]
    assert tile.last_week is not None
    assert tile.last_week.numerator == 595
    assert spark_svg(tile).count("<polyline") == 2


def test_one_week_alone_is_no_line(frozen: Freeze):
    """A figure with a value in one week only draws nothing, and its alternative text says so."""
    data = frozen()
    (place,) = [i for i, tile in enumerate(data.tiles) if tile.figure.metric_id == "maintenance_on_time"]
    drawn = spark_svg(data.tiles[place])
    assert not re.search(r"<(circle|polyline|path)", drawn)
    alt = "Maintenance on time: only one week has a value, 60.9%; nothing is drawn yet."
    assert words(data)["tiles"][place]["alt"] == alt
    assert f'aria-label="{alt}"' in render_html(data).decode()
    assert f'alt="{alt}"' in render_mail(data).html
    none = dataclasses.replace(data.tiles[place], history=(None,) * 12)
    assert spark_alt(none) == "Maintenance on time: no week has a value; nothing is drawn yet."
    two = dataclasses.replace(none, history=(*none.history[:10], none.figure, none.figure))
    assert "<polyline" in spark_svg(two)


def test_each_figure_leads_to_the_dashboard_at_the_same_snapshot(warehouse: Warehouse):
    """Tiles, clinics and tables link to the dashboard, scope and snapshot in the address; the PDF too."""
    data = freeze(
        warehouse[0], week=WEEK, clinic="north", computed_at=NOW, dashboard_url="https://d.example/"
    )
    address = f"https://d.example/?clinic=north&snapshot={data.snapshot_id}"
    assert [tile["href"] for tile in words(data)["tiles"]][:2] == [
        f"{address}#panel-trend",
        f"{address}#tile-adverse_event_incidence",
    ]
    assert address.replace("&", "&amp;") in render_html(data).decode()
    assert address.encode() in render_pdf(data)
    assert fingerprint(data) == fingerprint(dataclasses.replace(data, dashboard_url=""))


def test_a_clinic_that_is_behind_is_named(frozen: Freeze, warehouse: Warehouse):
    """Data that does not reach past the week's end is noted by clinic, and how far it reaches."""
    assert not [note for note in frozen().notes if "may still be missing" in note]
    connection, location = warehouse
    with store.transaction(connection, location):
        connection.execute("DELETE FROM raw.session_completed WHERE id = 'north-2'")
    try:
        (note,) = [note for note in frozen(clinic="north").notes if "may still be missing" in note]
        assert "North Clinic (to 15 November 2026)" in note
        assert not [note for note in frozen(clinic="west").notes if "may still be missing" in note]
    finally:
        world.add_session(connection, location, "north", 2, WEEK.end)


def test_the_weeks_sessions_are_counted(frozen: Freeze):
    """What late data will be told by: sessions completed in the week, half-open."""
    assert frozen().sessions == 6
    assert frozen(clinic="north").sessions == 2


def test_an_older_issue_still_loads(frozen: Freeze):
    """JSON from before a field came loads with its default."""
    import json

    document = json.loads(frozen().to_json())
    for name in ("signals", "funnel", "due", "devices", "checks", "sessions", "dashboard_url", "paper"):
        del document[name]
    old = ReportData.from_json(json.dumps(document).encode())
    assert (old.signals, old.due, old.sessions, old.paper) == ((), None, None, "a4")
    assert render_html(old)
