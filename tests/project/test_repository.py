"""What is committed: the fixed top level, and nothing of the machine it was written on."""

import re

import pytest

from tests.project.files import ROOT, committed

pytestmark = pytest.mark.unit

TOP_LEVEL = {
    "flows", "producers", "warehouse", "dashboards", "tests", "pyproject.toml", "docker-compose.yml",
    "README.md", "LICENSE", "CHANGELOG.md", "Dockerfile",
}  # fmt: skip


def _joined(text: str) -> str:
    """The text without its gaps: no registry is spelled out, not even here."""
    return text.replace(" ", "")


MACHINE = {
    "a home or work folder": r"(?<![\w.\-/}])/(?:home|Users|root|work|workspace|mnt/data)/\w",
    "a package registry": _joined(
        r"py pi\.org|python hosted\.org|regi stry\.np mjs|arti factory|/sim ple/?\b|nex us\."
    ),
    "where to install from": r"--(?:extra-)?index-url|--find-links|--trusted-host",
}


def test_the_top_level_is_fixed():
    """Apart from dotfiles, the top level holds the named folders and files and nothing else."""
    top = {name.split("/")[0] for name in committed()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


@pytest.mark.parametrize("what", MACHINE)
def test_no_file_tells_where_it_was_made(what: str):
    """No committed file names a folder of someone's machine, a package registry or an index."""
    found = []
    for name in committed():
        if name == "tests/project/test_repository.py":
            continue
        text = (ROOT / name).read_bytes().decode(errors="replace")
        found += [f"{name}: {match[0]}" for match in re.finditer(MACHINE[what], text)]
    assert found == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a home or work folder", "see /home/ann/notes"),
        ("a home or work folder", 'Path("/root/x")'),
        ("a package registry", _joined("https://files.python hosted.org/packages/x.whl")),
        ("where to install from", "--index-url https://example.org"),
    ],
)
def test_the_search_would_find_them(what: str, text: str):
    """The patterns above do match what they are for."""
    assert re.search(MACHINE[what], text)


def test_generated_and_local_files_stay_out():
    """No resolver's lock, environment, cache or state of a running stack is committed."""
    refused = re.compile(
        r"(^|/)(uv\.lock|\.env|\.venv|__pycache__|\.dermastream|.*\.pyc|.*\.sqlite|.*\.parquet)(/|$)"
    )
    assert [name for name in committed() if refused.search(name)] == []
