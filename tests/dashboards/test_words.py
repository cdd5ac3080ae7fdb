"""What the pages say: numbers in words, in the words of the reports and the metric cards."""

import datetime as dt
from typing import Any

import pytest

from dashboards import charts, words
from dashboards.page import Column, Line, Table, text
from dashboards.report import changes
from dashboards.report import words as report_words
from dashboards.report.model import Figure
from dashboards.state import State, UnknownState
from dashboards.views import clocks, figures, freshness, overview
from tests.dashboards.conftest import AS_OF, BATCH, NOW, incidence, result
from warehouse.metrics.cards import CARDS, FINDING_CARDS, SAFETY_CARDS
from warehouse.metrics.schedule_cards import SCHEDULE_CARDS
from warehouse.metrics.signals import due_dates

pytestmark = pytest.mark.unit


def _row(metric_id: str = "adverse_event_incidence", **values: Any) -> dict[str, Any]:
    given = {"earlier_value": None, "earlier_as_of": None}
    return result(metric_id, "network", "network", **(given | values))


EXAMPLES = [
    _row(numerator=12.0, denominator=387.0, value=3.1007, lower=1.8, upper=5.0499),
    _row("maintenance_on_time", numerator=1.0, denominator=3.0, value=1 / 3, lower=0.06, upper=0.79),
    _row("protocol_improvement", numerator=1412.5, denominator=1130.0, value=1.25, lower=-0.001, upper=2.6),
    _row("device_in_calibration", reason="no devices in service"),
]


def test_the_same_words_as_the_report():
    """A page and a report say the same figure in the same words."""
    for row in EXAMPLES:
        figure = Figure(**{name: row[name] for name in Figure.__dataclass_fields__ if name in row})
        for say in ("value_text", "interval_text", "ratio_text", "counts_text"):
            assert getattr(words, say)(row) == getattr(report_words, say)(figure)
    assert words.METRICS.keys() == report_words.METRICS.keys() == CARDS.keys()
    for metric_id, word in words.METRICS.items():
        assert word.title == report_words.METRICS[metric_id].title
    assert words.SETTLING_DAYS == changes.SETTLING_DAYS


def test_every_metric_has_its_words():
    """Each card's metric is named, by the card's own title but for the surveillance pages' short ones."""
    groups = (CARDS, SAFETY_CARDS, SCHEDULE_CARDS, FINDING_CARDS)
    known = {card.id: card for group in groups for card in group.values()}
    assert set(words.METRICS) | set(words.MORE) == set(known)
    for metric_id, word in words.MORE.items():
        card = known[metric_id]
        assert word.scale == (100 if card.unit == "proportion" else 1), metric_id
        assert word.ratio == (card.unit == "ratio"), metric_id


def test_explanations_are_the_cards():
    """A tile explains its metric with the first sentence of the metric's card."""
    for metric_id, word in words.METRICS.items():
        assert word.explanation == CARDS[metric_id].description.partition(". ")[0].rstrip(".") + "."


def test_unknown_is_never_zero():
    """A figure that cannot be estimated says why; one that was not computed says so."""
    cell = figures.figure(EXAMPLES[3])
    assert (cell.text, cell.interval, cell.counts) == ("not estimable", "", "no devices in service")
    assert figures.figure(None).text == "no result"
    assert figures.figure(None).value is None


def test_suppressed_is_said():
    """A small cell is said to be suppressed, with no number beside it or in its file."""
    cell = figures.figure(_row(suppressed=True, denominator=None, reason="suppressed: about fewer than 5"))
    assert (cell.text, cell.interval, cell.counts) == ("suppressed (n < 5)", "", "")
    assert [value for part, value in cell.raw.items() if part != "reason" and value is not None] == []


@pytest.mark.parametrize(
    ("metric_id", "value", "earlier", "says"),
    [
        ("adverse_event_incidence", 3.1, 2.5, "+0.6 since 23 February 2026"),
        ("adverse_event_incidence", 2.5, 3.1, "−0.6 since 23 February 2026"),
        ("adverse_event_incidence", 2.51, 2.5, "unchanged since 23 February 2026"),
        ("maintenance_on_time", 0.55, 0.5, "+5.0 points since 23 February 2026"),
        ("maintenance_on_time", 0.55, None, ""),
        ("maintenance_on_time", None, 0.55, ""),
    ],
)
def test_change(metric_id: str, value: float | None, earlier: float | None, says: str):
    """A tile tells the difference from about a week before, in the metric's own unit."""
    row = _row(metric_id, value=value, earlier_value=earlier, earlier_as_of=AS_OF - dt.timedelta(days=7))
    assert overview.change(row) == says


def test_sorting_puts_the_unknown_last():
    """Rows without a value come last, whichever way the table is sorted."""
    rows = [incidence("clinic", "a", 2, 100), incidence("clinic", "b", 1, 100)]
    rows.append(result("adverse_event_incidence", "clinic", "c", reason="no sessions"))
    columns = (Column("name", "Clinic"), figures.figure_column("adverse_event_incidence"))
    lines = tuple(Line(row["scope_id"], (text(row["scope_id"]), figures.figure(row))) for row in rows)
    table = Table("clinics", "Clinics", columns, lines, "")
    for order, expected in (("asc", "bac"), ("desc", "abc")):
        shown = table.sorted_by("adverse_event_incidence", order)
        assert "".join(line.key for line in shown.lines) == expected
    assert table.sorted_by("nothing", "asc") == table


def test_state_is_the_address():
    """Reading an address and writing it again gives the same address, defaults left out."""
    given = [("clinic", "c&1"), ("order", "desc"), ("other", "x"), ("weeks", "52"), ("device", "")]
    state = State.parse("/safety", given)
    assert state.url() == "/safety?clinic=c%261&order=desc"
    assert state.sorted_by("lots", "q", ("name", "asc")) == "/safety?clinic=c%261&sort=lots.q"
    assert state.sorted_by("lots", "q", ("q", "asc")) == "/safety?clinic=c%261&sort=lots.q&order=desc"
    assert State.parse("/", []).url() == "/"


def test_filters_go_along_and_the_rest_stays():
    """Another page keeps what the filter bar set, and not what this page was about."""
    state = State.parse("/trace", [("clinic", "a"), ("skin", "4"), ("lot", "L1"), ("sort", "lots.q")])
    assert state.to("/safety") == "/safety?clinic=a&skin=4"
    assert dict(state.hidden(["clinic"])) == {"skin": "4", "lot": "L1", "sort": "lots.q"}


@pytest.mark.parametrize(
    "pairs", [[("weeks", "27")], [("skin", "7")], [("sort", "a")], [("live", "maybe")], [("lot", "x" * 101)],
              [("clinic", "a"), ("clinic", "b")]],
)  # fmt: skip
def test_no_other_state(pairs: list[tuple[str, str]]):
    """What a page cannot be is refused, not mended."""
    with pytest.raises(UnknownState):
        State.parse("/", pairs)


def test_clocks_are_the_warehouses():
    """The regulators' clocks of the pages are those of the command line, whatever the day."""
    for day in (dt.date(2026, 3, 2), dt.date(2026, 2, 27), dt.date(2026, 12, 31), dt.date(2028, 2, 28)):
        ours = [(due.id, due.who, due.due_on, due.source) for due in clocks.due_dates(day)]
        assert ours == list(due_dates(day).iter_rows())


def _weeks() -> list[dict[str, Any]]:
    weeks = []
    for back in range(4, 0, -1):
        start = AS_OF - dt.timedelta(days=7 * back)
        given = {"period": "week", "interval_start": start, "interval_end": start + dt.timedelta(days=7)}
        weeks.append(incidence("network", "network", 4, 100, **given))
        if back == 3:
            weeks.append(result("adverse_event_incidence", "clinic", "a", reason="no sessions", **given))
        else:
            weeks.append(incidence("clinic", "a", back, 100, **given))
    return weeks


def _weeks_of(scope: str, scope_id: str) -> list[dict[str, Any]]:
    own = figures.weeks_of(_weeks(), "adverse_event_incidence", scope, scope_id, 26)
    return figures.week_data(_weeks(), own, beside=scope == "clinic", limits={})


def test_trend_has_gaps_and_open_weeks():
    """A week without a value stays a gap; weeks whose outcomes still arrive are marked; oldest first."""
    points = _weeks_of("clinic", "a")
    assert [point["value"] for point in points] == [4.0, None, 2.0, 1.0]
    assert [point["network"] for point in points] == [4.0] * 4
    assert [point["provisional"] for point in points] == [False, False, True, True]
    assert points[0]["week"] == "2026-W06"


def test_chart_speaks_and_differs_by_form():
    """The chart has a sentence for those who do not see it, and tells its series apart without colour."""
    points = _weeks_of("clinic", "a")
    assert "Newest 1.0 in 2026-W09" in figures.describe_trend(points, "Adverse events", "North Street")
    spec = charts.trend(points, "per 100 sessions", network=True)
    assert [row["value"] for row in spec["data"]["values"]] == [4.0, None, 2.0, 1.0]
    for theme in ("light", "dark"):
        styles = charts.theme(theme)["style"]
        assert "strokeDash" in styles["network-line"]
        assert "strokeDash" not in styles["own-line"]
        assert styles["own-settled"]["filled"] != styles["own-provisional"]["filled"]
    assert len(charts.trend(points, "per 100 sessions")["layer"]) == len(spec["layer"]) - 1


def test_sparkline_has_gaps():
    """A week without a value breaks the line instead of being drawn as zero."""
    assert charts.sparkline([1.0, 2.0, None, 1.5]).count("M") == 2
    assert charts.sparkline([None, 3.0]) == ""


@pytest.mark.parametrize(
    ("minutes", "state", "says"),
    [(2, "fresh", "Events are arriving"), (16, "stale", "No event for 16 minutes"),
     (300, "stale", "No event for 5 hours"), (6000, "stale", "No event for 4 days")],
)  # fmt: skip
def test_freshness(minutes: int, state: str, says: str):
    """Silence is said in words, beside its colour."""
    row = BATCH | {
        "newest_received_at": NOW - dt.timedelta(minutes=minutes),
        "newest_metric_at": None,
        "newest_as_of": None,
    }
    shown = freshness.of(row, NOW)
    assert (shown.state, shown.summary) == (state, says)
    assert dict(shown.times)["Metrics computed"] == "not yet"
    assert dict(shown.counts) == {"Landed": "1,288", "Duplicates": "9", "Quarantined": "3"}
