"""`dermastream report` from making to sending, against a real warehouse and a real mail server."""

import email
import email.policy
from pathlib import Path

import pytest

from producers.contracts import CheckFailed, SettingsError
from tests.delivery.conftest import Run
from tests.delivery.server import Mailbox
from tests.report import world
from warehouse import store

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> store.Location:
    """A warehouse for this module."""
    connection, location = world.fill(tmp_path_factory.mktemp("lake"))
    connection.close()
    return location


def made(run: Run, *words: str) -> str:
    """A report of the test's week, by its id."""
    return Path(run("weekly", "--week", str(world.WEEK), *words, "--json")[0]).stem


def test_a_report_is_made_found_shown_and_made_again(run: Run, tmp_path: Path):
    """The list finds it by its words; its files are what was issued, and come out the same again."""
    name = made(run)
    assert [row["report_id"] for row in run("list", "--json")] == [name]
    assert [row["report_id"] for row in run("list", "--search", "WESTEND", "--json")] == [name]
    assert run("list", "--search", "no such word") == "no reports\n"
    assert "archive: every file is what was issued" in run("show", name)
    assert run("render", name, "--out", str(tmp_path / "again"), "--json") == dict.fromkeys(
        ("csv", "html", "json", "pdf", "txt"), True
    )
    (tmp_path / "reports" / "2026-W46" / "network" / f"{name}.csv").write_text("forged")
    assert run("show", name, "--json")["wrong"] == ["csv changed"]


def test_a_report_reaches_its_readers_once_and_again_with_a_reason(run: Run, mailbox: Mailbox):
    """Sent twice it arrives once; a test and a resend are deliveries of their own."""
    run("recipients", "add", "noor", "noor@d.example")
    run("recipients", "add", "mia", "mia@d.example")
    network, north = made(run), made(run, "--clinic", "north")
    assert run("send", network, "--json")["accepted"] == 1
    assert run("send", network, "--json")["planned"] == 0
    run("send", north)
    assert sorted(m.recipient for m in mailbox.taken) == ["mia@d.example", "noor@d.example"]
    run("send", north, "--test", "noor")
    run("resend", north, "--to", "mia", "--reason", "asked for it on the phone", "--by", "dana")
    subjects = [
        str(email.message_from_bytes(m.content, policy=email.policy.default)["Subject"])
        for m in mailbox.taken
    ]
    assert subjects[2:] == [
        "[Test] Weekly report 2026-W46, North Clinic",
        "Weekly report 2026-W46, North Clinic",
    ]
    assert len({m.message_id for m in mailbox.taken}) == 4
    assert {row["state"] for row in run("deliveries", "--json")} == {"accepted"}
    assert run("deliveries", "--open") == "no deliveries\n"


def test_an_unknown_outcome_waits_for_a_person(run: Run, mailbox: Mailbox):
    """It is listed, sent by nobody, and goes out again only when a person says that it did not arrive."""
    run("recipients", "add", "noor", "noor@d.example")
    name = made(run)
    mailbox.faults = {"dropped at end": 1.0}
    assert run("send", name, "--json")["unknown"] == 1
    mailbox.faults = {}
    assert run("send", name, "--json") == {
        "planned": 0, "accepted": 0, "failed": 0, "unknown": 0, "put_off": 0, "withheld": 0
    }  # fmt: skip
    (row,) = run("deliveries", "--open", "--json")
    assert row["state"] == "unknown"
    run("resolve", row["id"][:8], "--not-arrived", "--reason", "not in her inbox", "--by", "dana")
    assert run("send", name, "--json")["accepted"] == 1
    assert mailbox.taken[0].message_id == f"<{row['id']}@net.example>"


def test_recipients_are_known_people_at_allowed_domains(run: Run):
    """Unknown accounts, foreign domains and what is no address are refused; a pause is shown."""
    for account, address, said in (
        ("eve", "eve@d.example", "no account 'eve'"),
        ("mia", "mia@elsewhere.example", "elsewhere.example is not in DERMASTREAM_MAIL_DOMAINS"),
        ("mia", "Mia <mia@d.example>", "not one of the form"),
    ):
        with pytest.raises(SettingsError, match=said):
            run("recipients", "add", account, address)
    run("recipients", "add", "mia", "mia@d.example", "--no-signals")
    run("recipients", "pause", "mia", "--until", "2999-01-01")
    assert run("recipients", "list") == "mia  mia@d.example  weekly  paused until 2999-01-01\n"
    run("recipients", "pause", "mia")
    assert run("recipients", "remove", "mia") == "mia removed\n"


def test_a_preview_leaves_no_trace(run: Run, tmp_path: Path, mailbox: Mailbox):
    """The files and the mail are written where asked; archive, ledger and mail server see nothing."""
    files = run(
        "preview", "--week", str(world.WEEK), "--clinic", "north", "--out", str(tmp_path / "p")
    ).split()
    assert [Path(file).suffix for file in files] == [".json", ".html", ".txt", ".pdf", ".csv", ".eml"]
    assert all(Path(file).stat().st_size for file in files)
    assert not (tmp_path / "reports").exists()
    assert mailbox.taken == []


def test_without_a_mail_server_nothing_is_sent(run: Run, monkeypatch: pytest.MonkeyPatch):
    """Sending names the setting that is missing; an unknown report is named too."""
    with pytest.raises(CheckFailed, match="report 1999: no such report"):
        run("show", "1999")
    monkeypatch.delenv("DERMASTREAM_MAIL_HOST")
    with pytest.raises(SettingsError, match="DERMASTREAM_MAIL_HOST is not set"):
        run("send", "2026")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAIL_SECURITY", "ssl3", "DERMASTREAM_MAIL_SECURITY: must be starttls, tls or none"),
        ("MAIL_PORT", "0", "DERMASTREAM_MAIL_PORT: Input should be greater than or equal to 1"),
        ("MAIL_SECURITY", "none", "DERMASTREAM_MAIL_USER: no password goes over an open line"),
        ("MAIL_PASSWORD_FILE", "/nowhere", "DERMASTREAM_MAIL_PASSWORD_FILE: cannot read /nowhere"),
    ],
)
def test_a_bad_mail_setting_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
):
    """One line with the variable and the rule."""
    report = made(run)
    monkeypatch.setenv(f"DERMASTREAM_{name}", value)
    with pytest.raises(SettingsError, match=said):
        run("send", report)
