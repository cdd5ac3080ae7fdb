"""The archive in the dashboard: listed and searched from the lake, each file as it was issued or refused."""

import base64
import hashlib
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboards.accounts import add_user
from dashboards.app import DashboardSettings, create_app
from dashboards.report import ReportData, build
from dashboards.report.archive import put_back, record
from tests.dashboards.conftest import PASSWORD, logged_in
from tests.report import world
from tests.report.world import NOW, WEEK, result
from warehouse import store

pytestmark = pytest.mark.integration


class Shelf:
    """Two weeks' reports in lake and archive, and readers logged in."""

    def __init__(self, home: Path) -> None:
        self.connection, self.location = world.fill(home)
        self.archive = home / "reports"
        self.files: dict[str, list[Path]] = {}
        for week in (WEEK, WEEK.shifted(-1)):
            for clinic in (None, "north", "west"):
                self.issue(week, clinic)
        for name, role, clinics in (
            ("noor", "network_manager", ()),
            ("ana", "analyst", ()),
            ("mia", "clinic_manager", ("north",)),
        ):
            add_user(home / "accounts.sqlite", name, PASSWORD, role, clinics)
        settings = DashboardSettings(
            self.location, home / "accounts.sqlite", home / "secret", "http://127.0.0.1", self.archive
        )
        self.app = TestClient(create_app(settings, lambda: NOW))
        self.clients = {name: TestClient(self.app.app) for name in ("noor", "ana", "mia")}

    def issue(self, week: object, clinic: str | None) -> str:
        files = build(self.connection, week=week, clinic=clinic, archive=self.archive, now=NOW)  # type: ignore[arg-type]
        record(self.connection, self.location, [files])
        self.files[files[0].stem] = files
        return files[0].stem

    def listed(self, name: str, words: str = "") -> list[str]:
        """Ids of the reports on that reader's page, in order."""
        answer = self.clients[name].get("/reports", params={"words": words} if words else {})
        assert answer.status_code == 200
        return re.findall(r"<td><code>([^<]+)</code>", answer.text)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """The archive and its readers, without a limit of requests."""
    found = Shelf(tmp_path_factory.mktemp("home"))
    with logged_in(found.app, found.clients):
        yield found
    found.connection.close()


def address(file: Path) -> str:
    week, edition, name = file.parts[-3:]
    return f"/reports/{week}/{edition}/{name}"


def test_reports_are_listed_newest_first_within_the_scope(shelf: Shelf):
    """Newest week first, the network's before the clinics'; a clinic's manager finds their own alone."""
    everything = shelf.listed("noor")
    assert [name.partition("-s")[0] for name in everything] == [
        f"{week}-{edition}"
        for week in ("2026-W46", "2026-W45")
        for edition in ("network", "clinic-north", "clinic-west")
    ]
    assert shelf.listed("ana") == everything
    assert shelf.listed("mia") == [name for name in everything if "clinic-north" in name]


def test_the_search_finds_words_of_ones_own_reports(shelf: Shelf):
    """By week, by name, by any words in them; never by what is in another's."""
    assert len(shelf.listed("noor", "2026-W45")) == 3
    assert {name.split("-s")[0] for name in shelf.listed("noor", "westend SKIN")} >= {"2026-W46-clinic-west"}
    assert shelf.listed("mia", "Westend Skin") == []
    assert shelf.listed("noor", "no such words") == []
    assert "No report of yours has these words" in shelf.clients["noor"].get("/reports?words=xyzzy").text
    assert shelf.clients["noor"].get("/reports", params={"words": "x" * 101}).status_code == 400
    page = shelf.clients["noor"].get("/reports", params={"words": '"><script>'}).text
    assert "<script>" not in page


def test_every_file_opens_with_its_checksum(shelf: Shelf):
    """HTML, PDF, CSV, text and JSON come as they were issued, of the type they are; the page says the
    checksum, and so does the answer."""
    page = html.unescape(shelf.clients["noor"].get("/reports").text)
    types = {"html": "text/html", "pdf": "application/pdf", "csv": "text/csv", "txt": "text/plain"}
    for files in shelf.files.values():
        for file in files:
            answer = shelf.clients["noor"].get(address(file))
            assert answer.content == file.read_bytes()
            kind = file.suffix.removeprefix(".")
            assert answer.headers["content-type"].startswith(types.get(kind, "application/json"))
            digest = hashlib.sha256(answer.content)
            told = base64.b64encode(digest.digest()).decode()
            assert answer.headers["repr-digest"] == f"sha-256=:{told}:"
            assert digest.hexdigest() in page
            assert f'href="{address(file)}"' in page


def test_files_are_for_those_who_may_read_them(shelf: Shelf):
    """Another's report answers as one that never was; so does a known report under another's folder."""
    mine, foreign = (
        next(files for name, files in shelf.files.items() if f"W46-{edition}" in name)
        for edition in ("clinic-north", "clinic-west")
    )
    mia = shelf.clients["mia"]
    assert mia.get(address(mine[1])).status_code == 200
    assert mia.get(address(foreign[1])).status_code == 404
    assert mia.get(address(mine[1]).replace("2026-W46/", "2026-W45/")).status_code == 404
    assert mia.get(address(mine[1]).replace("/clinic-north/", "/clinic-west/")).status_code == 404
    assert TestClient(shelf.app.app, follow_redirects=False).get(address(mine[1])).status_code == 303


def test_a_file_that_was_changed_or_lost_is_made_again(shelf: Shelf):
    """The reader gets what was issued, from the frozen data in the lake, whatever lies in the folder."""
    name = shelf.issue(WEEK, "harbour")
    issued = {file: file.read_bytes() for file in shelf.files[name]}
    for file in issued:
        file.write_bytes(b"forged") if file.suffix in (".html", ".csv") else file.unlink()
    for file, content in issued.items():
        if file.suffix != ".json":
            assert shelf.clients["noor"].get(address(file)).content == content
    assert put_back(shelf.connection, shelf.archive) == 1
    assert ReportData.from_json(issued[shelf.files[name][0]]).report_id == name
    assert shelf.files[name][0].read_bytes() == issued[shelf.files[name][0]]


def test_what_was_never_issued_is_refused(shelf: Shelf):
    """Where the frozen data gives other bytes than were issued, and the file is gone, nothing is served."""
    world.write(
        shelf.connection,
        shelf.location,
        world.replaced(world.usual(), result("maintenance_on_time", 611, 1001)),
    )
    name = shelf.issue(WEEK, None)
    file = next(file for file in shelf.files[name] if file.suffix == ".html")
    with store.transaction(shelf.connection, shelf.location):
        shelf.connection.execute(
            "UPDATE mart.report_file SET sha256 = repeat('0', 64) WHERE report_id = $name AND kind = 'html'",
            {"name": name},
        )
    answer = shelf.clients["noor"].get(address(file))
    assert answer.status_code == 409
    assert "not what was issued" in answer.text
    assert "611" not in answer.text


def test_a_revision_says_why(shelf: Shelf):
    """A later revision stands above the first, with its reason."""
    page = shelf.clients["noor"].get("/reports").text
    assert "revision 2: made again, and other than before" in page
    assert f"{NOW:%Y-%m-%d %H:%M} UTC" in page
