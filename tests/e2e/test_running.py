"""`dermastream demo` as a newcomer meets it."""

import json
import re
import shutil

import pytest

from tests.e2e.conftest import Demo, dermastream

pytestmark = pytest.mark.e2e

CHROMIUM = shutil.which("chromium")


def test_status_says_that_the_books_balance(demo: Demo):
    """Components are up; consumed = landed + duplicate + quarantined; lag is told per partition."""
    found = json.loads(dermastream("status", "--json", home=demo.home).stdout)
    assert set(found["components"].values()) == {"up"}
    totals = found["totals"]
    assert totals["consumed"] == totals["landed"] + totals["duplicate"] + totals["quarantined"]
    assert found["balanced"] is True
    assert {p["topic"] for p in found["partitions"]} == {
        "clinic.registry", "clinic.sessions", "clinic.device-telemetry", "clinic.outcomes",
    }  # fmt: skip
    assert found["newest_snapshot_id"] > 0


def test_status_is_readable(demo: Demo):
    """Without --json, a person can read it."""
    done = dermastream("status", home=demo.home)
    assert done.returncode == 0
    assert "books balance: yes" in done.stdout


def test_sql_answers_while_events_stream(demo: Demo):
    """A second process reads what landed, in each format."""
    assert demo.ask("SELECT count(*) AS clinics FROM mart.clinic") == [{"clinics": 4}]
    csv = dermastream("sql", "SELECT 1 AS a, 'x' AS b", "--format", "csv", home=demo.home)
    assert csv.stdout.split() == ["a,b", "1,x"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM raw.session_completed",
        "CREATE TABLE mine (a INT)",
        "WITH x AS (SELECT 1) INSERT INTO landing.progress SELECT 'a', 1, 1, '', now()",
        "COPY (SELECT 1) TO '/tmp/leak.csv'",
        "SELECT 1; SELECT 2",
        "ATTACH '/tmp/other.db'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SET threads = 1",
    ],
)
def test_sql_is_select_only(demo: Demo, statement: str):
    """Anything but one SELECT on the warehouse is refused in one line."""
    done = dermastream("sql", statement, home=demo.home)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_metrics_have_every_family_with_interval(demo: Demo):
    """Incidence, improvement, patient and device adherence, each with counts, interval and method."""
    rows = demo.ask("FROM mart.metric_current WHERE period = 'year'")
    families = {row["metric_id"] for row in rows}
    assert families >= {
        "adverse_event_incidence", "protocol_improvement", "maintenance_on_time", "device_in_calibration",
    }  # fmt: skip
    for row in rows:
        assert row["method"]
        if row["value"] is None:
            assert row["reason"]
        else:
            assert row["lower"] <= row["value"] <= row["upper"]
            assert row["denominator"] > 0


def test_a_weekly_report_is_made_now(demo: Demo, tmp_path):
    """HTML, PDF and CSV of the network's edition, while everything runs."""
    done = dermastream("report", "weekly", "--out", str(tmp_path), "--json", home=demo.home)
    assert done.returncode == 0, done.stderr
    kinds = {file.rsplit(".", 1)[1] for file in json.loads(done.stdout)}
    assert kinds >= {"html", "pdf", "csv"}


def test_another_stack_in_the_same_home_is_refused(demo: Demo):
    """One clear line, exit code 2."""
    done = dermastream("demo", "--for", "1s", home=demo.home)
    assert done.returncode == 2
    assert re.fullmatch(r"dermastream: a stack is already running in .*\n", done.stderr), done.stderr


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: the overview was NOT looked at")
def test_the_overview_shows_what_sql_says(demo: Demo):
    """Chromium, logged in as the network's manager, shows the numbers that `dermastream sql` gives."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.goto(demo.url)
        page.get_by_label(re.compile("name", re.IGNORECASE)).first.fill("manager")
        page.get_by_label(re.compile("password", re.IGNORECASE)).first.fill(demo.login("manager"))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{demo.url}/")
        rows = demo.ask(INCIDENCE)
        text = page.locator("main").inner_text()
        while (now := demo.ask(INCIDENCE)) != rows:  # an event landed in between: look again
            rows = now
            text = page.reload() and page.locator("main").inner_text()
        browser.close()
    assert len(rows) == 5
    for row in rows:
        assert f"{row['value']:.1f}" in text, row
        assert f"{row['numerator']:,.0f} of {row['denominator']:,.0f}" in text, row


INCIDENCE = (
    "SELECT scope_id, value, numerator, denominator FROM mart.metric_current "
    "WHERE metric_id = 'adverse_event_incidence' AND period = 'year' AND scope IN ('network', 'clinic')"
)
