"""How the stack ends, and begins again. Named to run last in this folder: it stops what the others use."""

import json
import signal

import psutil
import pytest

from tests.e2e.conftest import Demo, start

pytestmark = pytest.mark.e2e


def test_ctrl_c_leaves_nothing_and_a_new_start_continues(demo: Demo):
    """After Ctrl-C nothing is left; started again it goes on, and every event is accounted for."""
    simulated = "SELECT count(*) AS n FROM raw.event_key WHERE source NOT LIKE '/clinics/north%'"
    landed = demo.ask(simulated)[0]["n"]
    assert demo.processes()
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 0, demo.text
    left = [p for p in demo.processes() if p.status() != psutil.STATUS_ZOMBIE]
    assert left == []

    again = start(demo.home, "--for", "5s", "--check")
    assert again.process.wait(240) == 0, again.text
    summary = json.loads(again.text[again.text.index("{") :])
    assert summary["accounted"] is True
    assert summary["duplicates"] == 0
    assert summary["quarantined"] == summary["planted_bad"] > 0
    assert summary["landed"] == summary["produced"] >= landed
