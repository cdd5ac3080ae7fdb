"""Bounded runs told to a real Prefect server, which may be away, die, or remember runs of the dead."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.settings import PREFECT_API_URL
from prefect.states import Running
from prefect.testing.utilities import prefect_test_harness

from flows import bounded
from flows.stack import ports

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def prefect_url() -> Iterator[str]:
    """A Prefect server of this module's own."""
    with prefect_test_harness(server_startup_timeout=120):
        yield PREFECT_API_URL.value() or ""


@dataclass
class Counted:
    """Work that says how often it was done, and stops its loop after so many runs."""

    runs: int = 0
    stop_after: int = 3

    def __call__(self, stop: threading.Event, seconds: float) -> "Counted":
        self.runs += 1
        if self.runs >= self.stop_after:
            stop.set()
        return self

    def table(self) -> list[dict[str, Any]]:
        return [{"runs": self.runs}]


def told(name: str) -> list[str]:
    """The states of the flow's runs, as Prefect knows them."""
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=filters.FlowFilter(name=filters.FlowFilterName(any_=[name]))
        )
    return sorted(run.state_name or "" for run in found)


def test_a_run_becomes_a_finished_flow_run_with_an_artifact(prefect_url: str):
    """One run of the work is one completed flow run."""
    bounded.loop("counting", Counted(stop_after=1), threading.Event(), place="here", seconds=1,
                 prefect_api_url=prefect_url)  # fmt: skip
    assert told("counting") == ["Completed"]


def test_work_does_not_wait_for_a_server_that_is_away():
    """Without a server every run is done all the same."""
    work = Counted()
    nowhere = f"http://127.0.0.1:{ports.any_free()}/api"
    bounded.loop("alone", work, threading.Event(), place="here", seconds=1, prefect_api_url=nowhere)
    assert work.runs == 3


def test_an_error_of_the_work_ends_the_loop_and_fails_the_run(prefect_url: str):
    """What the work raises comes out of the loop, and Prefect knows."""

    def broken(stop: threading.Event, seconds: float) -> Counted:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        bounded.loop("failing", broken, threading.Event(), place="here", seconds=1,
                     prefect_api_url=prefect_url)  # fmt: skip
    assert told("failing") == ["Failed"]


def test_runs_of_a_process_that_died_here_are_closed(prefect_url: str):
    """A run that Prefect believes to be running at our own place was left behind; others' are not touched."""
    from prefect import flow

    @flow(name="haunted")
    def haunted() -> None: ...

    with get_client(sync_client=True) as client:
        for place in ("here", "elsewhere"):
            run = client.create_flow_run(haunted, tags=[place])
            client.set_flow_run_state(run.id, Running(), force=True)
    bounded.loop("haunted", Counted(stop_after=1), threading.Event(), place="here", seconds=1,
                 prefect_api_url=prefect_url)  # fmt: skip
    assert told("haunted") == ["Completed", "Crashed", "Running"]
