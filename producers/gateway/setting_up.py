"""The first five minutes: a gateway's folder with settings, key, inbox and example mappings."""

import re
from collections.abc import Iterator
from importlib import resources

from producers.contracts import SettingsError
from producers.gateway.pseudonyms import create_key
from producers.gateway.settings import FILE, GatewaySettings


def set_up(settings: GatewaySettings, clinic: str) -> Iterator[str]:
    """Make what is missing for this clinic, and say so line by line. Raises SettingsError."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", clinic):
        raise SettingsError(f"{clinic!r} is no clinic id: lower-case letters, digits and hyphens, at most 32")
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = settings.home / FILE
    if not file.exists():
        file.write_text(GatewaySettings.example(clinic))
        yield f"{file}: name the network's brokers and the clinic's user there"
    elif clinic not in settings.clinics:
        yield f"{file} exists: add {clinic} to `clinics` there"
    key = settings.key_file(clinic)
    if not key.exists():
        create_key(key)
        yield f"{key}: the key of the patients' pseudonyms. Back it up; it never leaves the clinic"
    mappings = settings.mappings(clinic)
    mappings.mkdir(parents=True, exist_ok=True)
    for example in (resources.files("producers.gateway") / "examples").iterdir():
        copy = mappings / f"{example.name}.example"
        if not copy.exists():
            copy.write_text(example.read_text())
            yield f"{copy}: copy it without .example and fit it to your export"
    inbox = settings.inbox(clinic)
    for folder in (inbox, inbox / "done", inbox / "refused"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    yield f"{inbox}: files put here are taken in"
