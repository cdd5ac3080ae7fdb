"""The repository as git knows it."""

import functools
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@functools.cache
def committed() -> tuple[str, ...]:
    """Paths of every file git tracks; the test skips loudly outside a clone."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("NOT CHECKED: this is no git clone, so what is committed is unknown")
    return tuple(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())
