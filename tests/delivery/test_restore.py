"""The send ledger in a backup: after a restore nothing is sent twice, whatever was sent since the backup."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from dashboards.accounts import add_user
from flows.cli import app
from flows.clock import utc_now
from flows.commands import settings_of
from flows.delivery.reporting import Reporting
from producers.contracts import CheckFailed, SettingsError
from tests.delivery.conftest import NOW, Run
from tests.delivery.server import Mailbox
from tests.delivery.test_commands import made
from tests.report import world
from warehouse import backup as backups
from warehouse import catalog_file, store
from warehouse.deliveries import FILE, Key, Ledger

pytestmark = pytest.mark.integration


@pytest.fixture
def lake(tmp_path: Path) -> store.Location:
    """A warehouse in the home folder itself."""
    connection, location = world.fill(tmp_path)
    connection.close()
    return location


def warehouse(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    app(["warehouse", *words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def lose(home: Path) -> None:
    """Everything that a backup is for is gone."""
    for path in (home / "warehouse", home / "reports", *home.glob(f"{FILE}*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def plan_only(report: str) -> int:
    """Write down who is to get a report, as a run that was then cut off."""
    settings = settings_of(None)
    edition = report.removeprefix("2026-W46-").rpartition("-s")[0]
    connection = store.connect(settings.location)
    planned = Reporting(settings, connection, utc_now()).plan(
        settings.archive_dir / "2026-W46" / edition / f"{report}.json"
    )
    connection.close()
    return planned


def test_after_a_restore_nothing_is_sent_twice(
    run: Run, mailbox: Mailbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Sent before the backup, planned before and sent after, planned and sent after: when all is lost and put
    back each is asked for again; each arrives once, and what nobody can know waits for a person."""
    add_user(
        tmp_path / "dashboard" / "accounts.sqlite", "hal", "a long password", "clinic_manager", ["harbour"]
    )
    for name in ("noor", "mia", "hal"):
        run("recipients", "add", name, f"{name}@d.example")
    network, north = made(run), made(run, "--clinic", "north")
    assert run("send", network, "--json")["accepted"] == 1
    assert plan_only(north) == 1
    kept = tmp_path.with_name(f"{tmp_path.name}-backup")
    assert FILE in [file["path"] for file in warehouse(capsys, "backup", str(kept))["files"]]
    run("send", north)
    harbour = made(run, "--clinic", "harbour")
    run("send", harbour)
    sent = sorted(mail.message_id for mail in mailbox.taken)
    assert len(set(sent)) == 3

    lose(tmp_path)
    warehouse(capsys, "restore", str(kept))

    assert Ledger(tmp_path / FILE).broken() == []
    (row,) = run("deliveries", "--open", "--json")
    assert (row["recipient"], row["state"]) == ("mia", "unknown")
    assert "it may have been sent since" in row["detail"]
    for report in (network, north, made(run, "--clinic", "harbour")):
        assert run("send", report, "--json")["accepted"] == 0
    assert sorted(mail.message_id for mail in mailbox.taken) == sent
    waiting = {row["recipient"]: row for row in run("deliveries", "--open", "--json")}
    assert {name: row["state"] for name, row in waiting.items()} == {"mia": "unknown", "hal": "unknown"}
    assert "may have been sent between the backup of" in waiting["hal"]["detail"]
    run("resolve", waiting["mia"]["id"], "--not-arrived", "--reason", "she looked", "--by", "dana")
    assert run("send", north, "--json")["accepted"] == 1
    assert mailbox.taken[-1].message_id == f"<{waiting['mia']['id']}@net.example>"


def test_a_ledger_that_knows_more_stays(
    run: Run, mailbox: Mailbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Where only the warehouse was lost, the ledger in place goes on as it is: it saw what was sent since."""
    run("recipients", "add", "noor", "noor@d.example")
    network = made(run)
    kept = tmp_path.with_name(f"{tmp_path.name}-backup")
    plan_only(network)
    warehouse(capsys, "backup", str(kept))
    run("send", network)
    shutil.rmtree(tmp_path / "warehouse")
    warehouse(capsys, "restore", str(kept))
    assert run("deliveries", "--open") == "no deliveries\n"
    assert run("send", network, "--json")["planned"] == 0
    assert len(mailbox.taken) == 1


def test_a_ledger_that_knows_less_is_never_taken_for_the_right_one(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """An empty ledger made since the loss would send all again: it is refused, or set aside on request."""
    run("recipients", "add", "noor", "noor@d.example")
    plan_only(made(run))
    kept = tmp_path.with_name(f"{tmp_path.name}-backup")
    warehouse(capsys, "backup", str(kept))
    lose(tmp_path)
    assert run("deliveries") == "no deliveries\n"
    with pytest.raises(SettingsError, match=r"delivery\.sqlite lacks what the backup's knows"):
        backups.restore(kept, tmp_path, now=utc_now())
    assert not (tmp_path / "warehouse").exists()
    warehouse(capsys, "restore", str(kept), "--set-aside")
    assert [row["state"] for row in run("deliveries", "--json")] == ["unknown"]
    assert len(list(tmp_path.glob(f"{FILE}.aside-*"))) == 1


def test_a_copy_made_while_workers_write_is_whole(tmp_path: Path):
    """Copied again and again under four writers: each copy's books hold, and it never knows less."""
    ledger, stop, known = Ledger(tmp_path / FILE), threading.Event(), 0

    def work(number: int) -> None:
        mine, count = Ledger(tmp_path / FILE), 0
        while not stop.is_set():
            count += 1
            mine.plan(Key("mail", "signal", f"{number}/{count}", "network", "noor", 1), "{}", at=NOW)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for copied in range(4):
        catalog_file.copy(tmp_path / FILE, tmp_path / f"copy-{copied}.sqlite")
        copy = Ledger(tmp_path / f"copy-{copied}.sqlite")
        assert copy.broken() == []
        assert len(copy.ids()) >= known
        known = len(copy.ids())
    stop.set()
    for worker in workers:
        worker.join()
    assert 0 < known <= len(ledger.ids())


def test_a_damaged_ledger_is_found(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A state that no step led to, and a file that is no database: verify names both, backup refuses."""
    import sqlite3

    made(run)
    key = Key("mail", "signal", "s/1", "network", "noor", 1)
    Ledger(tmp_path / FILE).plan(key, "{}", at=NOW)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE delivery SET state = 'accepted'")
    db.close()
    with pytest.raises(SystemExit):
        warehouse(capsys, "verify")
    assert f"delivery: ledger: {key.id} is accepted, its last step says planned" in capsys.readouterr().err
    with pytest.raises(CheckFailed, match="its last step says planned"):
        warehouse(capsys, "backup", str(tmp_path.with_name(f"{tmp_path.name}-backup")))
    (tmp_path / FILE).write_bytes(b"no database, but some text that is long enough to be read as one" * 100)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"{FILE}{suffix}").unlink(missing_ok=True)
    with pytest.raises(SystemExit):
        warehouse(capsys, "verify")
    assert "delivery: unreadable: " in capsys.readouterr().err
