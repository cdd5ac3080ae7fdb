"""The send ledger: what is to reach whom, once. Written before anything is sent: no crash forgets or repeats.

    planned ─► rendered ─► handed over ─► accepted
       ▲          │             ├──────► failed      the other side refused it for good
       └──────────┴─ refused ◄──┤                    for now: tried again later
                                └──────► unknown     nobody can say whether it arrived: a person decides

An accepted or unknown one that comes back (a bounce) is failed, too.

`withheld`: not to be sent after all (unknown account, foreign domain, pause).

SQLite beside the lake, not DuckLake: "once" rests on a unique key and a compare-and-set, and DuckLake has
neither keys nor conflicts between appends. `synchronous=FULL`: a step that was written outlives a power cut.
All workers of one ledger share its file.
"""

import contextlib
import datetime as dt
import hashlib
import json
import os
import sqlite3
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from producers.contracts.errors import CheckFailed, WarehouseUnavailable
from warehouse.store import statement

FILE = "delivery.sqlite"
"""Its name in the home folder and in a backup."""

BUSY_SECONDS = 30
"""How long one worker waits for another's transaction; the longest takes milliseconds [A]."""

WAITING = ("planned", "rendered")
_ENDING = (*WAITING, "handed over", "unknown")
"""States an attempt may end from; an answer after the lease was over makes an unknown one known."""


@dataclass(frozen=True)
class Key:
    """What makes a delivery that delivery and no other."""

    channel: str
    kind: str
    period: str
    scope: str
    recipient: str
    revision: int

    @property
    def id(self) -> str:
        """A short name, the same on every machine."""
        text = json.dumps([getattr(self, name) for name in self.__dataclass_fields__])
        return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Delivery:
    """One row of the ledger; `claim` is the token of whoever works at it."""

    id: str
    key: Key
    content: str
    state: str
    digest: str | None
    attempts: int
    planned_at: dt.datetime
    claim: str | None


@dataclass(frozen=True)
class Recipient:
    """An account that gets mail. `paused_until` and `bounced` are null where nothing is in the way."""

    account: str
    address: str
    weekly: bool = True
    signals: bool = True
    paused_until: dt.datetime | None = None
    bounced: str | None = None


class LostClaim(CheckFailed):
    """Another worker has the delivery now, or it is past that step: do nothing more with it."""


class Ledger:
    """The ledger's file, made on first use, readable by its owner alone. Raises WarehouseUnavailable."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self._write() as db:
            db.execute("SELECT 1")

    # ── planning ────────────────────────────────────────────────────────────────────────────────────────

    def plan(
        self,
        key: Key,
        content: str,
        *,
        at: dt.datetime,
        about: dt.datetime | None = None,
        not_before: dt.datetime | None = None,
        by: str = "plan",
        reason: str = "",
    ) -> bool:
        """Write down that this is to be delivered; false where it already is, whatever became of it.

        `about`: when what it tells of had happened; null: a person wants it now. What had happened before
        this ledger was restored from a backup may have been sent by the lost one: it begins as unknown.
        """
        with self._write() as db:
            lost = _restored_after(db, about) if about else ""
            state = "unknown" if lost else "planned"
            row = (key.id, *(getattr(key, name) for name in Key.__dataclass_fields__), content, state)
            times = (at.timestamp(), (not_before or at).timestamp())
            done = db.execute(
                "INSERT INTO delivery (id, channel, kind, period, scope, recipient, revision, content, state,"
                " planned_at, not_before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (*row, *times),
            )
            if done.rowcount:
                _book(db, key.id, state, by, lost or reason, at)
            return done.rowcount == 1

    # ── working ─────────────────────────────────────────────────────────────────────────────────────────

    def claim(
        self, worker: str, channels: Collection[str], *, at: dt.datetime, lease: dt.timedelta
    ) -> Delivery | None:
        """The delivery for one of `channels` that has waited longest, now this worker's until the lease ends;
        null: none is due."""
        token = f"{worker}/{uuid.uuid4().hex}"
        with self._write() as db:
            row = db.execute(
                "SELECT id FROM delivery WHERE state IN ('planned', 'rendered') AND not_before <= ?"
                " AND claimed_until <= ? AND channel IN (SELECT value FROM json_each(?))"
                " ORDER BY not_before, id LIMIT 1",
                (at.timestamp(), at.timestamp(), json.dumps(sorted(channels))),
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE delivery SET claimed_by = ?, claimed_until = ?, attempts = attempts + 1 WHERE id = ?",
                (token, (at + lease).timestamp(), row["id"]),
            )
            return _delivery(db.execute("SELECT * FROM delivery WHERE id = ?", (row["id"],)).fetchone())

    def rendered(self, delivery: Delivery, digest: str, *, at: dt.datetime) -> None:
        """What will be sent is made. Raises LostClaim; CheckFailed where it is not what it was before."""
        if delivery.digest not in (None, digest):
            raise CheckFailed(f"delivery {delivery.id}: rendered again it is not what it was")
        self._move(delivery, WAITING, "rendered", "", at, digest=digest)

    def hand_over(self, delivery: Delivery, *, at: dt.datetime) -> None:
        """The very next thing the caller does may make it arrive. Raises LostClaim."""
        self._move(delivery, ("rendered",), "handed over", "", at)

    def settle(self, delivery: Delivery, state: str, detail: str, *, at: dt.datetime) -> None:
        """The end of an attempt: accepted, failed, withheld or unknown. Raises LostClaim."""
        assert state in ("accepted", "failed", "withheld", "unknown")
        self._move(delivery, _ENDING, state, detail, at, free=True)

    def put_off(self, delivery: Delivery, detail: str, *, at: dt.datetime, until: dt.datetime) -> None:
        """It certainly did not arrive; the next attempt is not before `until`. Raises LostClaim."""
        self._move(
            delivery,
            (*WAITING, "handed over"),
            "planned",
            detail,
            at,
            free=True,
            not_before=until.timestamp(),
        )

    def give_up_on_dead(self, *, at: dt.datetime) -> int:
        """What a worker handed over before it died: nobody knows whether it arrived. Gives how many."""
        with self._write() as db:
            found = db.execute(
                "UPDATE delivery SET state = 'unknown' WHERE state = 'handed over' AND"
                " claimed_until <= ? RETURNING id",
                (at.timestamp(),),
            ).fetchall()
            for row in found:
                _book(db, row["id"], "unknown", "sweep", "the worker ended after handing over", at)
            return len(found)

    def _move(
        self,
        delivery: Delivery,
        before: tuple[str, ...],
        state: str,
        detail: str,
        at: dt.datetime,
        *,
        free: bool = False,
        **columns: Any,
    ) -> None:
        """One step, if and only if the claim still holds and the state is one of `before`."""
        with self._write() as db:
            row = db.execute(
                "SELECT state, claimed_by, claimed_until FROM delivery WHERE id = ?", (delivery.id,)
            ).fetchone()
            mine = row is not None and row["claimed_by"] == delivery.claim
            # An answer that has come is written down even when the lease is over: it is what happened.
            in_time = row is not None and (free or row["claimed_until"] > at.timestamp())
            if not mine or not in_time or row["state"] not in before:
                raise LostClaim(f"delivery {delivery.id}: another worker has it, or it is past this step")
            db.execute(
                "UPDATE delivery SET state = ?, digest = coalesce(?, digest), not_before ="
                " coalesce(?, not_before), claimed_by = CASE WHEN ? THEN NULL ELSE claimed_by END,"
                " claimed_until = CASE WHEN ? THEN 0 ELSE claimed_until END WHERE id = ?",
                (state, columns.get("digest"), columns.get("not_before"), free, free, delivery.id),
            )
            _book(db, delivery.id, state, delivery.claim or "", detail, at)

    def came_back(self, delivery_id: str, detail: str, *, address: bool, at: dt.datetime) -> bool:
        """A server that took it could not deliver it after all; false where that is known already. `address`:
        because of the address, where nothing goes any more. Raises CheckFailed for one that is not ours or
        was never sent."""
        with self._write() as db:
            row = self._one(db, delivery_id)
            if row["state"] == "failed":
                return False
            if row["state"] not in ("handed over", "accepted", "unknown"):
                raise CheckFailed(f"delivery {row['id']} is {row['state']}: it cannot have come back")
            db.execute(
                "UPDATE delivery SET state = 'failed', claimed_by = NULL, claimed_until = 0 WHERE id = ?",
                (row["id"],),
            )
            _book(db, row["id"], "failed", "bounce", detail, at)
            if address:
                _refuse(db, row["recipient"], detail)
            return True

    def restored(self, made_at: dt.datetime, *, at: dt.datetime) -> int:
        """This is a copy made at `made_at`, in use again since `at`: whatever it has not seen the end of may
        have been sent meanwhile, so a person decides. Gives how many. Call it before anybody works at it."""
        why = f"restored from a backup of {made_at:%Y-%m-%d %H:%M} UTC: it may have been sent since"
        with self._write() as db:
            db.execute("INSERT INTO restored VALUES (?, ?)", (made_at.timestamp(), at.timestamp()))
            found = db.execute(
                "UPDATE delivery SET state = 'unknown', claimed_by = NULL, claimed_until = 0"
                " WHERE state IN ('planned', 'rendered', 'handed over') RETURNING id"
            ).fetchall()
            for row in found:
                _book(db, row["id"], "unknown", "restore", why, at)
            return len(found)

    # ── people ──────────────────────────────────────────────────────────────────────────────────────────

    def resolve(self, delivery_id: str, *, arrived: bool, by: str, reason: str, at: dt.datetime) -> str:
        """A person found out what became of an unknown one: accepted, or planned again under the same
        Message-ID. Raises CheckFailed naming the rule.
        """
        with self._write() as db:
            row = self._one(db, delivery_id)
            if row["state"] != "unknown":
                raise CheckFailed(f"delivery {row['id']} is {row['state']}, not unknown")
            if not reason.strip():
                raise CheckFailed(f"delivery {row['id']}: say how you know")
            state = "accepted" if arrived else "planned"
            db.execute(
                "UPDATE delivery SET state = ?, not_before = ?, claimed_by = NULL, claimed_until = 0"
                " WHERE id = ?",
                (state, at.timestamp(), row["id"]),
            )
            _book(db, row["id"], state, by, reason, at)
            return state

    def listed(self, *, states: tuple[str, ...] = (), period: str | None = None) -> list[dict[str, Any]]:
        """Deliveries, newest first, as dictionaries; of those states and that period where given."""
        with self._write() as db:
            rows = db.execute(
                "SELECT delivery.*, (SELECT detail FROM delivery_event WHERE delivery_event.id = delivery.id"
                " ORDER BY number DESC LIMIT 1) AS detail FROM delivery"
                " WHERE (? IS NULL OR period = ?) ORDER BY planned_at DESC, id",
                (period, period),
            ).fetchall()
        return [dict(row) for row in rows if not states or row["state"] in states]

    def history(self, delivery_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """One delivery, by the beginning of its name, and its steps. Raises CheckFailed."""
        with self._write() as db:
            row = self._one(db, delivery_id)
            steps = db.execute(
                "SELECT * FROM delivery_event WHERE id = ? ORDER BY number", (row["id"],)
            ).fetchall()
        return dict(row), [dict(step) for step in steps]

    def last_revision(self, kind: str, period: str, scope: str, recipient: str) -> int:
        """The highest revision planned for that recipient; 0 for none."""
        with self._write() as db:
            row = db.execute(
                "SELECT max(revision) AS revision FROM delivery"
                " WHERE kind = ? AND period = ? AND scope = ? AND recipient = ?",
                (kind, period, scope, recipient),
            ).fetchone()
        return row["revision"] or 0

    @staticmethod
    def _one(db: sqlite3.Connection, delivery_id: str) -> sqlite3.Row:
        rows: list[sqlite3.Row] = db.execute(
            "SELECT * FROM delivery WHERE substr(id, 1, ?) = ?", (len(delivery_id), delivery_id)
        ).fetchall()
        if not delivery_id or len(rows) != 1:
            raise CheckFailed(
                f"delivery {delivery_id}: {'several begin like this' if rows else 'no such delivery'}"
            )
        return rows[0]

    # ── what is due ─────────────────────────────────────────────────────────────────────────────────────

    def expect(self, week: str, scope: str, *, at: dt.datetime) -> None:
        """That edition's hour has come; said again it changes nothing."""
        with self._write() as db:
            db.execute(
                "INSERT INTO expected (week, scope, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (week, scope, at.timestamp()),
            )

    def expected(self) -> list[tuple[str, str]]:
        """Week and scope of each edition that is due and not issued, the longest due first."""
        with self._write() as db:
            rows = db.execute(
                "SELECT week, scope FROM expected WHERE ended_at IS NULL ORDER BY since, week, scope"
            ).fetchall()
        return [(row["week"], row["scope"]) for row in rows]

    def issued(self, week: str, scope: str, *, at: dt.datetime) -> None:
        """That edition is no longer waited for."""
        with self._write() as db:
            db.execute(
                "INSERT INTO expected VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET ended_at ="
                " coalesce(ended_at, excluded.ended_at)",
                (week, scope, at.timestamp(), at.timestamp()),
            )

    # ── recipients ──────────────────────────────────────────────────────────────────────────────────────

    def remember(self, recipient: Recipient) -> None:
        """Add a recipient, or replace it whole."""
        paused = recipient.paused_until.timestamp() if recipient.paused_until else None
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO recipient VALUES (?, ?, ?, ?, ?, ?)",
                (
                    recipient.account,
                    recipient.address,
                    recipient.weekly,
                    recipient.signals,
                    paused,
                    recipient.bounced,
                ),
            )

    def forget(self, account: str) -> bool:
        """Remove a recipient; whether there was one."""
        with self._write() as db:
            return db.execute("DELETE FROM recipient WHERE account = ?", (account,)).rowcount > 0

    def bounced(self, account: str, detail: str) -> None:
        """The address does not work: nothing goes there until a person says otherwise."""
        with self._write() as db:
            _refuse(db, account, detail)

    def recipients(self) -> list[Recipient]:
        """All of them, by account."""
        with self._write() as db:
            rows = db.execute("SELECT * FROM recipient ORDER BY account").fetchall()
        return [
            Recipient(
                row["account"],
                row["address"],
                bool(row["weekly"]),
                bool(row["signals"]),
                moment(row["paused_until"]) if row["paused_until"] is not None else None,
                row["bounced"],
            )
            for row in rows
        ]

    # ── the file ────────────────────────────────────────────────────────────────────────────────────────

    def ids(self) -> set[str]:
        """Names of all deliveries."""
        with self._write() as db:
            return {row["id"] for row in db.execute("SELECT id FROM delivery")}

    def broken(self) -> list[str]:
        """What does not hold in the file or in its books, a line each."""
        with self._write() as db:
            found = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            found += [row["detail"] for row in db.execute(statement("delivery/broken"))]
            rows = db.execute("SELECT * FROM delivery").fetchall()
        return found + [
            f"{row['id']} is not the name of its key" for row in rows if _key(row).id != row["id"]
        ]

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else interrupts."""
        try:
            if not self._file.exists():
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            db = sqlite3.connect(self._file, timeout=BUSY_SECONDS, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise WarehouseUnavailable(f"the send ledger {self._file}: {error}") from None
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous = FULL")
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'restored'").fetchone():
                db.execute("PRAGMA journal_mode = WAL")
                db.executescript(statement("delivery/schema"))
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise WarehouseUnavailable(f"the send ledger {self._file}: {error}") from error
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise CheckFailed(f"the send ledger {self._file} is damaged: {error}") from error
        finally:
            db.close()


def moment(seconds: float) -> dt.datetime:
    """Seconds since 1970 as a moment."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _key(row: sqlite3.Row) -> Key:
    return Key(*(row[name] for name in Key.__dataclass_fields__))


def _restored_after(db: sqlite3.Connection, about: dt.datetime) -> str:
    """Why nobody can know whether that was sent before the ledger was restored; empty where one can."""
    row = db.execute(
        "SELECT made_at, restored_at FROM restored WHERE restored_at >= ? ORDER BY restored_at DESC LIMIT 1",
        (about.timestamp(),),
    ).fetchone()
    if row is None:
        return ""
    made, put_back = (moment(row[name]) for name in ("made_at", "restored_at"))
    return (
        f"may have been sent between the backup of {made:%Y-%m-%d %H:%M} and its restore of "
        f"{put_back:%Y-%m-%d %H:%M} UTC"
    )


def _delivery(row: sqlite3.Row) -> Delivery:
    told = (row["content"], row["state"], row["digest"], row["attempts"], moment(row["planned_at"]))
    return Delivery(row["id"], _key(row), *told, claim=row["claimed_by"])


def _refuse(db: sqlite3.Connection, account: str, detail: str) -> None:
    db.execute("UPDATE recipient SET bounced = ? WHERE account = ?", (detail, account))


def _book(db: sqlite3.Connection, id_: str, state: str, actor: str, detail: str, at: dt.datetime) -> None:
    """The next step of the delivery's history."""
    db.execute(
        "INSERT INTO delivery_event SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ?, ?"
        " FROM delivery_event WHERE id = ?",
        (id_, at.timestamp(), state, actor, detail[:500], id_),
    )
