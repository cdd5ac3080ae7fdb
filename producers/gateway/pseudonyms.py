"""Patients under pseudonyms: keyed hashes, made with a key that never leaves the clinic.

HMAC (RFC 2104) with SHA-256, cut to 128 bits. Without the key nobody can try out patient numbers; with
another key the same patient gets another pseudonym, so two clinics' data cannot be joined on it. Who loses
the key loses the link between a patient's old events and new ones: back it up with the clinic's secrets.
"""

import hmac
import os
import secrets
import stat
import unicodedata
from pathlib import Path

from producers.contracts import SettingsError

KEY_BYTES = 32
_DOMAIN = b"dermastream/patient/v1\0"
_FINGERPRINT = b"dermastream/fingerprint/v1\0"


class PatientPseudonyms:
    """Makes the pseudonyms of one clinic's patients."""

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES:
            raise SettingsError(f"a patient key has at least {KEY_BYTES} bytes")
        self._key = key

    def of(self, reference: str) -> str:
        """32 hexadecimal digits for the clinic's own reference of a patient.

        White space around the reference and the Unicode form of its letters make no difference; upper and
        lower case do, and so do leading zeros: "0017" and "17" may be two patients.
        """
        normal = unicodedata.normalize("NFC", reference.strip())
        return self._digest(_DOMAIN + normal.encode())[:32]

    @property
    def fingerprint(self) -> str:
        """Tells one key from another and nothing else about it."""
        return self._digest(_FINGERPRINT)[:16]

    def _digest(self, message: bytes) -> str:
        return hmac.new(self._key, message, "sha256").hexdigest()


def create_key(file: Path) -> None:
    """Write a new random key that only its owner may read. Raises SettingsError where one is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise SettingsError(f"{file} exists: a new key would give every patient a new pseudonym") from None
    except OSError as error:
        raise SettingsError(f"cannot write {file}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as opened:
        opened.write(secrets.token_hex(KEY_BYTES) + "\n")
        opened.flush()
        os.fsync(opened.fileno())


def read_key(file: Path) -> PatientPseudonyms:
    """The key in a file of hexadecimal digits. Raises SettingsError when it is missing, short or readable."""
    try:
        mode = file.stat().st_mode
        text = file.read_text("ascii").strip()
    except FileNotFoundError:
        raise SettingsError(f"no patient key {file}: `dermastream gateway init` makes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the patient key {file} ({type(error).__name__})") from None
    if stat.S_IMODE(mode) & 0o077:
        raise SettingsError(f"{file} may be read by others: chmod 600 {file}")
    try:
        return PatientPseudonyms(bytes.fromhex(text))
    except ValueError:
        raise SettingsError(f"{file} is no patient key: it must hold hexadecimal digits") from None
