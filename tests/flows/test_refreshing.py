"""The loop that refreshes: what it does when a refresh is not published."""

import datetime as dt
import threading
from pathlib import Path

import pytest

from flows import refreshing
from flows.settings import Settings
from producers.contracts.errors import CheckFailed, WarehouseConflict
from warehouse import store

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("error", [CheckFailed("metric_grain: 1 rows break it"), WarehouseConflict("busy")])
def test_a_refresh_that_fails_a_check_does_not_end_the_loop(monkeypatch, tmp_path: Path, error: Exception):
    """The loop says so and looks again: the last good results stay, and what shares the process goes on."""
    settings = Settings(home=tmp_path, refresh_seconds=0.001)
    connection = store.connect(settings.location)
    store.migrate(connection, settings.location)
    stop = threading.Event()
    real, looks = refreshing.refresh_if_changed, []

    def failing_once(*given, **named):
        looks.append(given)
        if len(looks) == 1:
            raise error
        stop.set()
        return real(*given, **named)

    monkeypatch.setattr(refreshing, "refresh_if_changed", failing_once)
    clock = lambda: dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)  # noqa: E731
    done = refreshing.Refresher(settings, connection, clock).run(stop, 600)
    connection.close()
    assert (done.looked, done.recomputed) == (2, 1)
