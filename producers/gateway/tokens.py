"""Tokens with which a clinic's systems show that they may send.

A token is 256 random bits, so its plain SHA-256 is enough at rest: there is nothing to guess. The file holds
hashes only; a token is shown once, when it is made.
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from producers.contracts import SettingsError

PREFIX = "dsg_"
"""Lets a scanner for leaked secrets recognise one."""


@dataclass(frozen=True)
class Token:
    """What we keep of a token; `id` names it in lists and when it is revoked."""

    id: str
    clinic: str
    label: str
    created_at: str
    sha256: str


class Tokens:
    """The tokens in a file; a change of the file is seen at the next request."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._tokens: list[Token] = []

    def all(self) -> list[Token]:
        """Every valid token, oldest first. Raises SettingsError for a damaged file."""
        with self._lock:
            self._reread()
            return list(self._tokens)

    def clinic_of(self, secret: str) -> str | None:
        """The clinic that this token speaks for; null for an unknown one. Takes the same time either way."""
        given = _hash(secret)
        clinic = None
        for token in self.all():
            if hmac.compare_digest(token.sha256, given):
                clinic = token.clinic
        return clinic

    def add(self, clinic: str, label: str, created_at: datetime) -> str:
        """Make a token and give it: it cannot be read again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        token = Token(
            secrets.token_hex(4), clinic, label, created_at.isoformat(timespec="seconds"), _hash(secret)
        )
        with self._lock:
            self._reread()
            self._write([*self._tokens, token])
        return secret

    def revoke(self, token_id: str) -> bool:
        """Whether there was such a token; from now on it is worth nothing."""
        with self._lock:
            self._reread()
            kept = [token for token in self._tokens if token.id != token_id]
            if len(kept) == len(self._tokens):
                return False
            self._write(kept)
        return True

    def _reread(self) -> None:
        try:
            found = self._file.stat()
            version = (found.st_mtime_ns, found.st_ino, found.st_size)
            if version != self._seen:
                self._tokens = [Token(**entry) for entry in json.loads(self._file.read_text())]
                self._seen = version
        except FileNotFoundError:
            self._tokens, self._seen = [], None
        except (OSError, ValueError, TypeError) as error:
            raise SettingsError(f"cannot read the tokens in {self._file} ({type(error).__name__})") from None

    def _write(self, tokens: list[Token]) -> None:
        """Replace the file whole, so that a reader sees the old or the new one."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        descriptor = os.open(scratch, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            json.dump([asdict(token) for token in tokens], opened, indent=1)
            opened.flush()
            os.fsync(opened.fileno())
        scratch.replace(self._file)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
