"""Every command of the README, run as it stands there. After `test_running`: it publishes events."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import COMMAND, Demo

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
STARTS = {"pip install uv && uv run dermastream demo", "uv run pytest"}
"""Run by this folder's fixture, and by whoever runs this test."""


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    assert set(lines) >= STARTS
    return [line for line in lines if line not in STARTS]


@pytest.mark.parametrize("line", commands())
def test_command_of_the_readme(demo: Demo, line: str):
    """Runs against the running demo and succeeds."""
    assert line.startswith("uv run dermastream ")
    arguments = shlex.split(line.removeprefix("uv run dermastream "))
    stateless = arguments[0] == "contracts" or arguments[:2] == ["metrics", "list"]
    home = [] if stateless else ["--home", str(demo.home)]
    done = subprocess.run(
        [*COMMAND, *arguments, *home], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
