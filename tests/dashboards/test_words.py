"""What the pages say: numbers in words, in the words of the reports and the metric cards."""

import datetime as dt
from pathlib import PurePosixPath
from typing import Any

import pytest

from dashboards import charts, view_models, words
from dashboards.report import changes
from dashboards.report import words as report_words
from dashboards.report.model import Figure
from dashboards.view_models import View
from tests.dashboards.conftest import AS_OF, BATCH, NOW, incidence, result
from warehouse.metrics.cards import CARDS

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


def test_explanations_are_the_cards():
    """A tile explains its metric with the first sentence of the metric's card."""
    for metric_id, word in words.METRICS.items():
        assert word.explanation == CARDS[metric_id].description.partition(". ")[0].rstrip(".") + "."


def test_unknown_is_never_zero():
    """A figure that cannot be estimated says why; one that was not computed says so."""
    cell = view_models.cell(EXAMPLES[3])
    assert (cell.value, cell.interval, cell.counts) == ("not estimable", "", "no devices in service")
    assert view_models.cell(None).value == "no result"


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
    results = view_models.index([row])
    assert view_models.tiles(results, "network", "network")[0].change == says


def test_sorting_puts_the_unknown_last():
    """Clinics without a value come last, whichever way the table is sorted."""
    clinics = [{"clinic_id": c, "display_name": c.upper()} for c in ("a", "b", "c")]
    rows = [incidence("clinic", "a", 2, 100), incidence("clinic", "b", 1, 100)]
    rows.append(result("adverse_event_incidence", "clinic", "c", reason="no sessions"))
    for order, expected in (("asc", "bac"), ("desc", "abc")):
        view = View(sort="adverse_event_incidence", order=order)
        shown = view_models.clinic_rows(clinics, view_models.index(rows), view, "")
        assert "".join(row.clinic_id for row in shown) == expected


def test_state_is_the_address():
    """Reading an address and writing it again gives the same address, defaults left out."""
    view = View.parse([("clinic", "c&1"), ("order", "desc"), ("other", "x"), ("sort", "name")])
    assert view.url() == "/?clinic=c%261&order=desc"
    assert view.sorted_by("name") == "/?clinic=c%261"
    assert View.parse([]).url() == "/"


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


def test_trend_has_gaps_and_open_weeks():
    """A week without a value stays a gap; weeks whose outcomes still arrive are marked; oldest first."""
    points = view_models.trend(_weeks(), "clinic", "a")
    assert [point.value for point in points] == [4.0, None, 2.0, 1.0]
    assert [point.network for point in points] == [4.0] * 4
    assert [point.provisional for point in points] == [False, False, True, True]
    assert points[0].week == "2026-W06"


def test_chart_speaks_and_differs_by_form():
    """The chart has a sentence for those who do not see it, and tells its series apart without colour."""
    points = view_models.trend(_weeks(), "clinic", "a")
    spec = charts.incidence_trend(points, "North Street")
    assert "Newest 1.0 in 2026-W09" in spec["description"]
    assert [row["value"] for row in spec["data"]["values"]] == [4.0, None, 2.0, 1.0]
    for theme in ("light", "dark"):
        styles = charts.theme(theme)["style"]
        assert "strokeDash" in styles["network-line"]
        assert "strokeDash" not in styles["own-line"]
        assert styles["own-settled"]["filled"] != styles["own-provisional"]["filled"]
    alone = charts.incidence_trend(view_models.trend(_weeks(), "network", "network"), "Network")
    assert len(alone["layer"]) == len(spec["layer"]) - 1


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
    shown = view_models.freshness(row, NOW)
    assert (shown.state, shown.summary) == (state, says)
    assert dict(shown.times)["Metrics computed"] == "not yet"
    assert dict(shown.counts) == {"Landed": "1,288", "Duplicates": "9", "Quarantined": "3"}


def test_reports_newest_first():
    """Issues come by week, the newest first, the network's before the clinics'."""
    paths = [
        PurePosixPath(f"{week}/{edition}/{week}-{edition}-s1-r1.{kind}")
        for week in ("2025-W52", "2026-W01")
        for edition in ("clinic-a", "network")
        for kind in ("csv", "html", "pdf")
    ]
    shown = view_models.reports(paths, {"a": "North Street"})
    assert [(each.week, each.title) for each in shown] == [
        ("2026-W01", "Network"),
        ("2026-W01", "North Street"),
        ("2025-W52", "Network"),
        ("2025-W52", "North Street"),
    ]
    assert [kind for kind, _ in shown[0].files] == ["HTML", "PDF", "CSV"]
