"""The tools that keep the code in order pass, with the settings of pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.files import ROOT

pytestmark = pytest.mark.unit

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ("lint-imports", "--no-cache"),
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--no-cache", "--check", "."),
        ("mypy",),
    ],
    ids=["imports go one way", "lint", "format", "types"],
)
def test_the_code_is_in_order(command: tuple[str, ...]):
    """Import map, lint rules, formatting and types hold in the whole repository."""
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
