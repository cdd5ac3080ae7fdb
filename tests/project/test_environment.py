"""The example environment names every setting, and nothing else."""

import re

import pytest

from flows.settings import Settings
from tests.project.files import ROOT

pytestmark = pytest.mark.unit

LINE = re.compile(r"#?([A-Z][A-Z0-9_]*)=(.*)")


def listed() -> dict[str, tuple[str, str]]:
    """Variable -> (comment above it, value without quotes)."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = {}
    for above, line in zip(["", *lines], lines, strict=False):
        if match := LINE.fullmatch(line):
            found[match[1]] = (above.removeprefix("# "), match[2].strip('"'))
    return found


def test_every_setting_is_listed_and_nothing_else():
    """.env.example has exactly the variables that Settings reads."""
    assert set(listed()) == {Settings.variable(name) for name in Settings.model_fields}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_described_with_its_default(name: str):
    """Each variable stands under the setting's own description and shows its default."""
    field = Settings.model_fields[name]
    default = "" if field.default is None else str(field.default)
    assert listed()[Settings.variable(name)] == (field.description, default)


def test_the_example_changes_nothing():
    """Copied as it is, the example sets no variable: each line is a comment or empty."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
