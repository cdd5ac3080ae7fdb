"""The hash-pinned lock of the container image is what pyproject.toml resolves to today."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project.files import ROOT

pytestmark = pytest.mark.integration

LOCK = ROOT / ".ci" / "requirements.lock"
EXPORT = (
    "uv", "export", "--quiet", "--no-emit-project", "--no-dev", "--all-extras", "--no-header",
    "--no-annotate", "--output-file", "requirements.lock",
)  # fmt: skip


def test_the_lock_is_current(tmp_path: Path):
    """Exporting again, in a copy of the project, gives the committed lock; make it anew with that command."""
    if shutil.which("uv") is None:
        pytest.skip("NOT CHECKED: uv is not installed, so .ci/requirements.lock may be stale")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(EXPORT, cwd=tmp_path, capture_output=True, text=True)
    if done.returncode and re.search(r"Failed to fetch|dns error|client error|offline", done.stderr):
        pytest.skip(
            f"NOT CHECKED: the package index cannot be reached: {done.stderr.strip().splitlines()[-1]}"
        )
    assert done.returncode == 0, done.stderr
    again = (tmp_path / "requirements.lock").read_text()
    assert again == LOCK.read_text(), f"stale: in a copy of the project run {' '.join(EXPORT)}"


def test_every_line_is_a_pin_or_its_hash():
    """The lock is exact versions with hashes and nothing else: no address, no option, no path."""
    pin = r"[a-z0-9][a-z0-9._-]*==[0-9][\w.!+]*( ; [^\\]+)? \\"
    wrong = [
        line
        for line in LOCK.read_text().splitlines()
        if not re.fullmatch(rf"{pin}|    --hash=sha256:[0-9a-f]{{64}}( \\)?", line)
    ]
    assert wrong == []
