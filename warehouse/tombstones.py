"""Tombstones: what was erased, in a form that names nobody, so that nothing brings it back.

A tombstone is an HMAC of a name under a key of the operator's own. Landing asks `Tombstones` inside its own
transaction; an event that a tombstone forbids must be refused without keeping a byte of it.
"""

import contextlib
import datetime as dt
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from producers.contracts.errors import SettingsError
from warehouse import store
from warehouse.store import Connection

RULE = "privacy.erased"
"""Rule under which landing books an event that a tombstone forbids."""

_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Key:
    """The operator's secret. Keep it apart from backups: its holder can ask whether a name was erased."""

    secret: bytes

    @classmethod
    def of(cls, file: Path) -> "Key":
        """Read the key; made on first use, readable by its owner alone. SettingsError when it is unusable."""
        with contextlib.suppress(FileExistsError):
            file.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(secrets.token_hex(32))
        try:
            secret = bytes.fromhex(file.read_text().strip())
        except (OSError, ValueError):
            raise SettingsError(f"{file} is not a tombstone key: 64 hexadecimal digits") from None
        if len(secret) < 32:
            raise SettingsError(f"{file} is too short for a tombstone key: 64 hexadecimal digits")
        return cls(secret)

    @property
    def id(self) -> str:
        """Tells keys apart and gives nothing of them away."""
        return self._hmac("key")[:16]

    def patient(self, patient_key: str) -> str:
        return self._hmac("patient", patient_key)

    def session(self, clinic_id: str, session_id: str) -> str:
        return self._hmac("session", clinic_id, session_id)

    def event(self, source: str, id_: str) -> str:
        return self._hmac("event", source, id_)

    def _hmac(self, *parts: str) -> str:
        return hmac.new(self.secret, _SEPARATOR.join(parts).encode(), hashlib.sha256).hexdigest()


@dataclass
class Tombstones:
    """The tombstones of one warehouse, for landing. Without any, every question is answered at once."""

    key: Key | None
    digests: frozenset[str] = frozenset()
    _version: tuple[int, dt.datetime | None] = (0, None)
    _known: dict[tuple[str, ...], bool] = field(default_factory=dict)

    def refresh(self, connection: Connection) -> None:
        """Read them again if there are more. Call it inside the landing transaction, before judging.

        Raises SettingsError where they were made with another key: landing cannot tell whom to refuse.
        """
        if not store.has_files(connection, "privacy", "tombstone"):
            return  # nobody was ever erased: tombstones are never taken away
        row = store.rows(connection, store.statement("privacy/tombstones_version"))[0]
        version = (row["tombstones"], row["newest_at"])
        if version == self._version:
            return
        found = store.rows(connection, store.statement("privacy/tombstones"))
        if found and (self.key is None or any(row["key_id"] != self.key.id for row in found)):
            raise SettingsError(
                "persons were erased from this warehouse under another tombstone key: put that key in place "
                "(DERMASTREAM_PRIVACY_KEY_FILE)"
            )
        self.digests = frozenset(row["digest"] for row in found)
        self._version = version
        self._known.clear()

    def forbid(self, *, clinic_id: str, source: str, id_: str, data: dict[str, Any]) -> bool:
        """Whether an event must not land: it names an erased patient or session, or is or withdraws an
        erased event. `data` is the event's data as a mapping; a missing field asks nothing."""
        if not self.digests:
            return False
        patient, session, voided = (data.get(name) for name in ("patient_key", "session_id", "voided_id"))
        return (
            (patient is not None and self._forbidden("patient", patient))
            or (session is not None and self._forbidden("session", clinic_id, session))
            or (voided is not None and self._forbidden("event", source, voided))
            or self._forbidden("event", source, id_)
        )

    def forbidden_sessions(self, sessions: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these (clinic_id, session_id) were erased: ask it with a batch's distinct pairs."""
        return {pair for pair in sessions if self.digests and self._forbidden("session", *pair)}

    def _forbidden(self, kind: str, *name: str) -> bool:
        assert self.key is not None, "refresh() has found a key"
        asked = (kind, *name)
        if asked not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[asked] = self.key._hmac(kind, *name) in self.digests
        return self._known[asked]
