"""What goes into a report: which results, what is suppressed, what is called a change."""

import datetime as dt

import pytest

from dashboards.report import IsoWeek, ReportData, editions, freeze
from dashboards.report.model import Figure
from dashboards.report.words import METRICS, SUPPRESSED, interval_text, number, ratio_text, value_text
from producers.contracts import CheckFailed, SettingsError
from tests.report import world
from tests.report.conftest import Freeze
from tests.report.world import AS_OF, CLINICS, NOW, WEEK, result
from warehouse import store
from warehouse.metrics.cards import CARDS

pytestmark = pytest.mark.integration

Warehouse = tuple[store.Connection, store.Location]


def tile(data: ReportData, metric_id: str, period: str = "year") -> Figure:
    (found,) = [t.figure for t in data.tiles if (t.figure.metric_id, t.figure.period) == (metric_id, period)]
    return found


def test_every_metric_card_has_its_wording():
    """A metric the warehouse computes can be named and printed, and no wording is left without a metric."""
    assert set(METRICS) == set(CARDS)


def test_editions_are_the_network_and_each_clinic(warehouse: Warehouse):
    """There is one edition for the network, then one for each registered clinic by name."""
    assert editions(warehouse[0]) == [None, "harbour", "north", "west"]


def test_the_figures_are_the_stored_rows(frozen: Freeze):
    """The report computes nothing: counts, value and limits are those of mart.metric_result."""
    stored = result("adverse_event_incidence", 187, 5820)
    shown = tile(frozen(), "adverse_event_incidence")
    for name in ("numerator", "denominator", "value", "lower", "upper", "metric_version", "unit", "method"):
        assert getattr(shown, name) == stored[name]


def test_a_clinic_edition_holds_no_other_clinic(frozen: Freeze):
    """The edition of one clinic is made of that clinic's rows alone; not even the network's are in it."""
    data = frozen(clinic="north")
    scopes = {(t.figure.scope, t.figure.scope_id) for t in data.tiles}
    scopes |= {(w.figure.scope, w.figure.scope_id) for w in data.trend if w.figure}
    assert scopes == {("clinic", "north")}
    assert (data.clinics, data.protocols) == ((), ())
    document = data.to_json().decode()
    assert not [name for clinic, name in CLINICS.items() if clinic != "north" and name in document]


def test_the_books_balance_and_stop_at_the_metrics(frozen: Freeze):
    """Events landed after the metrics were computed are not in an edition, and its books add up."""
    books = frozen().landing
    assert books.consumed == books.landed + books.duplicate + books.quarantined == world.BOOKS["consumed"]
    assert frozen().data_to == world.COMPUTED_AT - dt.timedelta(hours=2)


def test_an_unknown_clinic_is_named(warehouse: Warehouse):
    """A clinic that was never registered is refused by name."""
    with pytest.raises(SettingsError, match="no clinic 'south'"):
        freeze(warehouse[0], week=WEEK, clinic="south", computed_at=NOW)


def test_without_any_metric_there_is_no_report(tmp_path):
    """A warehouse whose metrics were never computed gives no empty report but says what to run."""
    location = store.Location.under(tmp_path)
    connection = store.connect(location)
    store.migrate(connection, location)
    with pytest.raises(
        CheckFailed, match="no metric results in the warehouse yet: run `dermastream refresh`"
    ):
        freeze(connection, week=WEEK, clinic=None, computed_at=NOW)


def test_a_week_is_told_as_it_was_known_in_the_week_after(warehouse: Warehouse):
    """A report made a month late shows what was known in the seven days after its week."""
    connection, location = warehouse
    later = result("adverse_event_incidence", 400, 6000, as_of=AS_OF + dt.timedelta(days=28))
    world.write(connection, location, [*world.usual(), later])
    data = freeze(connection, week=WEEK, clinic=None, computed_at=NOW)
    assert data.as_of == AS_OF
    assert tile(data, "adverse_event_incidence").numerator == 187


def test_an_unfinished_week_says_so(warehouse: Warehouse):
    """Metrics last computed before the week's end make a report that says its figures are incomplete."""
    data = freeze(warehouse[0], week=WEEK.shifted(1), clinic=None, computed_at=NOW)
    assert any("before the week had ended" in note for note in data.notes)


def test_only_the_newest_version_of_a_metric_is_shown(frozen: Freeze):
    """Where two versions of a card were computed, the report shows the newer one and prints its version."""
    newer = result("maintenance_on_time", 500, 1001, version=2)
    data = frozen(result("maintenance_on_time", 610, 1001), newer)
    assert tile(data, "maintenance_on_time").metric_version == 2
    assert ("maintenance_on_time", 2) in data.metric_versions


# ── zero and small denominators ─────────────────────────────────────────────────────────────────────────


def test_nobody_at_risk_is_no_rate_rather_than_zero(frozen: Freeze):
    """A zero denominator is printed as not estimable, with its reason, never as 0 and never blank."""
    data = frozen(result("maintenance_on_time", 0, 0))
    figure = tile(data, "maintenance_on_time")
    assert (value_text(figure), interval_text(figure)) == ("not estimable", "")
    assert figure.reason == "nobody at risk in the interval"
    assert not figure.suppressed


@pytest.mark.parametrize(("sessions", "suppressed"), [(1, True), (4, True), (5, False)])
def test_fewer_than_five_are_suppressed(frozen: Freeze, sessions: int, suppressed: bool):
    """A figure about one to four sessions leaves no number in the frozen data; five are shown."""
    data = frozen(result("adverse_event_incidence", 1, sessions, week=WEEK))
    figure = tile(data, "adverse_event_incidence", "week")
    assert figure.suppressed is suppressed
    if suppressed:
        assert (value_text(figure), ratio_text(figure)) == (SUPPRESSED, "")
        numbers = (figure.numerator, figure.denominator, figure.value, figure.lower, figure.upper)
        assert numbers == (None,) * 5
        assert data.trend[-1].figure == figure
        assert SUPPRESSED in data.changes[0]


def test_few_devices_are_shown(frozen: Freeze):
    """Devices are not people: a clinic with two of them sees both."""
    data = frozen(result("device_in_calibration", 1, 2, scope="clinic", scope_id="north"), clinic="north")
    assert ratio_text(tile(data, "device_in_calibration")) == "1 of 2"


def test_one_gap_in_a_column_hides_a_second(frozen: Freeze):
    """Where one clinic is suppressed, so is the next smallest: else the network's total gives it away."""
    about = {"scope": "clinic", "week": WEEK}
    rows = [
        result("adverse_event_incidence", 1, sessions, scope_id=clinic, **about)
        for clinic, sessions in (("north", 3), ("harbour", 40), ("west", 53))
    ]
    shown = {row.clinic_id: value_text(row.incidence_week) for row in frozen(*rows).clinics}
    assert shown == {"north": SUPPRESSED, "harbour": SUPPRESSED, "west": "1.9"}


# ── what changed ────────────────────────────────────────────────────────────────────────────────────────

SETTLED, BEFORE = WEEK.shifted(-2), WEEK.shifted(-3)


@pytest.mark.parametrize("clinic", [None, "north"])
def test_three_to_five_sentences(frozen: Freeze, clinic: str | None):
    """Every edition says what changed in three to five sentences, and by which rule."""
    data = frozen(clinic=clinic)
    assert 3 <= len(data.changes) <= 5
    assert "intervals do not overlap" in data.rule


def test_a_week_whose_outcomes_still_arrive_is_not_judged(frozen: Freeze):
    """A high rate in a week that ended days ago is called too early, not a rise."""
    data = frozen(result("adverse_event_incidence", 30, 40, week=WEEK))
    assert data.changes[0].startswith("Too early to judge 2026-W46: so far 75.0 adverse events per 100")
    assert not any(" rose " in sentence for sentence in data.changes)
    assert [point.provisional for point in data.trend] == [False] * 10 + [True] * 2


def test_overlapping_intervals_are_no_change(frozen: Freeze):
    """Nothing changed is said plainly, with both values, intervals and counts."""
    sentence = frozen().changes[1]
    assert sentence.startswith("Nothing changed: ")
    for week, cases, sessions in ((SETTLED, 13, 338), (BEFORE, 14, 337)):
        row = result("adverse_event_incidence", cases, sessions, week=week)
        limits = " to ".join(number("adverse_event_incidence", row[side]) for side in ("lower", "upper"))
        assert f"95% interval {limits}; {cases} of {sessions}) in {week}" in sentence


@pytest.mark.parametrize(
    ("new", "old", "said"),
    [
        ((60, 300), (9, 300), "Adverse events rose by 17.0 per 100 sessions: 20.0 "),
        ((3, 300), (45, 300), "Adverse events fell by 14.0 per 100 sessions: 1.0 "),
        ((20, 300), (9, 300), "Nothing changed: "),
    ],
)
def test_a_change_has_direction_and_size(frozen: Freeze, new, old, said: str):
    """Intervals that do not overlap make a change, said with its direction, size, intervals and counts."""
    data = frozen(
        result("adverse_event_incidence", *new, week=SETTLED),
        result("adverse_event_incidence", *old, week=BEFORE),
    )
    assert data.changes[1].startswith(said)
    assert f"{new[0]} of {new[1]}" in data.changes[1]


def test_clinics_that_changed_are_named(frozen: Freeze):
    """The network edition names the clinics whose intervals do not overlap, and only those."""
    data = frozen(
        result("adverse_event_incidence", 50, 110, scope="clinic", scope_id="west", week=SETTLED),
        result("adverse_event_incidence", 2, 110, scope="clinic", scope_id="west", week=BEFORE),
    )
    (sentence,) = [text for text in data.changes if text.startswith("By clinic")]
    assert "changed in 1 of 3 that can be compared: Westend Skin rose" in sentence


def test_a_missing_week_cannot_be_compared(warehouse: Warehouse):
    """Without a result for one of the weeks there is neither a change nor 'nothing changed'."""
    connection, location = warehouse
    rows = [row for row in world.usual() if row["interval_start"] != SETTLED.start]
    world.write(connection, location, rows)
    data = freeze(connection, week=WEEK, clinic=None, computed_at=NOW)
    assert (
        data.changes[1]
        == "2026-W44 cannot be compared with 2026-W43: in 2026-W44 adverse events have no result."
    )


def test_an_old_week_is_settled(warehouse: Warehouse):
    """A report of a week that ended long before the cut-off compares that very week."""
    data = freeze(warehouse[0], week=IsoWeek.parse("2026-W40"), clinic=None, computed_at=NOW)
    assert data.changes[0].startswith("Nothing changed: ")
    assert " in 2026-W40, " in data.changes[0]
    assert not any(point.provisional for point in data.trend)


def test_devices_are_compared_with_a_week_earlier(frozen: Freeze):
    """A standing figure is set against the one of a week earlier, and what is overdue is counted."""
    data = frozen(result("device_in_calibration", 33, 36, as_of=world.EARLIER))
    (sentence,) = [text for text in data.changes if text.startswith("Devices in calibration")]
    assert "94.4% " in sentence
    assert "unchanged against 91.7%" in sentence
    assert sentence.endswith("2 overdue or never calibrated.")
