"""Saved views: an account's own names for addresses. Whoever opens one sees it within their own scope."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dashboards import accounts
from dashboards.language import say
from dashboards.security import local_target

MOST = 50
LONGEST_TITLE, LONGEST_ADDRESS = 60, 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS saved_view (
  name TEXT NOT NULL, title TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (name, title)
) STRICT
"""


class NotSaved(ValueError):
    """The view breaks a rule, which the message names in the language of the answer."""


@dataclass(frozen=True)
class View:
    title: str
    address: str


def save(path: Path, name: str, view: View) -> None:
    """Keep the view under its title, in place of one of the same title. Raises NotSaved."""
    if not view.title or len(view.title) > LONGEST_TITLE or not view.title.isprintable():
        raise NotSaved(say("A view's name has 1 to {n} printable characters.", n=LONGEST_TITLE))
    if len(view.address) > LONGEST_ADDRESS or local_target(view.address) != view.address:
        raise NotSaved(say("A view is the address of one of our own pages."))
    with _database(path) as db:
        db.execute(
            "INSERT INTO saved_view VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET address = excluded.address",
            (name, view.title, view.address),
        )
        if db.execute("SELECT count(*) FROM saved_view WHERE name = ?", (name,)).fetchone()[0] > MOST:
            raise NotSaved(say("At most {n} views can be saved; please forget one first.", n=MOST))


def forget(path: Path, name: str, title: str) -> None:
    with _database(path) as db:
        db.execute("DELETE FROM saved_view WHERE name = ? AND title = ?", (name, title))


def listed(path: Path, name: str) -> list[View]:
    """The account's views, by title."""
    with _database(path) as db:
        rows = db.execute(
            "SELECT title, address FROM saved_view WHERE name = ? ORDER BY title COLLATE NOCASE", (name,)
        )
        return [View(*row) for row in rows]


@contextlib.contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on the accounts file, where the views are kept."""
    with accounts.database(path) as db:
        db.execute(_SCHEMA)
        yield db
