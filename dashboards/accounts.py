"""Local accounts and web sessions, in one SQLite file that only its owner can read.

An account has a password, or none and is reached through the OpenID provider alone. Passwords are kept as
argon2id, session tokens as a keyed hash: neither can be read back from the file.
"""

import contextlib
import datetime as dt
import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dashboards.queries import Scope
from dashboards.rights import RIGHTS, Rights
from producers.contracts.errors import SettingsError

NETWORK_ROLES = ("network_manager", "analyst", "admin")
ROLES = (*NETWORK_ROLES, "clinic_manager")

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
IDLE = dt.timedelta(minutes=30)
ABSOLUTE = dt.timedelta(hours=12)

FREE_FAILURES = {"account": 5, "address": 20}
"""Failures in a row before the next attempt has to wait; the wait doubles from one second."""
LONGEST_WAIT = {"account": dt.timedelta(minutes=5), "address": dt.timedelta(minutes=15)}
_FORGET_FAILURES = dt.timedelta(hours=1)

# OWASP's floor for argon2id: 19 MiB, two passes, one lane. Two at a time keep the process small.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_hashing = threading.BoundedSemaphore(2)
_NOBODY = _hasher.hash(secrets.token_urlsafe())

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
  name TEXT PRIMARY KEY, password_hash TEXT NOT NULL, role TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS account_clinic (
  name TEXT NOT NULL REFERENCES account ON DELETE CASCADE, clinic_id TEXT NOT NULL,
  PRIMARY KEY (name, clinic_id)
) STRICT;
CREATE TABLE IF NOT EXISTS web_session (
  token_hash TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES account ON DELETE CASCADE,
  started_at REAL NOT NULL, seen_at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS failure (
  kind TEXT NOT NULL, key TEXT NOT NULL, count INTEGER NOT NULL, last_at REAL NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT;
CREATE TABLE IF NOT EXISTS disabled (
  name TEXT PRIMARY KEY REFERENCES account ON DELETE CASCADE, at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS subject (
  name TEXT PRIMARY KEY REFERENCES account ON DELETE CASCADE, issuer TEXT NOT NULL, subject TEXT NOT NULL,
  UNIQUE (issuer, subject)
) STRICT;
"""


@dataclass(frozen=True)
class Account:
    """Who is logged in, and what they may see."""

    name: str
    role: str
    clinic_ids: frozenset[str]

    @property
    def scope(self) -> Scope:
        clinic_ids = None if self.role in NETWORK_ROLES else self.clinic_ids
        return Scope(clinic_ids, people=self.rights.people)

    @property
    def rights(self) -> Rights:
        return RIGHTS[self.role]


@contextlib.contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on the accounts file, created for its owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, timeout=10)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'subject'").fetchone():
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
        with connection:
            yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Meanwhile no request is the last to close the file: that one would write SQLite's log back, 5 to 10 ms
    a page."""
    with database(path):
        yield


# ── accounts ────────────────────────────────────────────────────────────────────────────────────────────


def add_user(path: Path, name: str, password: str | None, role: str, clinics: Sequence[str]) -> None:
    """Create the account, or replace its password, role and clinics, end its sessions and enable it.

    Without a password it is reached through the provider only, by the first who comes under that name.
    Raises SettingsError for an unknown role, a short password, or clinics that do not go with the role.
    """
    if not name or name != name.strip() or len(name) > 64 or not name.isprintable():
        raise SettingsError("an account's name is 1 to 64 printable characters without outer spaces")
    if role not in ROLES:
        raise SettingsError(f"role {role!r} is none of {', '.join(ROLES)}")
    if password is not None and not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise SettingsError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if (role == "clinic_manager") != bool(clinics):
        raise SettingsError(
            "a clinic_manager needs at least one clinic; the other roles see all and name none"
        )
    hashed = "" if password is None else _hash(password)
    with database(path) as db:
        db.execute(
            "INSERT INTO account VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
            " SET password_hash = excluded.password_hash, role = excluded.role",
            (name, hashed, role),
        )
        db.execute("DELETE FROM disabled WHERE name = ?", (name,))
        db.execute("DELETE FROM subject WHERE name = ?", (name,))
        db.execute("DELETE FROM account_clinic WHERE name = ?", (name,))
        db.executemany(
            "INSERT INTO account_clinic VALUES (?, ?)", [(name, each) for each in sorted(set(clinics))]
        )
        db.execute("DELETE FROM web_session WHERE name = ?", (name,))


def remove_user(path: Path, name: str) -> bool:
    """Delete the account and end its sessions; whether there was one."""
    with database(path) as db:
        return db.execute("DELETE FROM account WHERE name = ?", (name,)).rowcount > 0


def disable_user(path: Path, name: str, *, now: dt.datetime) -> bool:
    """Let nobody in under that name any more and end its sessions; whether there was such an account."""
    with database(path) as db:
        if not db.execute("SELECT 1 FROM account WHERE name = ?", (name,)).fetchone():
            return False
        db.execute("INSERT OR IGNORE INTO disabled VALUES (?, ?)", (name, now.timestamp()))
        db.execute("DELETE FROM web_session WHERE name = ?", (name,))
        return True


def reset_password(path: Path, name: str, password: str) -> bool:
    """A new password for an account that is there, which also enables it and forgets its failures.

    Its sessions end. Raises SettingsError for a short password, or an account that has none.
    """
    known = {account.name: account for account in list_users(path)}
    if name not in known:
        return False
    if name in without_password(path):
        raise SettingsError(f"{name} logs in through the provider and has no password; `user add` gives one")
    add_user(path, name, password, known[name].role, sorted(known[name].clinic_ids))
    with database(path) as db:
        db.execute("DELETE FROM failure WHERE kind = 'account' AND key = ?", (name[:64],))
    return True


def disabled_users(path: Path) -> set[str]:
    """Names that nobody may log in under."""
    with database(path) as db:
        return {row[0] for row in db.execute("SELECT name FROM disabled")}


def without_password(path: Path) -> set[str]:
    """Names of those who log in through the provider only."""
    with database(path) as db:
        return {row[0] for row in db.execute("SELECT name FROM account WHERE password_hash = ''")}


def list_users(path: Path) -> list[Account]:
    """All accounts, by name."""
    with database(path) as db:
        names = [row[0] for row in db.execute("SELECT name FROM account ORDER BY name")]
        return [account for name in names if (account := _account(db, name))]


def verify(path: Path, name: str, password: str, *, address: str, now: dt.datetime) -> Account | None:
    """The account where name and password are right and neither has to wait; else null, for whatever reason.

    An unknown name costs the same as a wrong password, and counts the same.
    """
    keys = (("account", name[:64]), ("address", address[:64]))
    with database(path) as db:
        waiting = not _take_attempt(db, keys, now)
        row = db.execute(
            "SELECT password_hash FROM account WHERE name = ? AND name NOT IN (SELECT name FROM disabled)"
            " AND password_hash <> ''",
            (name,),
        ).fetchone()
    right = _matches(row[0] if row else _NOBODY, password) and row is not None
    if waiting or not right:
        return None
    with database(path) as db:
        _give_back(db, keys)
        if _hasher.check_needs_rehash(row[0]):
            db.execute("UPDATE account SET password_hash = ? WHERE name = ?", (_hash(password), name))
        return _account(db, name)


def signed_on(path: Path, issuer: str, subject: str, name: str) -> Account | None:
    """The account of who the provider says this is; null where they have none, or a disabled one.

    Only an account without a password can be theirs. The first who comes under its name is remembered by
    `subject`, which a provider never gives to anybody else, and has it alone: the same name opens nothing for
    another person, and another name does not lock them out.
    """
    with database(path) as db:
        db.execute(
            "INSERT OR IGNORE INTO subject SELECT name, ?, ? FROM account"
            " WHERE name = ? AND password_hash = '' AND name NOT IN (SELECT name FROM disabled)",
            (issuer, subject, name),
        )
        row = db.execute(
            "SELECT name FROM subject WHERE issuer = ? AND subject = ?"
            " AND name NOT IN (SELECT name FROM disabled)",
            (issuer, subject),
        ).fetchone()
        return _account(db, row[0]) if row else None


def _hash(password: str) -> str:
    with _hashing:
        return _hasher.hash(password)


def _matches(hashed: str, password: str) -> bool:
    with _hashing:
        try:
            return _hasher.verify(hashed, password[: LONGEST_PASSWORD + 1])
        except (VerificationError, InvalidHashError):
            return False


def _account(db: sqlite3.Connection, name: str) -> Account | None:
    row = db.execute("SELECT role FROM account WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    clinics = db.execute("SELECT clinic_id FROM account_clinic WHERE name = ?", (name,)).fetchall()
    return Account(name, row[0], frozenset(clinic for (clinic,) in clinics))


def _must_wait(db: sqlite3.Connection, kind: str, key: str, now: dt.datetime) -> bool:
    row = db.execute("SELECT count, last_at FROM failure WHERE kind = ? AND key = ?", (kind, key)).fetchone()
    if row is None or row[0] < FREE_FAILURES[kind]:
        return False
    wait = min(2.0 ** min(row[0] - FREE_FAILURES[kind], 30), LONGEST_WAIT[kind].total_seconds())
    return bool(now.timestamp() < row[1] + wait)


def _take_attempt(db: sqlite3.Connection, keys: Sequence[tuple[str, str]], now: dt.datetime) -> bool:
    """Count the attempt as a failure before it is judged, so that attempts at the same time all count.

    False, and nothing counted, while the account or the address has to wait.
    """
    at = now.timestamp()
    # A write first: it takes the file's lock, so that no other attempt is judged in between.
    db.execute("DELETE FROM failure WHERE last_at < ?", (at - _FORGET_FAILURES.total_seconds(),))
    if any(_must_wait(db, kind, key, now) for kind, key in keys):
        return False
    for kind, key in keys:
        db.execute(
            "INSERT INTO failure VALUES (?, ?, 1, ?) ON CONFLICT (kind, key) DO UPDATE"
            " SET count = count + 1, last_at = excluded.last_at",
            (kind, key, at),
        )
    return True


def _give_back(db: sqlite3.Connection, keys: Sequence[tuple[str, str]]) -> None:
    """A right password clears its account; at the address it only takes its own attempt back."""
    (_, account), (_, address) = keys
    db.execute("DELETE FROM failure WHERE kind = 'account' AND key = ?", (account,))
    db.execute("UPDATE failure SET count = count - 1 WHERE kind = 'address' AND key = ?", (address,))


# ── web sessions ────────────────────────────────────────────────────────────────────────────────────────


class Sessions:
    """Web sessions of one accounts file; tokens exist only in the reader's cookie.

    `secret` keys the stored hash and the form tokens, `clock` gives UTC.
    """

    def __init__(self, path: Path, secret: bytes, clock: Callable[[], dt.datetime]) -> None:
        self._path = path
        self._secret = secret
        self._clock = clock

    def start(self, account: Account) -> str:
        """A new session; its 256-bit token."""
        token = secrets.token_urlsafe(32)
        now = self._clock().timestamp()
        with database(self._path) as db:
            db.execute("DELETE FROM web_session WHERE started_at < ?", (now - ABSOLUTE.total_seconds(),))
            db.execute(
                "INSERT INTO web_session VALUES (?, ?, ?, ?)",
                (self._key("session", token), account.name, now, now),
            )
        return token

    def find(self, token: str, *, touch: bool) -> Account | None:
        """Whose session it is; null when unknown, ended, idle too long or too old.

        `touch` counts as activity: not what a page fetches by itself.
        """
        now = self._clock().timestamp()
        key = self._key("session", token)
        with database(self._path) as db:
            row = db.execute(
                "SELECT name FROM web_session WHERE token_hash = ? AND seen_at > ? AND started_at > ?",
                (key, now - IDLE.total_seconds(), now - ABSOLUTE.total_seconds()),
            ).fetchone()
            if row is None:
                return None
            if touch:
                db.execute("UPDATE web_session SET seen_at = ? WHERE token_hash = ?", (now, key))
            return _account(db, row[0])

    def end(self, token: str) -> None:
        with database(self._path) as db:
            db.execute("DELETE FROM web_session WHERE token_hash = ?", (self._key("session", token),))

    def form_token(self, cookie: str) -> str:
        """What a form of the holder of that cookie must carry.

        Another text every time, under a random mask: pages are compressed, and a secret that stays the same
        could be guessed from their length (BREACH).
        """
        right = bytes.fromhex(self._key("form", cookie))
        mask = secrets.token_bytes(len(right))
        return mask.hex() + _under(mask, right).hex()

    def form_token_is_right(self, cookie: str, given: str) -> bool:
        right = self._key("form", cookie)
        try:
            text = bytes.fromhex(given)
        except ValueError:
            return False
        mask, hidden = text[: len(text) // 2], text[len(text) // 2 :]
        return len(text) == len(right) and hmac.compare_digest(_under(mask, hidden).hex(), right)

    def derived(self, purpose: str, text: str) -> str:
        """64 characters that only this service can tell from the text; others for another purpose."""
        return self._key(f"derived {purpose}", text)

    def _key(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def _under(mask: bytes, text: bytes) -> bytes:
    """One under the other, and back."""
    return bytes(a ^ b for a, b in zip(mask, text, strict=True))


def read_secret(path: Path) -> bytes:
    """The service's own secret: 32 random bytes, made at the first start, readable by its owner alone."""
    _write_once(path, secrets.token_hex(32))
    secret = bytes.fromhex(path.read_text().strip())
    if len(secret) < 32:
        raise SettingsError(f"the secret in {path} is too short: remove the file to have a new one made")
    return secret


def _write_once(path: Path, text: str) -> None:
    """Create the file whole, mode 0600, unless it is there already; first come wins."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text + "\n")
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


# ── demonstration ───────────────────────────────────────────────────────────────────────────────────────


def ensure_demo_users(path: Path, clinics: Sequence[str]) -> list[tuple[str, str, str]]:
    """`manager` of the network and, where there is a clinic, `clinic` of the first: (name, password, role).

    The passwords are random and kept beside the accounts, so that a restart names the same ones.
    """
    wanted: list[tuple[str, str, tuple[str, ...]]] = [("manager", "network_manager", ())]
    if clinics:
        wanted.append(("clinic", "clinic_manager", (clinics[0],)))
    existing = {account.name: account for account in list_users(path)}
    shown = []
    for name, role, theirs in wanted:
        kept = path.with_name(f"{path.name}.{name}.password")
        _write_once(kept, secrets.token_urlsafe(15))
        password = kept.read_text().strip()
        account = existing.get(name)
        if account is None or account.role != role or account.clinic_ids != frozenset(theirs):
            add_user(path, name, password, role, theirs)
        shown.append((name, password, role))
    return shown
