"""The worked notebooks, run from their first cell to their last on the demo's data."""

import runpy
from pathlib import Path

import polars as pl
import pytest

from tests.e2e.conftest import Demo

pytestmark = pytest.mark.e2e

NOTEBOOKS = sorted((Path(__file__).parents[2] / "warehouse" / "notebooks").glob("*.py"))


def test_there_are_five():
    """The search found them."""
    assert len(NOTEBOOKS) == 5


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_answers(demo: Demo, monkeypatch: pytest.MonkeyPatch, file: Path):
    """No cell fails, and every frame that it shows has rows."""
    monkeypatch.setenv("DERMASTREAM_HOME", str(demo.home))
    left = runpy.run_path(str(file))
    heights = {name: frame.height for name, frame in left.items() if isinstance(frame, pl.DataFrame)}
    left["db"].close()
    assert len(heights) >= 3
    assert all(heights.values()), heights
