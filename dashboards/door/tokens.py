"""Tokens of the remote door: one for each analyst, kept as a hash in the accounts file.

A token is 256 random bits, so its plain SHA-256 is enough at rest: there is nothing to guess. It opens what
`dermastream sql` opens on the machine itself, so only accounts with the role `analyst` get one, and it ends
with the account: disabled, removed, or given another role.
"""

import contextlib
import datetime as dt
import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dashboards import accounts
from producers.contracts.errors import SettingsError

PREFIX = "dsq_"
"""Lets a scanner for leaked secrets recognise one."""

ROLE = "analyst"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS query_token (
  name TEXT PRIMARY KEY REFERENCES account ON DELETE CASCADE, sha256 TEXT NOT NULL UNIQUE,
  issued_at TEXT NOT NULL, ends_at TEXT NOT NULL
) STRICT
"""


@dataclass(frozen=True)
class Token:
    """What is kept of a token: whose, from when until when, and whether its account may use it."""

    name: str
    issued_at: dt.datetime
    ends_at: dt.datetime
    usable: bool


def issue(path: Path, name: str, *, now: dt.datetime, lasting: dt.timedelta) -> str:
    """A new token for the analyst, in place of the one before; it cannot be read again.

    Raises SettingsError where there is no such analyst.
    """
    if name not in _analysts(path):
        raise SettingsError(f"there is no analyst {name}: `dermastream user add {name} --role {ROLE}`")
    secret = PREFIX + secrets.token_urlsafe(32)
    with _database(path) as db:
        db.execute(
            "INSERT OR REPLACE INTO query_token VALUES (?, ?, ?, ?)",
            (name, _hash(secret), now.isoformat(), (now + lasting).isoformat()),
        )
    return secret


def revoke(path: Path, name: str) -> bool:
    """Whether there was one; from now on it is worth nothing."""
    with _database(path) as db:
        return db.execute("DELETE FROM query_token WHERE name = ?", (name,)).rowcount > 0


def listed(path: Path, *, now: dt.datetime) -> list[Token]:
    """Every token, by name."""
    allowed = _analysts(path)
    with _database(path) as db:
        rows = db.execute("SELECT name, issued_at, ends_at FROM query_token ORDER BY name").fetchall()
    moments = (
        (name, dt.datetime.fromisoformat(begun), dt.datetime.fromisoformat(end)) for name, begun, end in rows
    )
    return [Token(name, begun, end, name in allowed and now < end) for name, begun, end in moments]


def analyst_of(path: Path, secret: str, *, now: dt.datetime) -> str | None:
    """The analyst whose token this is; null for one that is unknown, over, or whose account may not."""
    with _database(path) as db:
        row = db.execute(
            "SELECT name, ends_at FROM query_token WHERE sha256 = ?", (_hash(secret),)
        ).fetchone()
    if row is None or now >= dt.datetime.fromisoformat(row[1]) or row[0] not in _analysts(path):
        return None
    return str(row[0])


def _analysts(path: Path) -> set[str]:
    enabled = {account.name for account in accounts.list_users(path) if account.role == ROLE}
    return enabled - accounts.disabled_users(path)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


@contextlib.contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on the accounts file, where the tokens are kept."""
    with accounts.database(path) as db:
        db.execute(_SCHEMA)
        yield db
