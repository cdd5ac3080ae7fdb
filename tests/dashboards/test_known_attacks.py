"""Attacks that worked on other dashboards, each tried here on the real server, connection or command.

From Superset's, Metabase's and Prefect's advisories. That an account of the provider gets no password
(CVE-2022-39360) is held in `test_provider`.
"""

import itertools
import json
import re
import select
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from dashboards import accounts, saved
from dashboards.app import DashboardSettings, create_app
from dashboards.pages import PAGES
from dashboards.queries import EVERY_CLINIC, Reader
from dashboards.state import FILTERS, KEPT, SUBJECTS
from producers.contracts.errors import SettingsError
from tests.dashboards.conftest import PASSWORD, Clock, Lake, login
from tests.dashboards.test_walk import told
from warehouse import store

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PARAMETERS = (*FILTERS, *KEPT, *SUBJECTS, "sort", "order", "words", "metrics", "next", "theme")
FORMS = ("/login", "/logout", "/signal/signal-clinic-north/closed", "/health/replay", "/views/save")


@pytest.fixture(autouse=True)
def _without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests ask more often than anybody may."""
    monkeypatch.setattr("dashboards.limits.Limits.take", lambda *_: True)


@pytest.fixture
def north(served: str) -> Iterator[httpx.Client]:
    """The manager of one clinic, logged in to the real server."""
    with httpx.Client(base_url=served) as client:
        assert login(client, "north").status_code == 303
        yield client


def csrf(client: httpx.Client, address: str = "/") -> str:
    return client.get(address).text.split('name="csrf" value="')[1].split('"')[0]


# ── secrets and set-up ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("known", ["", "00", "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET", "thisISaSECRET_1234"])
def test_known_or_short_secret_does_not_start(settings: DashboardSettings, clock: Clock, known: str):
    """Superset signed sessions with a secret from its example file (CVE-2023-27524): ours does not start with
    anything but 32 random bytes, which it makes itself, another every time."""
    settings.secret.write_text(known)
    with pytest.raises((SettingsError, ValueError)):
        create_app(settings, clock)
    made = [settings.secret.with_name(f"secret{n}") for n in range(2)]
    first, second = (accounts.read_secret(path) for path in made)
    assert first != second
    assert len(first) == len(second) == 32
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}


def test_open_routes_give_away_nothing_to_set_up_with(served: str, settings: DashboardSettings):
    """Metabase told strangers its set-up token, which then took a connection string (CVE-2023-38646,
    CVE-2023-37470): what is open here tells no secret, and no route makes an account or names a database."""
    kept = accounts.read_secret(settings.secret).hex()
    with httpx.Client(base_url=served) as client:
        for path in ("/login", "/healthz", "/readyz", "/nothing", "/setup", "/api/session/properties"):
            text = client.get(path, params={"catalog": "sqlite:/x", "data_path": "/"}).text
            assert kept not in text
            assert str(settings.accounts.parent) not in text
            assert settings.location.catalog not in text
        for path in ("/setup", "/api/setup", "/user", "/api/session/reset_password"):
            assert client.post(path, json={"token": "x", "details": {"db": "zip:/app"}}).status_code == 404
    assert {account.name for account in accounts.list_users(settings.accounts)} == {
        "manager", "analyst", "admin", "north", "harbour",
    }  # fmt: skip


# ── what a request may be ───────────────────────────────────────────────────────────────────────────────

SHAPES = ({}, {"raw": "1=1"}, [], ["a"], 1, 1.5, True, None, {"name": {"$ne": ""}}, {"password": ["a"]})


@pytest.mark.parametrize("path", FORMS)
def test_other_shapes_than_text_are_refused(north: httpx.Client, settings: DashboardSettings, path: str):
    """Metabase's reset of a password took a JSON object where a text belongs into its query
    (CVE-2026-72898): no form here takes JSON, and no shape of it gets further than the door."""
    before = accounts.list_users(settings.accounts)
    for shape in SHAPES:
        assert north.post(path, json=shape).status_code == 400
        wrapped = {"csrf": shape, "name": shape, "password": shape}
        assert north.post(path, json=wrapped).status_code == 400
        said = {"csrf": csrf(north), "name": json.dumps(shape), "password[$ne]": json.dumps(shape)}
        answer = north.post(path, data=said)
        assert answer.status_code in (303, 400, 403, 404), (path, shape, answer.status_code)
        if path == "/logout":
            login(north, "north")
    assert accounts.list_users(settings.accounts) == before


EXPRESSIONS = (
    "(SELECT clinic_id FROM core.clinic LIMIT 1)",
    "1) UNION SELECT display_name, 1 FROM core.clinic --",
    "clinic-north' UNION ALL SELECT display_name FROM core.clinic --",
    "clinic-north') OR (1=1",
    "case when (select count(*) from core.clinic)>1 then name else value end",
    "clinics.name desc, (select 1)",
    "/**/OR/**/1=1",
)


def test_expressions_in_any_parameter_widen_nothing(north: httpx.Client):
    """Superset's row-level security was passed by by sub-queries in expressions (CVE-2025-48912): here no
    parameter of any page, file, form or stream is an expression, and none brings a word of another clinic."""
    addresses = [page.path for page in PAGES] + ["/reports", "/export/overview/clinics.csv"]
    for expression, name in itertools.product(EXPRESSIONS, PARAMETERS):
        for address in addresses if name in ("sort", "clinic") else ("/clinic",):
            answer = north.get(address, params={name: expression})
            assert answer.status_code in (200, 400, 403, 404), (address, name, expression)
            assert told(answer.text, {name: expression}) == [], (address, name, expression)


FUNCTIONS = (
    "version()", "current_setting('memory_limit')", "getenv('HOME')", "read_text('/etc/passwd')",
    "query('SELECT 1')", "query_table('raw.clinic_registered')", "database_to_xml(true,true,'')",
    "pg_read_file('/etc/passwd')", "/*x*/version/*x*/()", "duckdb_secrets()", "sqlite_scan('x','y')",
)  # fmt: skip


def test_functions_in_values_are_never_called(north: httpx.Client):
    """Superset forbade functions by a list that had gaps (CVE-2024-39887, CVE-2025-55674, CVE-2026-23969):
    here no text of a reader is SQL at all, so a function's name is an unknown clinic, device or word."""
    for name, text in itertools.product(("clinic", "device", "lot", "protocol"), FUNCTIONS):
        answer = north.get("/trace", params={name: text})
        assert answer.status_code in (200, 404), (name, text)
        assert not re.search(r"root:.*:0:0:|\bv1\.\d\.\d", answer.text), (name, text)


MARKUP = ("{{7777*7777}}", "{% include 'login.html' %}", "${7777*7777}", "<img src=x onerror=x>", "=1+1|x")


def test_templates_and_markup_of_readers_stay_text(north: httpx.Client, settings: DashboardSettings):
    """Metabase ran what stood in imports and templates of messages (CVE-2026-33725) and showed markup
    (CVE-2022-24855): what a reader writes is shown as they wrote it."""
    for text in MARKUP:
        given = {"csrf": csrf(north), "title": text, "address": "/safety"}
        assert north.post("/views/save", data=given).status_code == 303
    page = north.get("/views").text
    assert "60481729" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=x&gt;" in page
    assert {view.title for view in saved.listed(settings.accounts, "north")} == set(MARKUP)


def test_address_of_a_reader_is_never_fetched(north: httpx.Client):
    """Metabase fetched addresses that came with subscriptions (CVE-2026-22805): whatever address stands in
    whatever parameter, field or header, nobody calls at it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        for page, name in itertools.product(("/", "/reports", "/views", "/login"), PARAMETERS):
            north.get(page, params={name: address})
        for name in ("Host", "X-Forwarded-Host", "X-Forwarded-For", "Forwarded", "Referer", "Origin"):
            north.get("/", headers={name: address})
        saving = {"csrf": csrf(north), "title": "x", "address": address}
        assert north.post("/views/save", data=saving).status_code == 422
        assert select.select([listening], [], [], 0.5)[0] == []


def test_options_in_names_start_no_command(north: httpx.Client):
    """Prefect passed a name on to git, where it was an option (CVE-2026-5366): a signal's name goes to the
    acting process as JSON, after it was found among the reader's own, and what looks like an option is
    none."""
    for name in ("--help", "--upload-pack=touch x", "-c", "$(touch x)", "`touch x`", "x;touch x"):
        fields = {"csrf": csrf(north), "note": name}
        assert north.post(f"/signal/{httpx.URL(name).path or name}/closed", data=fields).status_code == 404
    assert not (ROOT / "x").exists()


def test_sockets_and_methods_without_a_session_are_refused(
    served: str, settings: DashboardSettings, clock: Clock
):
    """Prefect's web socket asked for no log-in (CVE-2026-7723): no route here becomes a socket, and every one
    that is not open leads a stranger to the log-in, whatever the method."""
    routes = list(create_app(settings, clock).routes)
    assert all(isinstance(route, Route) for route in routes)
    socket_of = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    socket_of |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "https://evil.example"}
    is_open = {"/login", "/logout", "/healthz", "/readyz", "/assets/{version}/{name}"}
    with httpx.Client(base_url=served) as client:
        for route in routes:
            path = re.sub(r"{\w+}", "x", route.path)
            assert client.get(path, headers=socket_of).status_code != 101, path
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                status = client.request(method, path).status_code
                allowed = {303, 405} if route.path not in is_open else {200, 303, 400, 403, 404, 405, 503}
                assert status in allowed, (method, path, status)


# ── whose scope ─────────────────────────────────────────────────────────────────────────────────────────


def test_saved_view_is_opened_in_the_viewers_scope(served: str, settings: DashboardSettings):
    """Superset kept data sets over data that their maker did not have (CVE-2024-24779): a saved view is an
    address, asked anew with what the account may see when it is opened, not when it was saved."""
    foreign = "/clinic?clinic=clinic-mill"
    with httpx.Client(base_url=served) as client:
        login(client, "manager")
        given = {"csrf": csrf(client), "title": "Mill", "address": foreign}
        assert client.post("/views/save", data=given).status_code == 303
        assert "Mill Lane" in client.get(foreign).text
    accounts.add_user(settings.accounts, "manager", PASSWORD, "clinic_manager", ("clinic-north",))
    with httpx.Client(base_url=served) as client:
        login(client, "manager")
        assert f'href="{foreign}"' in client.get("/views").text
        opened = client.get(foreign)
        assert opened.status_code == 404
        assert "Mill Lane" not in opened.text


# ── the warehouse ───────────────────────────────────────────────────────────────────────────────────────

WRITES = (
    "DELETE FROM mart.metric_result",
    "delete/**/from mart.metric_result",
    "WITH x AS (SELECT 1) DELETE FROM mart.metric_result",
    "INSERT INTO mart.metric_result SELECT * FROM mart.metric_result",
    "UPDATE mart.metric_result SET value = 0",
    "MERGE INTO mart.metric_result AS a USING mart.metric_result AS b ON false WHEN MATCHED THEN DELETE",
    "TRUNCATE mart.metric_result",
    "DROP TABLE mart.metric_result",
    "ALTER TABLE mart.metric_result ADD COLUMN x INTEGER",
    "CREATE TABLE mart.x AS SELECT 1 AS a",
    "EXPLAIN ANALYZE DELETE FROM mart.metric_result",
    "CALL ducklake_expire_snapshots('dermastream', versions => [1])",
)


def test_dashboards_own_connection_cannot_write(lake: Lake):
    """Superset looked for words that write, and missed some (CVE-2026-23984): here the connection itself is
    read-only, whatever the words."""
    reader = Reader(lake.location)
    before = store.snapshot_id(lake.connection)
    with reader.queries(EVERY_CLINIC) as queries:
        connection = queries._session.cursor()
        connection.execute(f"USE {store.CATALOG}")
        assert connection.execute("SELECT count(*) > 0 FROM mart.metric_result").fetchall() == [(True,)]
        for text in WRITES:
            with pytest.raises(store.Error):  # noqa: PT012
                connection.execute(text)
                pytest.fail(f"written: {text}")
    reader.close()
    assert store.snapshot_id(lake.connection) == before


ROADS_OF_THE_CATALOG = (
    "FROM sqlite_scan('{accounts}', 'account')",
    "FROM sqlite_query('{accounts}', 'SELECT * FROM account')",
    "ATTACH '{accounts}' AS a (TYPE sqlite)",
    "ATTACH 'file:{accounts}?mode=rwc' AS a (TYPE sqlite)",
)
"""What the bare connection takes: the extension that opens the catalog opens any SQLite file that the account
running it may open. So other people's SQL goes through the door, as `store.connect_analyst` says."""
ROADS = (
    "WITH x AS (SELECT 1) INSERT INTO account VALUES ('eve', '', 'admin')",
    "FROM read_blob('{accounts}')",
    "FROM '{accounts}'",
    "COPY (SELECT 1) TO '{accounts}'",
)


def test_accounts_are_out_of_an_analysts_reach(lake: Lake, settings: DashboardSettings):
    """Superset's own database was written through a data connection (CVE-2023-40610), Metabase's read by
    ATTACH (CVE-2022-24853, CVE-2022-24854): accounts and audit trail are other files, which the door of
    `dermastream sql` never opens."""
    before = settings.accounts.read_bytes()
    analyst = store.connect_analyst(lake.location)
    roads = (*ROADS_OF_THE_CATALOG, *ROADS)
    for road, path in itertools.product(roads, (settings.accounts, settings.audit)):
        text = road.format(accounts=path)
        with pytest.raises((store.Error, SettingsError)):  # noqa: PT012
            store.ask(analyst, text)
            pytest.fail(f"taken by the door: {text}")
        if road in ROADS_OF_THE_CATALOG:
            continue
        with pytest.raises(store.Error):  # noqa: PT012
            analyst.execute(text).fetchall()
            pytest.fail(f"taken by the connection: {text}")
    analyst.close()
    assert settings.accounts.read_bytes() == before
    with sqlite3.connect(settings.accounts) as db:
        assert db.execute("SELECT count(*) FROM account WHERE name = 'eve'").fetchone() == (0,)


def test_command_takes_no_connection_string(lake: Lake, tmp_path: Path):
    """A connection string ran code in Metabase's set-up (CVE-2023-38646): `dermastream sql` has no option for
    one, and the environment's goes to two kinds of catalog only."""
    for catalog in ("zip:/app;TRACE_LEVEL_SYSTEM_OUT=1", "h2:mem:;INIT=RUNSCRIPT", "duckdb:x", "sqlite3:x"):
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", "sql", "SELECT 1", "--home", str(tmp_path)],
            env={"PATH": "", "DERMASTREAM_CATALOG": catalog},
            capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert list(tmp_path.iterdir()) == []
