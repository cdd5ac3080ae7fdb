"""A report's links, followed in the real dashboard: each leads to the same figure at the same snapshot."""

import datetime as dt
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboards.accounts import add_user
from dashboards.app import DashboardSettings, create_app
from dashboards.report import ReportData, build
from dashboards.report.archive import record
from dashboards.report.render_html import render_html
from dashboards.report.view import words
from dashboards.report.words import SUPPRESSED
from tests.dashboards.conftest import PASSWORD, logged_in
from tests.report import world
from tests.report.world import NOW, WEEK
from warehouse import store

pytestmark = pytest.mark.integration

DASHBOARD = "https://dash.example"


class Readers:
    """The dashboard over a warehouse in which two editions were issued, and everything moved on since."""

    def __init__(self, home: Path) -> None:
        connection, location = world.fill(home)
        self.archive = home / "reports"
        self.editions: dict[str, ReportData] = {}
        for clinic in (None, "north"):
            files = build(
                connection, week=WEEK, clinic=clinic, archive=self.archive, now=NOW, dashboard_url=DASHBOARD
            )
            record(connection, location, [files])
            data = ReportData.from_json(files[0].read_bytes())
            self.editions[data.edition] = data
        world.write(connection, location, [_later(row) for row in world.usual()])
        self.lost = _forget(connection, location)
        connection.close()
        for name, role, clinics in (
            ("noor", "network_manager", ()),
            ("mia", "clinic_manager", ("north",)),
            ("hal", "clinic_manager", ("harbour",)),
        ):
            add_user(home / "accounts.sqlite", name, PASSWORD, role, clinics)
        settings = DashboardSettings(
            location, home / "accounts.sqlite", home / "secret", "http://127.0.0.1", self.archive
        )
        self.app = TestClient(create_app(settings, lambda: NOW + dt.timedelta(days=30)))
        self.clients = {name: TestClient(self.app.app) for name in ("noor", "mia", "hal")}

    def page(self, name: str, href: str) -> str:
        """What that reader sees behind a link of a report, without its markup."""
        answer = self.clients[name].get(href.removeprefix(DASHBOARD).partition("#")[0])
        assert answer.status_code == 200, href
        text = html.unescape(re.sub(r"<[^>]+>", " ", answer.text))
        return re.sub(r"\s+", " ", text)


def _forget(connection: store.Connection, location: store.Location) -> tuple[int, int]:
    """Two reports' snapshots: one that was expired, one from before there was anything to read."""
    expired = store.snapshot_id(connection)
    with store.transaction(connection, location):
        for snapshot in (expired, 0):
            connection.execute(
                "INSERT INTO mart.report_file (report_id, edition, kind, snapshot_id, issued_at)"
                " VALUES ('lost-' || $snapshot, 'network', 'json', $snapshot, $at)",
                {"snapshot": snapshot, "at": NOW},
            )
    connection.execute(f"CALL ducklake_expire_snapshots('{store.CATALOG}', versions => [{expired}])")
    return expired, 0


def _later(row: dict[str, object]) -> dict[str, object]:
    """The same result of the next day, with all that it counts doubled and another value."""
    day = dt.timedelta(days=1)
    assert isinstance(row["as_of"], dt.datetime)
    changed = {"as_of": row["as_of"] + day, "computed_at": row["as_of"] + day}
    for name in ("value", "lower", "upper", "numerator", "denominator"):
        number = row[name]
        changed[name] = None if number is None else 0.9 * float(str(number))
    return row | changed


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    """The dashboard with three people logged in, without a limit of requests."""
    found = Readers(tmp_path_factory.mktemp("home"))
    with logged_in(found.app, found.clients):
        yield found


def linked(data: ReportData) -> Iterator[tuple[str, list[str]]]:
    """Each link of an edition, and the figures that stand beside it in the report."""
    view = words(data)
    for tile in view["tiles"]:
        yield tile["href"], [tile["value"], tile["counts"].partition(" ")[0]]
    yield view["trend"]["href"], [cell for row in view["trend"]["rows"] for cell in row["cells"][1:4]]
    for table in [view["signals"], view["funnel"], *view["tables"]]:
        for row in table["rows"]:
            yield row["href"], list(_figures(table["heading"], row["cells"]))
    yield view["funnel"]["href"], []


def _figures(heading: str, cells: list[list[str]]) -> Iterator[str]:
    """The numbers of a row. Limits of a funnel are drawn in the dashboard, not written."""
    if heading.startswith("Devices"):
        yield cells[1][0]
        return
    if heading == "Signals":
        yield cells[1][0].partition(" ")[0]
        return
    cells = cells[:2] if "expected" in heading else cells
    for above, below in cells:
        counted = below.rpartition("; ")[2] if ";" in below else ""
        for text in (above, counted):
            if text != SUPPRESSED and re.match(r"[\d-]", text):
                yield text.removesuffix(" observed").removesuffix(" expected")


@pytest.mark.parametrize(("edition", "name"), [("network", "noor"), ("clinic-north", "mia")])
def test_each_link_shows_the_figure_of_the_report(readers: Readers, edition: str, name: str):
    """Every link of the rendered edition answers, shows the report's own numbers though all have changed
    since, and says which moment it shows."""
    data = readers.editions[edition]
    links = list(linked(data))
    rendered = set(re.findall(r'href="([^"]+)"', html.unescape(render_html(data).decode())))
    assert rendered == {href for href, _ in links}
    assert len(links) > 10
    for href, figures in links:
        page = readers.page(name, href)
        assert f"As it was: snapshot {data.snapshot_id}" in page, href
        if "/adherence?clinic=network" in href:
            continue  # the network's total is the sum of the clinics that stand there
        assert [each for each in figures if each not in page] == [], href


def test_without_the_snapshot_the_page_is_another(readers: Readers):
    """The newest figures are others than the report's, so the test above sees the moment and not today."""
    data = readers.editions["network"]
    tile = next(tile for tile in words(data)["tiles"] if tile["title"] == "Maintenance on time")
    today = tile["href"].replace(f"&snapshot={data.snapshot_id}", "")
    assert tile["value"] in readers.page("noor", tile["href"])
    assert tile["value"] not in readers.page("noor", today)
    assert "As it was" not in readers.page("noor", today)


def test_the_anchors_are_on_the_pages(readers: Readers):
    """What a link names after # is there to be scrolled to."""
    for edition, name in (("network", "noor"), ("clinic-north", "mia")):
        for href, _ in linked(readers.editions[edition]):
            address, _, anchor = href.removeprefix(DASHBOARD).partition("#")
            assert not anchor or f'id="{anchor}"' in readers.clients[name].get(address).text, href


def test_a_moment_is_for_readers_of_its_report(readers: Readers):
    """Only a snapshot that a report of one's own names may be gone back to, and nothing can be done there."""
    north, network = (readers.editions[each].snapshot_id for each in ("clinic-north", "network"))
    assert readers.clients["mia"].get(f"/?snapshot={north}").status_code == 200
    assert readers.clients["hal"].get(f"/?snapshot={north}").status_code == 404
    assert readers.clients["mia"].get(f"/?clinic=harbour&snapshot={north}").status_code == 404
    assert readers.clients["noor"].get(f"/?snapshot={network + 10_000}").status_code == 404
    assert readers.clients["noor"].get("/?snapshot=1%3B").status_code == 400
    signal = "/signal?signal=new1"
    assert 'method="post" action="/signal/' in readers.clients["noor"].get(signal).text
    then = readers.clients["noor"].get(f"{signal}&snapshot={network}").text
    assert 'method="post" action="/signal/' not in then
    assert f'href="{html.escape(signal)}"' in then
    assert f"snapshot={network}" in then.partition("</nav>")[0]


def test_files_have_the_moments_figures_too(readers: Readers):
    """A table taken as a file from such a page is that moment's."""
    snapshot = readers.editions["network"].snapshot_id
    client = readers.clients["noor"]
    then = client.get(f"/export/overview/clinics.csv?snapshot={snapshot}").text
    assert then != client.get("/export/overview/clinics.csv").text
    assert "190.0,330.0" in then


def test_a_moment_that_is_not_kept_says_so(readers: Readers):
    """A snapshot forgotten since, or older than the pages' own tables, leads to the archive."""
    for number, snapshot in enumerate(readers.lost):
        answer = readers.clients["noor"].get(f"/?snapshot={snapshot}")
        assert (number, answer.status_code) == (number, 410)
        assert "The figures of the report itself are in the archive" in answer.text
