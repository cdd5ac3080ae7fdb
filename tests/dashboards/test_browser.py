"""The dashboard in a real browser: what a manager sees, does with the keyboard, and need not reload."""

import datetime as dt
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.dashboards.conftest import AS_OF, NOW, PASSWORD, Lake, Watched, incidence

pytestmark = pytest.mark.browser

expect.set_options(timeout=30_000)


def test_overview_shows_the_warehouse(watched: Watched, lake: Lake):
    """Tiles and table show the numbers that are in the warehouse, quietly and from this machine alone."""
    watched.log_in("manager")
    page = watched.page
    row = lake.connection.execute(
        "SELECT value, numerator, denominator FROM mart.metric_current"
        " WHERE metric_id = 'adverse_event_incidence' AND scope = 'clinic' AND scope_id = 'clinic-mill'"
        " AND period = 'year'"
    ).fetchone()
    assert row is not None
    cell = page.locator("#clinics-clinic-mill td").first
    assert cell.locator(".value").inner_text() == f"{row[0]:.1f}"
    assert cell.locator(".counts").inner_text() == f"{row[1]:.0f} of {row[2]:.0f}"
    page.locator("vega-chart svg").wait_for()
    label = page.locator("#chart-trend [role=graphics-document]").get_attribute("aria-label") or ""
    assert label.startswith("Line chart: Adverse events per 100 sessions, by week, Network")
    assert watched.console == []
    assert watched.external == []


def test_follows_the_warehouse(watched: Watched, lake: Lake):
    """New events and new metrics appear without a reload, and an opened table stays open."""
    watched.log_in("manager")
    page = watched.page
    page.locator("#details-trend summary").click()
    page.evaluate("window.neverReloaded = true")
    landed = page.locator("#freshness dd").nth(3)
    before = int(landed.inner_text().replace(",", ""))
    lake.insert("landing.batch", {"batch_id": "live", "landed": 700, "consumed": 700})
    expect(landed).to_have_text(f"{before + 700:,}")
    lake.connection.execute(
        "UPDATE mart.metric_result SET numerator = 42, value = 6.27, lower = 4.6, upper = 8.4,"
        " computed_at = ? WHERE metric_id = 'adverse_event_incidence' AND scope = 'network'"
        " AND period = 'year' AND as_of = ?",
        [NOW, AS_OF],
    )
    tile = page.locator("#tile-adverse_event_incidence")
    tile.get_by_text("42 of 670").wait_for()
    assert tile.locator(".value").inner_text() == "6.3"
    assert page.locator("#details-trend").get_attribute("open") is not None
    assert page.locator("vega-chart svg").count() == 1
    assert page.evaluate("window.neverReloaded")
    assert watched.console == []


def test_slow_scripts_are_waited_for(watched: Watched, lake: Lake):
    """The page follows the warehouse however late, and in whatever order, its scripts arrive."""
    late: list[Any] = []

    def hold(route: Any) -> None:
        late.append(route)
        if len(late) == 3:
            for each in reversed(late):
                each.continue_()

    watched.page.route(re.compile(r"\.js$"), hold)
    with watched.page.expect_response(lambda response: "/live" in response.url):
        watched.log_in("manager")
    landed = watched.page.locator("#freshness dd").nth(3)
    before = int(landed.inner_text().replace(",", ""))
    lake.insert("landing.batch", {"batch_id": "late", "landed": 50})
    expect(landed).to_have_text(f"{before + 50:,}")
    assert watched.console == []


def test_new_week_reaches_the_chart(watched: Watched, lake: Lake):
    """The chart is drawn again when its numbers change."""
    watched.log_in("manager")
    page = watched.page
    page.locator("vega-chart svg").wait_for()
    page.evaluate("document.querySelector('vega-chart svg').dataset.old = 'yes'")
    start = AS_OF
    lake.insert(
        "mart.metric_result",
        incidence(
            "network", "network", 9, 60, period="week", interval_start=start,
            interval_end=start + dt.timedelta(days=7), computed_at=NOW + dt.timedelta(minutes=1),
        ),
    )  # fmt: skip
    expect(page.locator("vega-chart svg:not([data-old])")).to_have_count(1)
    assert "2026-W10" in page.locator("vega-chart").get_attribute("chart")


def test_updates_can_be_paused(watched: Watched, lake: Lake):
    """Pausing is a link; the paused page listens to nothing and says how to go on."""
    page = watched.page
    with page.expect_request(lambda request: "/live" in request.url):  # of the page that is left below
        watched.log_in("manager")
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/live" in request.url else None)
    page.get_by_role("link", name="Pause updates").click()
    page.wait_for_url(re.compile("live=off"))
    page.locator("vega-chart svg").wait_for()
    assert streams == []
    with page.expect_response(lambda response: "/live" in response.url):
        page.get_by_role("link", name="Resume updates").click()
    assert page.url == f"{watched.url}/"
    assert len(streams) == 1


def test_keyboard_alone(watched: Watched):
    """Login, skip link, sorting and choosing a clinic work with the keyboard alone."""
    page = watched.page
    page.goto(f"{watched.url}/login")
    # The browser moves the focus to the first field some time after the page has loaded.
    page.wait_for_selector("#name:focus")
    page.keyboard.type("manager")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{watched.url}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    _tab_to(page, "#sort-clinics-adverse_event_incidence")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("sort=clinics.adverse_event_incidence"))
    names = page.locator(".clinics tbody th").all_inner_texts()
    assert names == ["Harbour View", "North Street", "Mill Lane"]
    _tab_to(page, "#clinics-clinic-mill a")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("clinic=clinic-mill"))
    assert page.locator("h1").inner_text() == "Mill Lane"


def _tab_to(page: Any, selector: str) -> None:
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key")


@pytest.mark.parametrize("address", ["/login", "/", "/?clinic=clinic-north", "/reports", "/nothing"])
def test_narrow_screen(watched: Watched, address: str):
    """At 320 pixels no page scrolls sideways, and what one presses is at least 24 pixels high."""
    if address != "/login":
        watched.log_in("manager")
    page = watched.page
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(watched.url + address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    heights = page.evaluate(
        "[...document.querySelectorAll('a, button, select, input:not([type=hidden]), summary')]"
        ".filter(e => e.checkVisibility() && !e.matches('.skip'))"
        ".map(e => [e.textContent.trim(), e.getBoundingClientRect().height])"
    )
    assert [each for each in heights if each[1] < 24] == []


def test_without_scripts(watched: Watched, browser: Any):
    """With scripts off one still logs in and sees numbers, tables and the chart as a picture."""
    context = browser.new_context(java_script_enabled=False)
    quiet = Watched(context.new_page(), watched.url, [], [])
    quiet.log_in("north")
    page = quiet.page
    assert page.locator("h1").inner_text() == "North Street"
    picture = page.locator("vega-chart img")
    assert "Line chart" in (picture.get_attribute("alt") or "")
    assert picture.bounding_box()["width"] > 300
    context.close()


def test_session_that_ended_leads_to_the_login(watched: Watched, clock: Any):
    """A page left open beyond its session goes to the login by itself."""
    with watched.page.expect_response(lambda response: "/live" in response.url):
        watched.log_in("manager")
    clock.forward(hours=13)
    watched.page.wait_for_url(f"{watched.url}/login")


@pytest.mark.parametrize(("media", "scheme"), [("screen", "light"), ("screen", "dark"), ("print", "dark")])
def test_contrast(watched: Watched, media: str, scheme: str):
    """Text stands out from its background by at least 4.5 to 1: light, dark, and dark readers' print."""
    watched.page.emulate_media(media=media, color_scheme=scheme)
    watched.log_in("manager")
    poor = watched.page.evaluate(_CONTRAST)
    assert poor == []


_CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.nodeValue.trim());
    if (!text || !e.checkVisibility() || e.closest("svg, noscript")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([e.tagName, e.className, ratio]);
  }
  return poor;
}"""
