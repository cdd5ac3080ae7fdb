"""Every page in a real browser: reachable for everybody, from this machine alone, light in weight."""

import os
import re
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest

from tests.dashboards.conftest import Watched

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
NORTH = "clinic=clinic-north"
PAGES = {
    "overview": "/",
    "signals": "/signals",
    "signal": "/signal?signal=signal-clinic-north",
    "clinic": f"/clinic?{NORTH}",
    "safety": "/safety?by=device",
    "protocols": "/protocols",
    "adherence": f"/adherence?{NORTH}",
    "trace": "/trace?device=clinic-north%2Fpen-north",
    "session": "/session?session=clinic-north%2Fs-north-0",
    "health": "/health",
    "checks": "/checks",
    "dictionary": "/dictionary?relation=mart.metric_result",
    "metrics": "/metrics",
    "views": "/views?address=%2Fsafety",
    "reports": "/reports",
}
MOST_KILOBYTES, MOST_REQUESTS = 400, 10


def _opened(watched: Watched, address: str) -> Any:
    page = watched.page
    page.goto(watched.url + address)
    page.wait_for_function(
        "[...document.querySelectorAll('vega-chart')].every((chart) => chart.querySelector('.plot svg'))"
    )
    return page


def _pictured(page: Any, name: str) -> None:
    """A screenshot for whoever wants to look: DERMASTREAM_SCREENSHOTS names the folder."""
    if folder := os.environ.get("DERMASTREAM_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def _findings(page: Any) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})", TAGS)
    return [
        f"{each['id']}: {node['html'][:160]} ({node.get('failureSummary', '')[:200]})"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def test_every_page_in_light_dark_and_narrow(watched: Watched):
    """axe-core finds nothing at levels A and AA, in light and dark; charts are named and have their table;
    at 320
    pixels nothing scrolls sideways; the console is quiet and no request leaves this machine."""
    watched.log_in("manager")
    wrong: dict[str, list[str]] = {}
    for name, address in PAGES.items():
        watched.page.emulate_media(color_scheme="light")
        watched.page.set_viewport_size({"width": 1280, "height": 900})
        page = _opened(watched, address)
        found = _findings(page)
        found += [chart for chart in page.evaluate(_UNNAMED) if chart]
        _pictured(page, f"{name}-light")
        watched.page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(150)
        found += [f"dark: {each}" for each in _findings(page)]
        _pictured(page, f"{name}-dark")
        page.set_viewport_size({"width": 320, "height": 640})
        if (width := page.evaluate("document.documentElement.scrollWidth")) > 320:
            found.append(f"{width} pixels wide at 320")
        found += [f"only {height} pixels high: {text}" for text, height in page.evaluate(_LOW)]
        _pictured(page, f"{name}-narrow")
        if found:
            wrong[name] = found
    assert wrong == {}
    assert watched.console == []
    assert watched.external == []


def test_german_fits(watched: Watched):
    """Longer words do not break a page at 320 pixels, and charts write numbers as German does."""
    watched.log_in("manager")
    wrong: dict[str, int] = {}
    for name, address in PAGES.items():
        watched.page.set_viewport_size({"width": 1280, "height": 900})
        page = _opened(watched, f"{address}{'&' if '?' in address else '?'}lang=de")
        _pictured(page, f"{name}-german")
        page.set_viewport_size({"width": 320, "height": 640})
        _pictured(page, f"{name}-german-narrow")
        if (width := page.evaluate("document.documentElement.scrollWidth")) > 320:
            wrong[name] = width
    assert wrong == {}
    axis = _opened(watched, "/safety?lang=de").locator("vega-chart .role-axis-label text")
    labels = axis.all_text_contents()
    assert any("," in label for label in labels), labels
    assert watched.console == []


_UNNAMED = """[...document.querySelectorAll('vega-chart')].map((chart) =>
  !chart.querySelector('[role=graphics-document]')?.getAttribute('aria-label') ? `${chart.id} has no name`
  : !chart.closest('section').querySelector('details table') ? `${chart.id} has no table` : '')"""

_LOW = """[...document.querySelectorAll('a, button, select, input:not([type=hidden]), summary')]
  .filter((e) => e.checkVisibility() && !e.matches('.skip') && !e.closest('svg'))
  .map((e) => [e.textContent.trim().slice(0, 40), e.getBoundingClientRect().height])
  .filter(([, height]) => height < 24)"""


def test_twice_as_large(watched: Watched):
    """At 200 % text size, as at half the width, no page scrolls sideways."""
    watched.log_in("manager")
    watched.page.set_viewport_size({"width": 640, "height": 450})
    for name, address in PAGES.items():
        page = _opened(watched, address)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth") <= 640, name


def test_weight(watched: Watched):
    """A first visit to any page takes at most 400 KB as sent and ten requests, the live stream left out."""
    sizes: dict[str, tuple[float, int]] = {}
    watched.log_in("manager")
    session = watched.page.context.new_cdp_session(watched.page)
    session.send("Network.enable")
    received: list[float] = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    for name, address in PAGES.items():
        session.send("Network.clearBrowserCache")
        received.clear()
        _opened(watched, address)
        sizes[name] = (sum(received) / 1024, len(received))
    heavy = {
        name: size for name, size in sizes.items() if size[0] > MOST_KILOBYTES or size[1] > MOST_REQUESTS
    }
    assert heavy == {}, sizes


def test_drill_with_the_keyboard_alone(watched: Watched):
    """From the network to a clinic, its device, a session and back up, without a pointer."""
    watched.log_in("manager")
    page = watched.page
    device = r"/trace\?.*device=clinic-north%2Fpen-north"
    for selector, address in (
        ("[id='clinics-clinic-north'] th a", r"/clinic\?clinic=clinic-north"),
        ("[id='devices-clinic-north.pen-north'] th a", device),
        ("[id='sessions-clinic-north.s-north-0'] th a", r"/session\?.*session=clinic-north%2Fs-north-0"),
        (".trail a:last-of-type", device),
    ):
        _tab_to(page, selector)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(address))
    assert page.locator("h1").inner_text() == "Device pen-north"


def _tab_to(page: Any, selector: str) -> None:
    for _ in range(250):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key")


def test_filters_go_from_page_to_page(watched: Watched):
    """What the filter bar sets stays in the address and on the next page."""
    watched.log_in("manager")
    page = watched.page
    page.get_by_label("Clinic", exact=True).select_option("clinic-mill")
    page.get_by_label("Period").select_option("13")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(re.compile("clinic=clinic-mill"))
    assert "weeks=13" in page.url
    page.get_by_role("link", name="Adherence").click()
    page.wait_for_url(re.compile("/adherence"))
    assert "clinic=clinic-mill" in page.url
    assert page.locator("h1").inner_text() == "Adherence, Mill Lane"


def test_a_click_on_a_mark_leads_to_what_is_behind_it(watched: Watched):
    """A point of the forest plot opens the device it stands for."""
    watched.log_in("manager")
    page = _opened(watched, "/safety?by=device")
    page.locator("#chart-groups .mark-symbol path").first.click()
    page.wait_for_url(re.compile("/trace"))
    assert page.locator("h1").inner_text().startswith("Device pen-")


def test_print(watched: Watched):
    """On paper there are no controls, and every table is whole."""
    watched.log_in("manager")
    page = _opened(watched, f"/clinic?{NORTH}")
    page.emulate_media(media="print")
    for selector in (".top nav", ".filter", ".take", "button"):
        assert not any(each.is_visible() for each in page.locator(selector).all()), selector
    assert page.locator("#panel-devices table").is_visible()
    _pictured(page, "clinic-print")


def test_every_page_without_scripts(watched: Watched, browser: Any):
    """With scripts off each page has its tables, and a picture with words for every chart."""
    context = browser.new_context(java_script_enabled=False)
    quiet = Watched(context.new_page(), watched.url, [], [])
    quiet.log_in("manager")
    for name, address in PAGES.items():
        page = quiet.page
        page.goto(watched.url + address)
        charts = page.locator("vega-chart")
        pictures = page.locator("vega-chart img")
        assert charts.count() == pictures.count(), name
        assert all(each.get_attribute("alt") for each in pictures.all()), name
        assert page.locator("table").count() > 0 or name == "reports", name
    context.close()
