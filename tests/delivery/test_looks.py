"""Mail and PDF as people see them: rendered by real programs, kept as pictures in .artifacts/."""

import re
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from dashboards.report import ReportData, freeze
from dashboards.report.render_mail import render_mail
from dashboards.report.render_pdf import render_pdf
from tests.project.files import ROOT
from tests.report import world

pytestmark = pytest.mark.browser

ARTEFACTS = ROOT / ".artifacts" / "report"


@pytest.fixture(scope="module", params=["network", "clinic"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    """The network's edition and a clinic's."""
    connection, location = world.fill(tmp_path_factory.mktemp("home"))
    world.write(connection, location, world.usual() + world.eleven_weeks_before())
    clinic = None if request.param == "network" else "north"
    found = freeze(
        connection,
        week=world.WEEK,
        clinic=clinic,
        computed_at=world.NOW,
        dashboard_url="https://dash.example",
    )
    connection.close()
    return found


def test_the_pdf_as_pictures(data: ReportData, tmp_path: Path):
    """Each page is drawn by pdftoppm; none is empty."""
    if shutil.which("pdftoppm") is None:
        pytest.skip("no pdftoppm here: the PDF's pages were NOT drawn")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    (tmp_path / "report.pdf").write_bytes(render_pdf(data))
    prefix = ARTEFACTS / f"{data.edition}-page"
    subprocess.run(["pdftoppm", "-r", "70", "-png", str(tmp_path / "report.pdf"), str(prefix)], check=True)
    pages = sorted(ARTEFACTS.glob(f"{data.edition}-page-*.png"))
    assert len(pages) >= 2
    assert all(page.stat().st_size > 10_000 for page in pages)


def test_the_mail_in_a_browser(data: ReportData):
    """Chromium draws every picture, asks nobody for anything, and nothing is wider than a phone allows."""
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("no Chromium here: the mail was NOT looked at")
    mail = render_mail(data)

    def inline(match: re.Match[str]) -> str:
        return "data:image/png;base64," + b64encode(mail.images[match[1]]).decode()

    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for width in (720, 390):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.on("request", lambda request: asked.append(request.url))
            page.set_content(re.sub(r"cid:([\w-]+)", inline, mail.html), wait_until="load")
            drawn = page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)")
            assert len(drawn) == len(mail.images)
            assert all(drawn)
            page.screenshot(path=ARTEFACTS / f"{data.edition}-mail-{width}.png", full_page=True)
            if width == 720:
                assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    assert not [url for url in asked if not url.startswith("data:")]
