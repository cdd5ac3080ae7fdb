"""Every page, file and form, for every role, in every state: nobody gets a word of another clinic."""

import html
import itertools
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboards import accounts
from dashboards.app import DashboardSettings, create_app
from dashboards.exports import FILES, KINDS
from dashboards.pages import PAGES
from dashboards.queries import EVERY_CLINIC, Queries
from dashboards.rights import RIGHTS
from dashboards.state import FILTERS, GROUPINGS, SUBJECTS
from tests.dashboards import world
from tests.dashboards.conftest import CLINICS, INCIDENCE, NOW, PASSWORD, Clock, Lake, logged_in

pytestmark = pytest.mark.integration

READERS = {"manager": "network_manager", "analyst": "analyst", "admin": "admin", "north": "clinic_manager"}
OWN = "clinic-north"
FOREIGN = [clinic_id for clinic_id in CLINICS if clinic_id != OWN]

VALUES = {
    "weeks": ["13", "52"],
    "clinic": ["network", *CLINICS, "clinic-none"],
    "protocol": ["scar-deep", "none"],
    "device": [f"{clinic_id}/pen-{word}" for clinic_id, word in world.WORDS.items()],
    "skin": ["4"],
    "by": list(GROUPINGS),
    "signal": [
        f"signal-{scope}-{word}" for scope in ("clinic", "cartridge_lot") for word in world.WORDS.values()
    ],
    "session": [f"{clinic_id}/s-{word}-0" for clinic_id, word in world.WORDS.items()],
    "operator": [f"{clinic_id}/op-{word}" for clinic_id, word in world.WORDS.items()],
    "lot": [f"lot-{word}" for word in world.WORDS.values()],
    "cartridge": [f"cart-{word}-1" for word in world.WORDS.values()],
    "relation": ["mart.metric_result"],
    "address": ["/safety", "https://evil.example/"],
}
"""Something to put into every parameter there is; a test holds that none is forgotten."""


def states() -> Iterator[dict[str, str]]:
    """No parameter, each alone with each value, and a foreign clinic with each filter."""
    yield {}
    for name, values in VALUES.items():
        for value in values:
            yield {name: value}
    for name in ("weeks", "skin", "by", "lot"):
        yield {name: VALUES[name][-1], "clinic": FOREIGN[0]}


@dataclass
class Doors:
    """One app, and a client of it for each reader."""

    app: TestClient
    clients: dict[str, TestClient]


@pytest.fixture(scope="module")
def doors(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """One app for the whole module, without a limit of requests, and every role logged in."""
    folder = tmp_path_factory.mktemp("doors")
    path = folder / "accounts.sqlite"
    for name, role in READERS.items():
        accounts.add_user(path, name, PASSWORD, role, (OWN,) if role == "clinic_manager" else ())
    settings = DashboardSettings(
        lake.location, path, folder / "secret", "http://127.0.0.1", folder / "reports"
    )
    app = TestClient(create_app(settings, Clock(NOW)), follow_redirects=False)
    clients = {name: TestClient(app.app) for name in READERS}
    with logged_in(app, clients):
        yield Doors(app, clients)


def told(text: str, asked: dict[str, str]) -> list[str]:
    """Words of foreign clinics in an answer that were not in the question."""
    words = {
        each for clinic_id in FOREIGN for each in (clinic_id, CLINICS[clinic_id], world.WORDS[clinic_id])
    }
    words |= {f"{INCIDENCE[each][0]} of {INCIDENCE[each][1]}" for each in FOREIGN}
    words |= {world.patient(world.WORDS[each], n)[:24] for each in FOREIGN for n in range(2)}
    for value in asked.values():
        for echoed in (
            urllib.parse.quote(urllib.parse.quote_plus(value)),
            urllib.parse.quote_plus(value),
            html.escape(value),
            html.escape(value).replace("&#x27;", "&#39;"),
            value,
        ):
            text = text.replace(echoed, "")
    return [word for word in sorted(words) if re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", text)]


def test_no_parameter_is_forgotten():
    """The walk puts something into every parameter a page reads."""
    assert set(FILTERS) | set(SUBJECTS) == set(VALUES)
    assert set(RIGHTS) == set(accounts.ROLES) == set(READERS.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_tells_of_another_clinic(doors: Doors, page):
    """In every state a clinic's manager reads their own clinic, or that there is nothing."""
    client = doors.clients["north"]
    answers = 0
    for asked in states():
        answer = client.get(page.path, params=asked)
        assert answer.status_code in (200, 403, 404), (page.path, asked)
        assert told(answer.text, asked) == [], (page.path, asked)
        answers += answer.status_code == 200
    assert (
        answers
        or not page.allowed(accounts.Account("north", "clinic_manager", frozenset({OWN})))
        or page.name == "signal"
    )


@pytest.mark.parametrize("path", ["/", "/signals", "/clinic", "/safety", "/adherence", "/trace", "/health"])
def test_the_walk_would_find_a_leak(doors: Doors, monkeypatch: pytest.MonkeyPatch, path: str):
    """With the scope taken away the same question is answered with words of other clinics, and they are
    found."""
    monkeypatch.setattr(accounts.Account, "scope", EVERY_CLINIC)
    assert told(doors.clients["north"].get(path).text, {}) != []


def test_the_walk_would_find_an_answer_kept_for_somebody_else(doors: Doors, monkeypatch: pytest.MonkeyPatch):
    """Were the scope no part of what an answer is kept under, a clinic's manager would get the network's."""
    key = Queries._key
    monkeypatch.setattr(Queries, "_key", lambda self, name, given: (name, repr(sorted(given.items()))))
    for path in ("/", "/signals", "/safety", "/adherence", "/trace"):
        address = f"{path}?weeks=13"
        assert doors.clients["manager"].get(address).status_code == 200
        assert told(doors.clients["north"].get(address).text, {}) != [], path
    monkeypatch.setattr(Queries, "_key", key)
    assert told(doors.clients["north"].get("/?weeks=13").text, {}) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_file_tells_of_another_clinic(doors: Doors, page):
    """The same of every table as a file, whichever panels the network's manager sees there."""
    seen = doors.clients["manager"].get(page.path, params=_whole(page.name)).text
    panels = set(re.findall(r'id="panel-([a-z_]+)"', seen))
    assert panels or page.name == "audit"
    for panel, asked in itertools.product(
        panels,
        ({}, {"clinic": OWN}, {"clinic": FOREIGN[0]}, _whole(page.name, FOREIGN[0]), _whole(page.name, OWN)),
    ):
        answer = doors.clients["north"].get(f"/export/{page.name}/{panel}.csv", params=asked)
        assert answer.status_code in (200, 403, 404)
        assert told(answer.text, asked) == [], (page.name, panel, asked)


def _whole(page: str, clinic_id: str = OWN) -> dict[str, str]:
    """What a page that is about one thing is asked for."""
    word = world.WORDS[clinic_id]
    return {
        "signal": {"signal": f"signal-clinic-{word}"},
        "session": {"session": f"{clinic_id}/s-{word}-0"},
        "clinic": {"clinic": clinic_id},
        "trace": {"device": f"{clinic_id}/pen-{word}"},
    }.get(page, {})


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_for_every_role(doors: Doors, page, name: str):
    """Each role gets its pages with every panel's file in every form, and of the others nothing."""
    account = accounts.Account(name, READERS[name], frozenset({OWN} if name == "north" else ()))
    answer = doors.clients[name].get(page.path, params=_whole(page.name))
    assert answer.status_code == (200 if page.allowed(account) else 403)
    if answer.status_code == 403:
        return
    panels = re.findall(r'id="panel-([a-z_]+)"', answer.text)
    for panel in panels:
        for kind in FILES if name == "manager" else ("csv",):
            file = doors.clients[name].get(f"/export/{page.name}/{panel}.{kind}", params=_whole(page.name))
            assert file.status_code == 200, (panel, kind)
    assert (
        answer.text.count("<vega-chart")
        == answer.text.count("<noscript>")
        == answer.text.count("The same as a table")
    )


def test_who_sees_single_patients(doors: Doors):
    """Pseudonyms are for managers; analysts and admins get no row about a single patient."""
    key = world.patient("north", 0)
    for name in READERS:
        allowed = RIGHTS[READERS[name]].people
        for address in (
            f"/export/clinic/sessions.csv?clinic={OWN}",
            f"/export/adherence/people.csv?clinic={OWN}",
        ):
            assert (key in doors.clients[name].get(address).text) is allowed, (name, address)
        status = doors.clients[name].get("/session", params={"session": f"{OWN}/s-north-0"}).status_code
        assert status == (200 if allowed else 403)


def test_foreign_and_missing_answer_alike(doors: Doors):
    """A foreign thing's address answers with the very bytes of one that never existed."""
    client = doors.clients["north"]
    for path, foreign, missing in (
        ("/signal", {"signal": "signal-clinic-mill"}, {"signal": "signal-clinic-none"}),
        ("/session", {"session": "clinic-mill/s-mill-0"}, {"session": "clinic-mill/s-none"}),
        ("/session", {"session": "clinic-mill/s-mill-0"}, {"session": "clinic-none/s-none"}),
        ("/trace", {"device": "clinic-mill/pen-mill"}, {"device": "clinic-none/pen"}),
        ("/trace", {"lot": "lot-mill"}, {"lot": "lot-none"}),
        ("/clinic", {"clinic": "clinic-mill"}, {"clinic": "clinic-none"}),
        ("/protocols", {"protocol": "scar-deep"}, {"protocol": "none"}),
    ):
        one, other = client.get(path, params=foreign), client.get(path, params=missing)
        assert (one.status_code, one.text) == (other.status_code, other.text), path
        assert one.status_code in (403, 404)


INJECTIONS = (
    "' OR 1=1 --",
    "clinic-mill'; DROP TABLE x",
    "%",
    "\x00",
    "clinic-mill%00",
    "../../x",
    "{{7777*7777}}",
    "<script>x</script>",
    "$every_clinic",
)


@pytest.mark.parametrize("name", [name for name in VALUES if name not in ("weeks", "skin", "by")])
def test_no_value_is_taken_for_code(doors: Doors, name: str):
    """A value that looks like SQL, a path or markup is nothing but an unknown name, and is shown as text."""
    for value, page in itertools.product(INJECTIONS, ("/clinic", "/trace")):
        answer = doors.clients["north"].get(page, params={name: value})
        assert answer.status_code in (200, 404), (page, value)
        assert told(answer.text, {name: value}) == []
        assert "<script>x" not in answer.text
        assert "60481729" not in answer.text


@pytest.mark.parametrize("sort", ["name.a-b", "clinics.name;", "clinics", "a.b.c", "clinics.NAME"])
def test_only_known_columns_sort(doors: Doors, sort: str):
    """A sort that names no column is refused, or changes nothing."""
    assert doors.clients["manager"].get("/", params={"sort": sort}).status_code == 400
    assert doors.clients["manager"].get("/", params={"sort": "clinics.__class__"}).status_code == 200


def test_suppressed_cells_of_all_readers(doors: Doors):
    """Files and pages of the raw event's bytes: what was refused is counted, never shown."""
    for name, kind in itertools.product(("manager", "admin", "analyst"), ("csv",)):
        text = doors.clients[name].get(f"/export/health/quarantine.{kind}").text
        assert "json.invalid" in text
        assert "secret of a clinic" not in text
    assert doors.clients["north"].get("/export/health/quarantine.csv").status_code == 404


def test_every_statement_has_the_scope():
    """A dashboard statement binds the reader's scope, or is on the short list of those that tell of no
    clinic."""
    folder = Path(__file__).parents[2] / "warehouse" / "sql" / "dashboard"
    free = {file.stem for file in folder.glob("*.sql") if "$every_clinic" not in _code(file)}
    assert free == {
        "data_quality_at",
        "dictionary",
        "freshness",
        "funnel",
        "metric_card",
        "network_seen",
        "published",
        "ready",
    }


def _code(file: Path) -> str:
    return "\n".join(line for line in file.read_text().splitlines() if not line.startswith("--"))


def test_every_route_is_walked(doors: Doors):
    """A route is a page, a file, a form, or named here; a new one fails until it is walked."""
    paths = {route.path for route in doors.app.app.routes if isinstance(route, Route)}
    others = {
        "/login",
        "/logout",
        "/live",
        "/reports",
        "/reports/{week}/{edition}/{name}",
        "/export/{name}/{file}",
    }
    forms = {"/signal/{signal}/{action}", "/health/replay", "/views/{action}"}
    service = {"/healthz", "/readyz", "/assets/{version}/{name}"}
    assert paths == {page.path for page in PAGES} | others | forms | service
    assert set(KINDS) == {"csv", "parquet", "svg", "png"}
