"""The short form of tests.benchmarks.warehouse_scale: that it asks and answers everything it reports on."""

from pathlib import Path

import pytest

from tests.benchmarks.warehouse_scale import measure

pytestmark = pytest.mark.integration


def test_a_small_network_is_filled_refreshed_asked_and_maintained(tmp_path: Path):
    """Every step runs on a few sessions; the day that is added changes marts, and questions have answers."""
    done = measure(tmp_path, clinics=3, sessions=3_000, frames=6_000, commits=3, memory="1GB")
    assert done["sessions"] >= 2_900
    assert done["frames"] >= 5_000
    assert 0 < done["marts_one_day"]["patients"] < done["marts_full_rebuild"]["patients"]
    assert set(done["questions"]) == set(done["questions_after_maintenance"])
    assert done["questions"]["full_scan"]["rows_per_second"] > 0
