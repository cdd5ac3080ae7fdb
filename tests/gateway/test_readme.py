"""What the README says of the gateway is what it does."""

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from producers.gateway.http import TITLES
from producers.gateway.settings import GatewaySettings
from tests.gateway.test_http import Door
from tests.project.files import ROOT

pytestmark = pytest.mark.unit

SECTION = (ROOT / "README.md").read_text().split("### The gateway")[1].split("\n## ")[0]
TOML = [
    re.sub(r"^   ", "", block, flags=re.MULTILINE)
    for block in re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL)
]


def within(part: Any, whole: Any) -> bool:
    """Whether every name and value of the one is in the other; of lists, the items one by one."""
    if isinstance(part, dict):
        return all(name in whole and within(value, whole[name]) for name, value in part.items())
    if isinstance(part, list) and part and isinstance(part[0], dict):
        return all(within(one, other) for one, other in zip(part, whole, strict=False))
    return bool(part == whole)


def test_the_mappings_are_parts_of_the_examples():
    """What is printed is in the files that `init` copies."""
    folder = resources.files("producers.gateway") / "examples"
    for block, name in zip(TOML[1:], ("booking-sessions.toml", "device-log.toml"), strict=True):
        assert within(tomllib.loads(block), tomllib.loads((folder / name).read_text())), name


def test_the_settings_load(tmp_path: Path):
    """The settings printed are accepted."""
    (tmp_path / "gateway.toml").write_text(TOML[0])
    assert GatewaySettings.load(tmp_path).clinics == ("north",)


def test_the_event_posted_is_taken(tmp_path: Path):
    """The body of the curl command is answered as printed."""
    door = Door(tmp_path)
    sent, answer = re.search(r"-d '(.*?)'\n\s*(\{.*?\})\n", SECTION, re.DOTALL).groups()  # type: ignore[union-attr]
    assert door.post(sent.replace("2026-11-20", "2026-10-20")).text == answer
    door.outbox.close()


def test_every_status_is_explained():
    """Each that an event can meet stands in the table."""
    told = {
        int(status)
        for row in re.findall(r"^\s+\| ([\d, a-z]+) \|", SECTION, re.MULTILINE)
        for status in re.findall(r"\d+", row)
    }
    assert told == set(TITLES) - {404, 405}
