"""supervisord as the stack runs it: whatever happens to it, none of its programs outlives the stack."""

import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.stack import supervisor
from flows.stack.supervisor import Program, Supervisor

pytestmark = pytest.mark.integration

SECONDS = 60


def wait_for(holds) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_programs_end_with_a_supervisord_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Frozen, it cannot stop what it started; it is killed, and its programs with it."""
    monkeypatch.setattr(supervisor, "PATIENCE_SECONDS", 0.5)
    program = Program("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], 1)
    running = Supervisor(tmp_path, [program], {})
    running.start()
    wait_for(lambda: running.states()["sleeper"] == "RUNNING")
    assert running._process is not None
    daemon = psutil.Process(running._process.pid)
    (sleeper,) = daemon.children()
    daemon.send_signal(signal.SIGSTOP)
    running.stop()
    assert not running.alive
    wait_for(lambda: not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE)
