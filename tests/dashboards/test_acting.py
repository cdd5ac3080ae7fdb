"""What readers may do: act on signals, replay refused events; and that everything they do leaves a trace."""

import datetime as dt
import sqlite3
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from dashboards.app import DashboardSettings
from dashboards.audit import Audit
from dashboards.limits import Limits
from tests.dashboards.conftest import NOW, Lake, login, post

pytestmark = pytest.mark.integration

AsUser = Callable[[str], TestClient]
SIGNAL = "signal-operator-north"


def test_a_signals_life(as_user: AsUser, lake: Lake):
    """Acknowledged, commented, assigned, snoozed and closed from the page; the history has each with its
    actor."""
    client = as_user("north")
    to = f"/signal/{SIGNAL}"
    until = (NOW + dt.timedelta(days=9)).date().isoformat()
    for action, fields in (
        ("acknowledged", {}),
        ("commented", {"note": "asked  the\nsupplier"}),
        ("assigned", {"owner": "ann"}),
        ("snoozed", {"until": until, "note": "waits for the lot's data"}),
        ("closed", {"note": "a typing error"}),
    ):
        answer = post(client, f"{to}/{action}", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/signal?signal={SIGNAL}"), action
    page = client.get("/signal", params={"signal": SIGNAL}).text
    assert "asked the supplier" in page
    assert "a typing error" in page
    assert 'action="/signal/' not in page, "a closed signal has no forms"
    history = lake.connection.execute(
        "SELECT kind, actor, owner FROM mart.signal_event WHERE signal_id = ? ORDER BY number", [SIGNAL]
    ).fetchall()
    assert history == [
        ("opened", "rule", None),
        ("acknowledged", "north", "north"),
        ("commented", "north", None),
        ("assigned", "north", "ann"),
        ("snoozed", "north", None),
        ("closed", "north", None),
    ]
    assert post(client, f"{to}/commented", note="too late").status_code == 422


@pytest.mark.parametrize(
    ("name", "signal", "action", "fields", "status"),
    [
        ("analyst", SIGNAL, "acknowledged", {}, 403),
        ("admin", SIGNAL, "acknowledged", {}, 403),
        ("north", "signal-clinic-mill", "acknowledged", {}, 404),
        ("north", "signal-cartridge_lot-north", "acknowledged", {}, 404),
        ("north", "signal-none", "acknowledged", {}, 404),
        ("north", "signal-clinic-north", "opened", {}, 404),
        ("north", "signal-clinic-north", "closed", {}, 400),
        ("north", "signal-clinic-north", "closed", {"note": "x", "owner": "y"}, 400),
        ("north", "signal-clinic-north", "closed", {"note": "x" * 501}, 422),
        ("north", "signal-clinic-north", "snoozed", {"until": "soon", "note": "x"}, 422),
        ("north", "signal-clinic-north", "snoozed", {"until": "2020-01-01", "note": "x"}, 422),
        ("north", "signal-clinic-north", "closed", {"note": " "}, 422),
        ("manager", "signal-clinic-nort", "acknowledged", {}, 404),
    ],
)
def test_what_is_refused(
    as_user: AsUser, lake: Lake, name: str, signal: str, action: str, fields: dict, status: int
):
    """Not theirs, not allowed, not a form of ours, or against the rules: nothing happens."""
    before = lake.connection.execute("SELECT count(*) FROM mart.signal_event").fetchone()
    assert post(as_user(name), f"/signal/{signal}/{action}", **fields).status_code == status
    assert lake.connection.execute("SELECT count(*) FROM mart.signal_event").fetchone() == before


@pytest.mark.parametrize("path", [f"/signal/{SIGNAL}/acknowledged", "/health/replay"])
def test_no_form_without_its_token(as_user: AsUser, path: str):
    """Each form is refused without its token, from another site, and without a session."""
    client = as_user("manager")
    assert client.post(path, data={"csrf": "0" * 64}).status_code == 403
    token = client.get("/").text.split('name="csrf" value="')[1].split('"')[0]
    assert (
        client.post(path, data={"csrf": token}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    )
    client.cookies.clear()
    assert client.post(path, data={"csrf": token}).status_code == 303


def test_replay_is_for_admins(as_user: AsUser, lake: Lake):
    """An admin replays what waits under one rule; what is still refused waits on. Others are refused."""
    assert post(as_user("manager"), "/health/replay", rule="json.invalid").status_code == 403
    admin = as_user("admin")
    assert 'action="/health/replay"' in admin.get("/health").text
    assert post(admin, "/health/replay", rule="json.invalid").status_code == 303
    assert post(admin, "/health/replay", rule="../x").status_code == 400
    waiting = lake.connection.execute(
        "SELECT count(*) FROM landing.quarantine WHERE resolution IS NULL"
    ).fetchone()
    assert waiting == (3,)


def test_saved_views(as_user: AsUser):
    """A view is kept under the reader's own name for it, opened, replaced and forgotten; only pages of
    ours."""
    client = as_user("manager")
    offered = client.get("/safety", params={"by": "device"}).text
    assert 'href="/views?address=/safety%3Fby%3Ddevice"' in offered
    assert post(client, "/views/save", title="Pens", address="/safety?by=device").status_code == 303
    assert 'href="/safety?by=device">Pens</a>' in client.get("/views").text
    assert "Pens" not in as_user("north").get("/views").text
    for address in ("https://evil.example/", "//evil.example", "/logout", "/x" * 300):
        assert post(client, "/views/save", title="bad", address=address).status_code == 422
    assert post(client, "/views/save", title="", address="/safety").status_code == 422
    assert post(client, "/views/forget", title="Pens").status_code == 303
    assert "Pens" not in client.get("/views").text


# ── the audit trail ─────────────────────────────────────────────────────────────────────────────────────


def test_everything_leaves_a_trace(as_user: AsUser, client: TestClient, settings: DashboardSettings):
    """Logins, refused ones, views, files, denied tries and acts are in the trail, each with who and from
    where."""
    north = as_user("north")
    north.get("/safety", params={"weeks": "13"})
    north.get("/export/overview/clinics.csv")
    north.get("/", params={"clinic": "clinic-mill"})
    north.get("/audit")
    login(client, "nobody\n", "not the password")
    found = [(entry["action"], entry["account"], entry["what"]) for entry in Audit(settings.audit).newest(20)]
    assert (
        found[::-1][-6:]
        == [
            ("login", "north", "/"),
            ("view", "north", "/safety?weeks=13"),
            ("export", "north", "/export/overview/clinics.csv"),
            ("denied", "north", "404 GET /?clinic=clinic-mill"),
            ("denied", "north", "403 GET /audit"),
            ("login refused", "", "as nobody\\\\n"),
        ]
        or found[::-1][-1][2] == "as nobody\\n"
    )
    admin = as_user("admin").get("/audit").text
    assert "403 GET /audit" in admin
    assert "holds from the first entry to the newest" in admin


def test_the_trail_only_grows(settings: DashboardSettings):
    """Entries can be neither changed nor removed; who takes the triggers away is found by the chain."""
    audit = Audit(settings.audit)
    for number in range(3):
        audit.append("view", f"/{number}", at=NOW, account="north")
    database = sqlite3.connect(settings.audit)
    for statement in ("UPDATE entry SET what = 'x'", "DELETE FROM entry"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)
    assert audit.broken() is None
    database.executescript("DROP TRIGGER no_update; UPDATE entry SET what = '/other' WHERE number = 2")
    assert audit.broken() == "entry 2 was changed after it was written"
    database.executescript("DROP TRIGGER no_delete; DELETE FROM entry WHERE number = 2")
    assert audit.broken() == "entry 3 does not follow entry 1"
    database.close()


def test_too_many_requests_wait(as_user: AsUser, clock, monkeypatch: pytest.MonkeyPatch):
    """A session that asks too often is told to wait, and nobody else is."""
    client, other = as_user("manager"), as_user("north")
    monkeypatch.setattr("dashboards.site.EXPORT_COST", 1_000.0)
    answer = client.get("/export/overview/clinics.csv")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert other.get("/reports").status_code == 200


def test_the_bucket_refills():
    """What is spent comes back with time, up to the burst."""
    limits = Limits(burst=2, per_second=1)
    assert [limits.take("a", 1, at) for at in (0, 0, 0, 1, 1, 100, 100, 100)] == [
        True, True, False, True, False, True, True, False,
    ]  # fmt: skip
    assert limits.take("b", 1, 0)
