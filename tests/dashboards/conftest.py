"""A warehouse with three clinics and known results, the app over it, a served app, and a real browser."""

import asyncio
import datetime as dt
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from dashboards import accounts
from dashboards.app import DashboardSettings, create_app
from dashboards.serve import build_server
from tests.dashboards import world
from warehouse import metric_cards, store

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
AS_OF = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
CHROMIUM = Path("/usr/bin/chromium")
PASSWORD = "correct horse battery staple"  # noqa: S105 - of accounts that live as long as a test

CLINICS = {"clinic-north": "North Street", "clinic-harbour": "Harbour View", "clinic-mill": "Mill Lane"}
INCIDENCE = {"clinic-north": (3, 100), "clinic-harbour": (7, 350), "clinic-mill": (11, 220)}
"""Adverse events and sessions of each clinic; every numerator is found nowhere else, so that it can leak."""


def result(metric_id: str, scope: str, scope_id: str, **values: Any) -> dict[str, Any]:
    """One row of mart.metric_result with plain defaults."""
    row: dict[str, Any] = {
        "metric_id": metric_id,
        "metric_version": 1,
        "scope": scope,
        "scope_id": scope_id,
        "period": "year",
        "interval_start": AS_OF - dt.timedelta(days=365),
        "interval_end": AS_OF,
        "as_of": AS_OF,
        "snapshot_id": 1,
        "numerator": None,
        "denominator": 0.0,
        "value": None,
        "lower": None,
        "upper": None,
        "level": 0.95,
        "unit": "proportion",
        "method": "wilson",
        "reason": None,
        "computed_at": NOW - dt.timedelta(minutes=4),
    }
    return row | values


def incidence(scope: str, scope_id: str, events: float, sessions: float, **values: Any) -> dict[str, Any]:
    rate = 100 * events / sessions
    given = {
        "numerator": events,
        "denominator": sessions,
        "value": rate,
        "lower": rate * 0.6,
        "upper": rate * 1.5,
        "unit": "per 100 sessions",
        "method": "clopper-pearson",
    }
    return result("adverse_event_incidence", scope, scope_id, **(given | values))


def share(metric_id: str, scope: str, scope_id: str, part: float, whole: float) -> dict[str, Any]:
    value = part / whole
    limits = {"lower": max(0.0, value - 0.08), "upper": min(1.0, value + 0.07)}
    return result(metric_id, scope, scope_id, numerator=part, denominator=whole, value=value, **limits)


def insert(connection: store.Connection, location: store.Location, relation: str, rows: list[Any]) -> None:
    """Insert dictionaries with the same keys, in one transaction."""
    names = [f'"{name}"' for name in rows[0]]
    marks = ", ".join("?" for _ in names)
    with store.transaction(connection, location):
        connection.executemany(
            f"INSERT INTO {relation} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608 - names are ours
            [list(row.values()) for row in rows],
        )


@dataclass
class Lake:
    """A real warehouse that a test may go on writing to."""

    location: store.Location
    connection: store.Connection

    def insert(self, relation: str, *rows: dict[str, Any]) -> None:
        insert(self.connection, self.location, relation, list(rows))


def _registered(clinic_id: str, name: str) -> dict[str, Any]:
    return {
        "source": f"//{clinic_id}",
        "id": f"registered-{clinic_id}",
        "clinic_id": clinic_id,
        "occurred_at": NOW - dt.timedelta(days=900),
        "received_at": NOW - dt.timedelta(days=900),
        "landed_at": NOW - dt.timedelta(days=900),
        "display_name": name,
        "time_zone": "Europe/London",
        "locale": "en-GB",
        "opened_on": dt.date(2023, 5, 1),
    }


def _weeks() -> Iterator[dict[str, Any]]:
    for back in range(26, 0, -1):
        start = AS_OF - dt.timedelta(days=7 * back)
        interval = {"period": "week", "interval_start": start, "interval_end": start + dt.timedelta(days=7)}
        for number, clinic_id in enumerate(CLINICS, 1):
            if back == 9 and number == 1:
                yield result("adverse_event_incidence", "clinic", clinic_id, reason="no sessions", **interval)
            else:
                yield incidence("clinic", clinic_id, (back * number) % 4, 20 + number, **interval)
        yield incidence("network", "network", 2 + back % 5, 90, **interval)


def _year() -> Iterator[dict[str, Any]]:
    for number, (clinic_id, (events, sessions)) in enumerate(INCIDENCE.items()):
        yield incidence("clinic", clinic_id, events, sessions)
        yield share("maintenance_on_time", "clinic", clinic_id, 31 + number, 57 + number)
        yield share("follow_up_coverage", "clinic", clinic_id, 181 + number, 203 + number)
        if number == 0:
            yield result("device_in_calibration", "clinic", clinic_id, reason="no devices in service")
        else:
            yield share("device_in_calibration", "clinic", clinic_id, 4 + number, 6 + number)
    yield incidence("network", "network", 21, 670)
    yield share("maintenance_on_time", "network", "network", 96, 174)
    yield share("follow_up_coverage", "network", "network", 546, 612)
    yield share("device_in_calibration", "network", "network", 11, 15)
    for scope, scope_id, patients in (("network", "network", 141), ("protocol", "scar-deep", 61)):
        yield result(
            "protocol_improvement", scope, scope_id, numerator=patients * 1.25, denominator=patients,
            value=1.25, lower=1.02, upper=1.48, unit="GAIS grades", method="t",
        )  # fmt: skip
    yield incidence("protocol", "scar-deep", 13, 240)
    yield incidence(
        "network", "network", 16, 640,
        as_of=AS_OF - dt.timedelta(days=7), interval_end=AS_OF - dt.timedelta(days=7),
    )  # fmt: skip


BATCH = {
    "batch_id": "batch-1", "topic": "clinic.sessions", "partition": 0, "first_offset": 0, "next_offset": 1300,
    "consumed": 1300, "landed": 1288, "duplicate": 9, "quarantined": 3, "skipped": 0,
    "newest_received_at": NOW - dt.timedelta(minutes=2), "started_at": NOW - dt.timedelta(minutes=2),
    "landed_at": NOW - dt.timedelta(minutes=1), "worker": "test",
}  # fmt: skip


EDITIONS = ("network", *(f"clinic-{clinic_id}" for clinic_id in CLINICS))


def _page(edition: str) -> bytes:
    return f"<p>secret of {edition}</p>".encode()


def _issued() -> Iterator[dict[str, Any]]:
    """The archive's rows: each edition's page, and the frozen data, here a few words only."""
    for edition in EDITIONS:
        issue = {"report_id": f"2026-W09-{edition}-s1-r1", "week": "2026-W09", "edition": edition}
        more = {"revision": 1, "snapshot_id": 1, "issued_at": NOW, "reason": None, "bytes": 40}
        digest = hashlib.sha256(_page(edition)).hexdigest()
        yield issue | more | {"kind": "html", "sha256": digest, "document": None}
        yield issue | more | {"kind": "json", "sha256": digest, "document": f'{{"secret of": "{edition}"}}'}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A migrated warehouse with three clinics, a year and 26 weeks of results, and one landed batch."""
    location = store.Location.under(tmp_path_factory.mktemp("lake"))
    connection = store.connect(location)
    store.migrate(connection, location)
    lake = Lake(location, connection)
    lake.insert("raw.clinic_registered", *(_registered(*clinic) for clinic in CLINICS.items()))
    lake.insert(
        "raw.protocol_published",
        {
            "source": "//clinic-north", "id": "p1", "clinic_id": "clinic-north", "occurred_at": NOW,
            "received_at": NOW, "landed_at": NOW, "protocol_id": "scar-deep", "version": 2,
            "indication": "acne_scars",
        },
    )  # fmt: skip
    lake.insert("mart.metric_result", *_year(), *_weeks())
    lake.insert("landing.batch", BATCH)
    lake.insert("mart.report_file", *_issued())
    for relation, rows in world.rows(AS_OF):
        lake.insert(relation, *rows)
    with store.transaction(connection, location):
        metric_cards.remember(connection)
        # What a refresh keeps; its windows and courses are the world's own.
        connection.execute("INSERT INTO mart.session_outcome BY NAME FROM core.session_outcome")
        connection.execute("INSERT INTO mart.session_sign BY NAME FROM core.session_sign")
    yield lake
    connection.close()


class Clock:
    """A clock the test sets."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, **units: float) -> None:
        self.now += dt.timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def settings(lake: Lake, tmp_path: Path) -> DashboardSettings:
    """Settings with an account of every role; the two clinic managers are of different clinics."""
    accounts_path = tmp_path / "accounts.sqlite"
    accounts.add_user(accounts_path, "manager", PASSWORD, "network_manager", ())
    accounts.add_user(accounts_path, "analyst", PASSWORD, "analyst", ())
    accounts.add_user(accounts_path, "admin", PASSWORD, "admin", ())
    accounts.add_user(accounts_path, "north", PASSWORD, "clinic_manager", ("clinic-north",))
    accounts.add_user(accounts_path, "harbour", PASSWORD, "clinic_manager", ("clinic-harbour",))
    archive = tmp_path / "reports"
    for edition in EDITIONS:
        folder = archive / "2026-W09" / edition
        folder.mkdir(parents=True)
        (folder / f"2026-W09-{edition}-s1-r1.html").write_bytes(_page(edition))
    return DashboardSettings(
        location=lake.location,
        accounts=accounts_path,
        secret=tmp_path / "secret",
        base_url="http://127.0.0.1",
        archive=archive,
    )


def login(client: httpx.Client, name: str, password: str = PASSWORD) -> Any:
    """Log in through the form, as a browser does."""
    page = client.get("/login").text
    token = page.split('name="csrf" value="')[1].split('"')[0]
    return client.post("/login", data={"name": name, "password": password, "csrf": token})


def post(client: httpx.Client, path: str, **fields: str) -> Any:
    """Send a form of ours, as a logged-in browser does."""
    token = client.get("/").text.split('name="csrf" value="')[1].split('"')[0]
    return client.post(path, data={"csrf": token, **fields})


@contextmanager
def logged_in(app: TestClient, clients: Mapping[str, TestClient]) -> Iterator[None]:
    """Inside, the app runs and each client is logged in under its name, without a limit of requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dashboards.limits.Limits.take", lambda *_: True)
        with app:
            for name, client in clients.items():
                client.follow_redirects = False
                assert login(client, name).status_code == 303
            yield


@pytest.fixture
def client(settings: DashboardSettings, clock: Clock) -> Iterator[TestClient]:
    """A client that is not logged in and follows no redirect."""
    with TestClient(create_app(settings, clock), follow_redirects=False) as client:
        yield client


@pytest.fixture
def as_user(settings: DashboardSettings, clock: Clock) -> Iterator[Callable[[str], TestClient]]:
    """A client of the same app logged in under that name."""
    with TestClient(create_app(settings, clock), follow_redirects=False) as first:

        def logged_in(name: str) -> TestClient:
            client = TestClient(first.app, follow_redirects=False)
            assert login(client, name).status_code == 303
            return client

        yield logged_in


@pytest.fixture
def served(settings: DashboardSettings, clock: Clock) -> Iterator[str]:
    """The address of a real server on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = build_server(replace(settings, base_url=url), "127.0.0.1", port, clock)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.02)
    yield url
    server.should_exit = True
    thread.join(5)
    assert not thread.is_alive(), "the server did not stop"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium; the test is skipped, saying why, where there is none.

    A module's and not the session's: until Playwright stops, an event loop runs in this thread, in which
    neither Prefect's synchronous calls nor `asyncio.run` work for the modules that come after.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is absent (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page together with everything it should not have done."""

    page: Any
    url: str
    console: list[str]
    external: list[str]

    def log_in(self, name: str) -> None:
        self.page.goto(f"{self.url}/login")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.url}/")


@pytest.fixture
def watched(browser: Any, served: str) -> Iterator[Watched]:
    """A page of the served dashboard that notes console errors, policy violations and foreign requests."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    console: list[str] = []
    external: list[str] = []
    page.on("console", lambda m: console.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((served, "data:")) else external.append(r.url))
    yield Watched(page, served, console, external)
    if folder := os.environ.get("DERMASTREAM_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/last.png", full_page=True)
    context.close()
