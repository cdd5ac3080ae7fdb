"""Who gets what: login, forms, headers, and clinics that stay apart."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboards import accounts
from dashboards.app import DashboardSettings, create_app
from dashboards.pages import PAGES
from tests.dashboards.conftest import CLINICS, INCIDENCE, PASSWORD, Clock, login

pytestmark = pytest.mark.integration

AsUser = Callable[[str], TestClient]

FOREIGN = {
    clinic_id: [clinic_id, name, f"{INCIDENCE[clinic_id][0]} of {INCIDENCE[clinic_id][1]}"]
    for clinic_id, name in CLINICS.items()
}
"""What tells of a clinic: its id, its name, its numbers."""

ADDRESSES = [
    "/",
    "/?clinic=network",
    "/?sort=clinics.adverse_event_incidence&order=desc",
    "/?live=off",
    *(f"/?clinic={clinic_id}" for clinic_id in CLINICS),
    "/reports",
    "/reports/2026-W09/network/2026-W09-network-s1-r1.html",
    *(f"/reports/2026-W09/clinic-{c}/2026-W09-clinic-{c}-s1-r1.html" for c in CLINICS),
    "/reports/2026-W09/clinic-clinic-north/..%2Fclinic-clinic-mill%2F2026-W09-clinic-clinic-mill-s1-r1.html",
    "/login",
    "/nothing",
    "/healthz",
    "/readyz",
]


# ── clinics stay apart ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "own"), [("north", "clinic-north"), ("harbour", "clinic-harbour")])
@pytest.mark.parametrize("address", ADDRESSES)
def test_no_answer_tells_of_another_clinic(as_user: AsUser, name: str, own: str, address: str):
    """A clinic's manager never receives another clinic's id, name, number or report, from any address."""
    answer = as_user(name).get(address)
    received = answer.text + str(answer.headers)
    for clinic_id, tells in FOREIGN.items():
        if clinic_id != own:
            assert not [each for each in tells if each in received and each not in address]


@pytest.mark.parametrize("address", ["/?clinic={}", "/export/overview/clinics.csv?clinic={}"])
def test_foreign_and_missing_are_the_same(as_user: AsUser, address: str):
    """Another clinic's address answers exactly as one that never existed."""
    client = as_user("north")
    foreign, missing = client.get(address.format("clinic-mill")), client.get(address.format("clinic-none"))
    assert (foreign.status_code, foreign.text) == (missing.status_code, missing.text)
    assert foreign.status_code == 404


def test_own_clinic_and_network_totals(as_user: AsUser):
    """A clinic's manager sees their clinic, and the network's totals since two other clinics are in them."""
    client = as_user("north")
    assert "3 of 100 sessions" in client.get("/").text
    assert "21 of 670 sessions" in client.get("/?clinic=network").text


def test_total_of_two_clinics_stays_hidden(settings: DashboardSettings, clock: Clock):
    """With one clinic beside their own, a reader could subtract: the network's totals are not shown."""
    two = ("clinic-north", "clinic-harbour")
    accounts.add_user(settings.accounts, "both", PASSWORD, "clinic_manager", two)
    with TestClient(create_app(settings, clock), follow_redirects=False) as client:
        login(client, "both")
        page = client.get("/").text
        assert "Harbour View" in page
        assert "North Street" in page
        assert "of 670" not in page
        assert client.get("/?clinic=network").status_code == 404


@pytest.mark.parametrize("name", ["manager", "analyst"])
def test_network_roles_see_the_union(as_user: AsUser, name: str):
    """Who sees the network sees every clinic's row, and the protocols."""
    page = as_user(name).get("/").text
    assert [each for tells in FOREIGN.values() for each in tells if each not in page] == []
    assert "scar-deep" in page


def test_protocols_are_not_shown_to_one_clinic(as_user: AsUser):
    """A protocol may be run by one clinic alone, so its numbers are the network's readers' only."""
    assert "scar-deep" not in as_user("north").get("/").text


def test_reports_of_own_clinic_only(as_user: AsUser):
    """The archive lists and serves a clinic's manager their own edition, not the network's."""
    client = as_user("north")
    page = client.get("/reports").text
    assert "/reports/2026-W09/clinic-clinic-north/" in page
    assert "/network/" not in page
    own = "/reports/2026-W09/clinic-clinic-north/2026-W09-clinic-clinic-north-s1-r1.html"
    assert "secret of clinic-clinic-north" in client.get(own).text
    assert client.get("/reports/2026-W09/network/2026-W09-network-s1-r1.html").status_code == 404
    network = as_user("manager").get("/reports/2026-W09/network/2026-W09-network-s1-r1.html")
    assert "sandbox" in network.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["..%2F..%2Fsecret", "%2e%2e/%2e%2e/accounts.sqlite", "x/y/.hidden.html"])
def test_archive_serves_nothing_else(as_user: AsUser, path: str):
    """No path leads out of the archive or to a file that is not a report."""
    assert as_user("manager").get(f"/reports/2026-W09/{path}").status_code == 404


# ── nothing without a login ─────────────────────────────────────────────────────────────────────────────

OPEN = {"/login", "/logout", "/healthz", "/readyz", "/assets/{version}/{name}"}


POSTED = {"/signal/{signal}/{action}", "/health/replay", "/views/{action}"}


def _routes(app: Any) -> Iterator[Route]:
    return (route for route in app.routes if isinstance(route, Route))


def test_every_other_route_asks_for_the_login(client: TestClient):
    """Each route that is not on the short list of open ones leads to the login; a new one is found here."""
    asked = [route.path for route in _routes(client.app) if route.path not in OPEN]
    assert len(asked) == len(PAGES) + len(POSTED) + 4
    for path in asked:
        method = "POST" if path in POSTED else "GET"
        answer = client.request(method, re.sub(r"{\w+}", "x", path))
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/login")


def test_login_leads_back(client: TestClient):
    """Without a session a page leads to the login, which leads back to where one wanted to go."""
    away = client.get("/?clinic=clinic-north").headers["location"]
    assert away == "/login?next=%2F%3Fclinic%3Dclinic-north"
    assert 'name="next" value="/?clinic=clinic-north"' in client.get(away).text


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1", "/logout", "\n/"]
)
def test_login_leads_nowhere_else(client: TestClient, target: str):
    """A login never leads away from our own pages."""
    page = client.get("/login", params={"next": target}).text
    token = page.split('name="csrf" value="')[1].split('"')[0]
    fields = {"name": "manager", "password": PASSWORD, "csrf": token, "next": target}
    assert client.post("/login", data=fields).headers["location"] == "/"


def test_background_fetch_is_sent_to_the_login(client: TestClient):
    """What a page fetches by itself without a session makes the whole page go to the login."""
    answer = client.get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")


# ── login ───────────────────────────────────────────────────────────────────────────────────────────────


def test_wrong_name_and_wrong_password_look_the_same(client: TestClient):
    """The answer does not tell whether an account exists."""
    wrong, unknown = login(client, "manager", "not the password"), login(client, "nobody", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert without_token(wrong.text) == without_token(unknown.text)


def without_token(page: str) -> str:
    """The form's token is another on every page, so that a compressed page does not give it away."""
    bare, tokens = re.subn(r'name="csrf" value="[0-9a-f]+"', "", page)
    assert tokens == 1
    return bare


def test_failures_make_wait(client: TestClient, clock: Clock):
    """After five failures even the right password has to wait, and works after the wait."""
    for _ in range(5):
        login(client, "manager", "not the password")
    assert login(client, "manager").status_code == 401
    clock.forward(seconds=2)
    assert login(client, "manager").status_code == 303


def test_waiting_of_one_account_is_not_anothers(client: TestClient):
    """Failures of one account do not lock out another from the same address."""
    for _ in range(6):
        login(client, "north", "not the password")
    assert login(client, "manager").status_code == 303


def test_many_names_from_one_address_make_it_wait(client: TestClient):
    """Trying one password on many names makes the address wait."""
    for number in range(20):
        login(client, f"guess{number}", "not the password")
    assert login(client, "manager").status_code == 401


def test_session_cookie(client: TestClient):
    """The cookie is out of reach of scripts and of other sites, and a new one at every login."""
    first, second = login(client, "manager").headers["set-cookie"], login_again(client)
    assert "HttpOnly" in first
    assert "SameSite=lax" in first
    assert first.split(";")[0] != second.split(";")[0]


def login_again(client: TestClient) -> str:
    """Log in over an open session, through a login form fetched before it began."""
    kept = client.cookies["dermastream_session"]
    client.cookies.clear()
    client.cookies.set("dermastream_session", kept + "x")
    return str(login(client, "manager").headers["set-cookie"])


def test_login_ends_the_session_before(as_user: AsUser):
    """A login while logged in leaves only the new session."""
    client = as_user("north")
    old = client.cookies["dermastream_session"]
    client.cookies.delete("dermastream_session")
    page = client.get("/login").text
    client.cookies.set("dermastream_session", old)
    token = page.split('name="csrf" value="')[1].split('"')[0]
    assert (
        client.post("/login", data={"name": "manager", "password": PASSWORD, "csrf": token}).status_code
        == 303
    )
    client.cookies.clear()
    client.cookies.set("dermastream_session", old)
    assert client.get("/").status_code == 303


def test_https_cookie(settings: DashboardSettings, clock: Clock):
    """Under https the cookie is bound to the host and to https, and the browser is told to stay there."""
    secure = DashboardSettings(
        settings.location, settings.accounts, settings.secret, "https://d.example", settings.archive
    )
    with TestClient(
        create_app(secure, clock), base_url="https://d.example", follow_redirects=False
    ) as client:
        answer = login(client, "manager")
    assert "__Host-dermastream_session=" in answer.headers["set-cookie"]
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


def test_idle_session_ends(as_user: AsUser, clock: Clock):
    """Half an hour without activity ends a session; what a page fetches by itself is not activity."""
    client = as_user("manager")
    clock.forward(minutes=20)
    assert client.get("/", headers={"HX-Request": "true"}).status_code == 200
    clock.forward(minutes=20)
    assert client.get("/").status_code == 303


def test_old_session_ends(as_user: AsUser, clock: Clock):
    """Twelve hours after its start a session ends however active it was."""
    client = as_user("manager")
    for _ in range(35):
        clock.forward(minutes=20)
        assert client.get("/").status_code == 200
    clock.forward(minutes=20)
    assert client.get("/").status_code == 303


def test_logout(as_user: AsUser):
    """Logging out ends the session on the server, not only in the browser."""
    client = as_user("manager")
    cookie = client.cookies["dermastream_session"]
    token = client.get("/").text.split('name="csrf" value="')[1].split('"')[0]
    assert client.post("/logout", data={"csrf": token}).status_code == 303
    client.cookies.set("dermastream_session", cookie)
    assert client.get("/").status_code == 303


def test_removed_account_loses_its_session(as_user: AsUser, settings: DashboardSettings):
    """Removing an account, or changing its clinics, ends its sessions at once."""
    north, harbour = as_user("north"), as_user("harbour")
    accounts.remove_user(settings.accounts, "north")
    accounts.add_user(settings.accounts, "harbour", PASSWORD, "clinic_manager", ("clinic-mill",))
    assert north.get("/").status_code == harbour.get("/").status_code == 303


# ── forms and parameters ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_form_without_its_token_is_refused(as_user: AsUser, token: str):
    """A form that our page did not make changes nothing."""
    client = as_user("manager")
    assert client.post("/logout", data={"csrf": token}).status_code in (400, 403)
    assert client.get("/").status_code == 200


def test_login_form_of_another_browser_is_refused(
    client: TestClient, settings: DashboardSettings, clock: Clock
):
    """A login form is good only with the cookie that came with it."""
    token = client.get("/login").text.split('name="csrf" value="')[1].split('"')[0]
    other = TestClient(client.app, follow_redirects=False)
    assert (
        other.post("/login", data={"name": "manager", "password": PASSWORD, "csrf": token}).status_code == 403
    )


def test_form_from_another_site_is_refused(as_user: AsUser):
    """A browser that says the form came from elsewhere is believed."""
    client = as_user("manager")
    token = client.get("/").text.split('name="csrf" value="')[1].split('"')[0]
    answer = client.post("/logout", data={"csrf": token}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ('{"name": "manager"}', "application/json", 400),
        ("name=a&name=b", "application/x-www-form-urlencoded", 400),
        ("name=%ff", "application/x-www-form-urlencoded", 400),
        ("name=%00", "application/x-www-form-urlencoded", 400),
        ("&".join(f"f{n}=1" for n in range(11)), "application/x-www-form-urlencoded", 400),
        ("name=" + "a" * 9000, "application/x-www-form-urlencoded", 413),
        ("name[]=manager&password[$ne]=", "application/x-www-form-urlencoded", 403),
    ],
)
def test_malformed_form(client: TestClient, content: str, kind: str, status: int):
    """A form that is no form of ours is refused without an error of the server."""
    assert client.post("/login", content=content, headers={"Content-Type": kind}).status_code == status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("clinic=clinic-north&clinic=clinic-mill", 400),
        ("sort=__class__", 400),
        ("sort=a.b&sort=a.b", 400),
        ("weeks=27", 400),
        ("skin=0", 400),
        ("order=up", 400),
        ("live=maybe", 400),
        ("clinic[]=clinic-mill", 200),
        ("clinic=", 200),
        ("clinic=%00", 404),
        ("clinic=' OR 1=1 --", 404),
        ("clinic=clinic-north,clinic-mill", 404),
    ],
)
def test_malformed_state(as_user: AsUser, query: str, status: int):
    """An address that names no state of the page is refused, and never widens what one sees."""
    answer = as_user("north").get(f"/?{query}")
    assert answer.status_code == status
    assert "Mill Lane" not in answer.text


# ── headers and assets ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["/", "/reports", "/nothing", "/login"])
def test_headers_of_pages(as_user: AsUser, address: str):
    """Every page forbids foreign and inline code, framing, sniffing, referrers and storing."""
    headers = as_user("manager").get(address).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_assets(as_user: AsUser):
    """Assets are kept for good under an address that names their content, and confirmed by their tag."""
    client = as_user("manager")
    found = [part.split('"')[0] for part in client.get("/").text.split('"/assets/')[1:]]
    assert {path.split("/")[1] for path in found} == {
        "app.css", "app.js", "htmx.js", "mark.svg", "vega.js",
    }  # fmt: skip
    for path in found:
        first = client.get(f"/assets/{path}")
        assert first.status_code == 200
        assert "immutable" in first.headers["cache-control"]
        again = client.get(f"/assets/{path}", headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304
        other = client.get(f"/assets/{path}", headers={"Accept-Encoding": "identity"})
        assert other.content == first.content
        assert other.headers["etag"] != first.headers["etag"]
    assert client.get("/assets/0/app.css").status_code == 404


def test_page_weight(as_user: AsUser):
    """A first visit to the overview loads at most 400 KB and eight files."""
    client = as_user("manager")
    page = client.get("/")
    paths = {part.split('"')[0] for part in page.text.split('"/assets/')[1:]}
    sizes = [int(client.get(f"/assets/{path}").headers["content-length"]) for path in paths]
    assert len(paths) + 2 <= 8
    assert len(page.content) + sum(sizes) <= 400 * 1024


def test_without_scripts(as_user: AsUser):
    """Without scripts the page still has its chart, as a picture in light and in dark."""
    client = as_user("manager")
    assert "<noscript>" in client.get("/").text
    light, dark = (client.get(f"/export/overview/trend.svg?theme={theme}") for theme in ("light", "dark"))
    assert light.headers["content-type"] == "image/svg+xml"
    assert light.text.startswith("<svg")
    assert light.text != dark.text


def test_stale_data_is_said(as_user: AsUser, clock: Clock):
    """When no event has come for longer than a heartbeat allows, the page says so in words."""
    client = as_user("manager")
    assert "Events are arriving" in client.get("/").text
    clock.now += dt.timedelta(minutes=25)
    assert "No event for 27 minutes" in client.get("/").text
