"""Accounts: kept so that nothing can be read back, refused when they make no sense."""

import datetime as dt
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dashboards import accounts
from dashboards.audit import Audit
from producers.contracts.errors import SettingsError
from tests.dashboards.conftest import NOW, PASSWORD

pytestmark = pytest.mark.integration


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "accounts.sqlite"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_readable_is_kept(path: Path):
    """Neither a password nor a session token is in the file, which only its owner reads."""
    accounts.add_user(path, "manager", PASSWORD, "network_manager", ())
    sessions = accounts.Sessions(path, b"k" * 32, lambda: NOW)
    account = accounts.verify(path, "manager", PASSWORD, address="a", now=NOW)
    assert account is not None
    token = sessions.start(account)
    assert len(token) >= 43
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert PASSWORD.encode() not in kept
    assert token.encode() not in kept
    assert b"$argon2id$" in kept
    assert {_mode(file) for file in path.parent.iterdir()} == {0o600}


def test_session_of_another_secret_is_unknown(path: Path):
    """A copy of the file is of no use without the service's secret."""
    accounts.add_user(path, "manager", PASSWORD, "network_manager", ())
    token = accounts.Sessions(path, b"k" * 32, lambda: NOW).start(accounts.list_users(path)[0])
    assert accounts.Sessions(path, b"k" * 32, lambda: NOW).find(token, touch=False) is not None
    assert accounts.Sessions(path, b"x" * 32, lambda: NOW).find(token, touch=False) is None


@pytest.mark.parametrize(
    ("name", "password", "role", "clinics", "says"),
    [
        ("a", PASSWORD, "owner", (), "role 'owner' is none of"),
        ("a", "short", "admin", (), "12 to 256 characters"),
        ("a", "x" * 257, "admin", (), "12 to 256 characters"),
        ("a", PASSWORD, "clinic_manager", (), "needs at least one clinic"),
        ("a", PASSWORD, "analyst", ("c1",), "see all and name none"),
        (" a", PASSWORD, "admin", (), "without outer spaces"),
        ("a\n", PASSWORD, "admin", (), "printable"),
    ],
)
def test_accounts_that_make_no_sense(
    path: Path, name: str, password: str, role: str, clinics: tuple[str, ...], says: str
):
    """An account that makes no sense is refused, naming the rule."""
    with pytest.raises(SettingsError, match=says):
        accounts.add_user(path, name, password, role, clinics)


def test_attempts_at_the_same_time_all_count(path: Path):
    """An attempt counts before it is judged, so the sixth of a burst is refused whatever it carries."""
    accounts.add_user(path, "manager", PASSWORD, "network_manager", ())
    for _ in range(5):
        assert accounts.verify(path, "manager", "wrong", address="a", now=NOW) is None
    assert accounts.verify(path, "manager", PASSWORD, address="b", now=NOW) is None


def test_wait_grows_and_is_forgotten(path: Path):
    """Each further failure doubles the wait up to five minutes; an hour later it is forgotten."""
    accounts.add_user(path, "manager", PASSWORD, "network_manager", ())
    now = NOW
    for _ in range(20):
        assert accounts.verify(path, "manager", "wrong", address="a", now=now) is None
        now += dt.timedelta(minutes=5, seconds=1)
    last = now - dt.timedelta(minutes=5, seconds=1)
    nearly = last + dt.timedelta(minutes=4, seconds=59)
    assert accounts.verify(path, "manager", PASSWORD, address="b", now=nearly) is None
    assert accounts.verify(path, "manager", PASSWORD, address="b", now=now) is not None


def test_demo_users_survive_a_restart(path: Path):
    """The demonstration's accounts and passwords are the same at every start, and work."""
    first = accounts.ensure_demo_users(path, ["c-01", "c-02"])
    assert accounts.ensure_demo_users(path, ["c-01", "c-02"]) == first
    assert [(name, role) for name, _, role in first] == [
        ("manager", "network_manager"),
        ("clinic", "clinic_manager"),
    ]
    for name, password, role in first:
        account = accounts.verify(path, name, password, address="a", now=NOW)
        assert account is not None
        assert account.role == role
    clinic = next(each for each in accounts.list_users(path) if each.name == "clinic")
    assert clinic.scope.clinic_ids == frozenset({"c-01"})
    assert {_mode(file) for file in path.parent.iterdir()} == {0o600}


# ── from the command line ───────────────────────────────────────────────────────────────────────────────


def run(home: Path, *command: str) -> tuple[int, str]:
    """`dermastream user …` in that home: its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "user", *command, "--home", str(home)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    return done.returncode, done.stdout + done.stderr


def test_accounts_from_the_command_line(tmp_path: Path):
    """Added, listed, reset and disabled; a made password is printed once and works; every change is noted."""
    path = tmp_path / "dashboard" / "accounts.sqlite"
    code, said = run(tmp_path, "add", "ann", "--role", "clinic_manager", "--clinic", "north")
    password = said.strip().rsplit(" ", 1)[1]
    assert code == 0
    assert accounts.verify(path, "ann", password, address="a", now=NOW) is not None
    assert "clinic_manager   north" in run(tmp_path, "list")[1]
    assert run(tmp_path, "disable", "ann")[0] == 0
    assert accounts.verify(path, "ann", password, address="a", now=NOW) is None
    assert "disabled" in run(tmp_path, "list")[1]
    changed = run(tmp_path, "reset", "ann")[1].strip().rsplit(" ", 1)[1]
    assert accounts.verify(path, "ann", changed, address="a", now=NOW) is not None
    code, said = run(tmp_path, "reset", "nobody")
    assert (code, said.count("\n")) == (2, 1)
    assert "there is no account nobody" in said
    noted = [entry["what"] for entry in Audit(path.with_name("audit.sqlite")).newest(9)]
    assert noted == ["reset ann", "disable ann", "add ann as clinic_manager of north"]


def test_disabling_ends_open_sessions(tmp_path: Path):
    """Whoever is logged in under a disabled name is out at the next request."""
    path = tmp_path / "accounts.sqlite"
    accounts.add_user(path, "ann", "a long enough password", "analyst", ())
    sessions = accounts.Sessions(path, b"k" * 32, lambda: NOW)
    account = accounts.list_users(path)[0]
    token = sessions.start(account)
    assert sessions.find(token, touch=False) == account
    assert accounts.disable_user(path, "ann", now=NOW)
    assert sessions.find(token, touch=False) is None
    assert not accounts.disable_user(path, "nobody", now=NOW)
