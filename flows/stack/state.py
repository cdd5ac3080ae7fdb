"""What a running stack tells other terminals: addresses in `<home>/stack.json`, and a lock on the home."""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.settings import Settings
from producers.contracts import SettingsError

PREFECT_AUTH_FILE = "prefect-auth"


def read(home: Path) -> dict[str, Any]:
    """The last written state of the stack in this home; empty when there is none."""
    try:
        return dict(json.loads((home / "stack.json").read_text()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {home / 'stack.json'}: {type(error).__name__}") from None


def write(home: Path, state: Mapping[str, Any]) -> None:
    temporary = home / "stack.json.new"
    temporary.write_text(json.dumps(state, indent=2) + "\n")
    temporary.replace(home / "stack.json")


def discover(settings: Settings) -> Settings:
    """Fill the addresses that the environment left open from the stack running in this home."""
    known = read(settings.home)
    found: dict[str, Any] = {
        name: known[name]
        for name in ("kafka_bootstrap_servers", "prefect_api_url")
        if getattr(settings, name) is None and name in known
    }
    return settings.model_copy(update=found)


def prefect_auth(home: Path) -> str:
    """The credentials of the embedded Prefect server, made once and kept for the owner only."""
    file = home / PREFECT_AUTH_FILE
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(f"dermastream:{secrets.token_urlsafe(24)}")
    return file.read_text()


@contextlib.contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the home for one stack at a time; the kernel lets go when the process ends.

    Raises SettingsError when the folder cannot be used or another stack runs there.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = open(home / "stack.lock", "a+")  # noqa: SIM115
    except OSError as error:
        raise SettingsError(f"cannot use the home folder {home}: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise SettingsError(
                f"a stack is already running in {home} (process {lock.read().strip() or 'unknown'}): "
                "stop it, or choose another folder with --home"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
