"""The golden reports: a change of any number or sentence shows as a difference here, and in review."""

import dataclasses
import difflib
from pathlib import Path

import pytest

from dashboards.report import ReportData
from tests.report import golden

pytestmark = pytest.mark.integration

FILES = ("frozen.json", "appendix.csv", "mail.txt", "pdf.txt")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the warehouse and the archive."""
    return tmp_path_factory.mktemp("golden")


@pytest.fixture(scope="module")
def frozen(home: Path) -> dict[str, ReportData]:
    """The editions by name."""
    return golden.frozen(home)


@pytest.mark.parametrize("edition", golden.EDITIONS)
def test_a_report_is_what_was_reviewed(frozen: dict[str, ReportData], home: Path, edition: str):
    """Frozen numbers, appendix, plain text of the mail, and the PDF's pages and tags are the golden ones."""
    made = golden.documents(frozen[edition], home)
    assert set(made) == set(FILES)
    differences = [line for name in FILES for line in _difference(edition, name, made[name])]
    hint = "meant? then: uv run python -m tests.report.golden, and commit what changed\n"
    assert not differences, hint + "\n".join(differences)


def test_another_number_is_seen(frozen: dict[str, ReportData], home: Path):
    """One session more in one tile is a difference in all four files."""
    data = frozen["clinic-north"]
    (tile, *others) = data.tiles
    assert tile.figure.denominator is not None
    figure = dataclasses.replace(tile.figure, denominator=tile.figure.denominator + 1)
    other = dataclasses.replace(data, tiles=(dataclasses.replace(tile, figure=figure), *others))
    made = golden.documents(other, home / "other")
    assert [name for name in FILES if _difference("clinic-north", name, made[name])] == list(FILES)


def _difference(edition: str, name: str, made: bytes) -> list[str]:
    file = golden.FOLDER / edition / name
    known = file.read_text().splitlines() if file.exists() else []
    told = f"{edition}/{name}"
    return [*difflib.unified_diff(known, made.decode().splitlines(), told, told, lineterm="", n=1)]
