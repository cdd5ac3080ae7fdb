"""Long-lived work as bounded Prefect flow runs, looped in one process.

A flow run in a new process costs seconds of two cores, so work that never ends runs here: one run after
another, each leaving one artifact table. Prefect is told; it is not relied on: when its server is away, or
dies in the middle, the work goes on as a plain call and says so.
"""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import httpx
import structlog
from prefect import flow
from prefect.artifacts import create_table_artifact

log = structlog.get_logger("bounded")

RECHECK_SECONDS = 30.0
"""Length of a run without Prefect, after which its server is looked for again."""


class Outcome(Protocol):
    """What a bounded run gives."""

    def table(self) -> list[dict[str, Any]]: ...


Work = Callable[[threading.Event, float], Outcome]
"""Does its work until stopped or for so many seconds, whichever is sooner."""


def loop(
    name: str,
    work: Work,
    stop: threading.Event,
    *,
    seconds: float,
    prefect_api_url: str | None,
    first_seconds: float | None = None,
) -> None:
    """Run `work` again and again until stopped. What the work itself raises ends the loop."""
    length = first_seconds or seconds
    while not stop.is_set():
        if prefect_api_url and _healthy(prefect_api_url):
            _as_flow_run(name, work, stop, length)
        else:
            log.warning("Prefect is away, going on without it", flow=name)
            work(stop, min(RECHECK_SECONDS, length))
        length = seconds


def _as_flow_run(name: str, work: Work, stop: threading.Event, seconds: float) -> None:
    begun = threading.Event()
    raised: list[BaseException] = []

    @flow(name=name, persist_result=False, validate_parameters=False)
    def bounded() -> None:
        begun.set()
        try:
            outcome = work(stop, seconds)
        except BaseException as error:
            raised.append(error)
            raise
        create_table_artifact(key=name, table=outcome.table(), description=f"one run of {name}")

    try:
        bounded()
    except Exception as error:
        if raised:
            raise raised[0] from None
        log.warning("Prefect failed around a run, going on", flow=name, error=type(error).__name__)
        if not begun.is_set():
            work(stop, min(RECHECK_SECONDS, seconds))


def _healthy(api_url: str) -> bool:
    try:
        return httpx.get(f"{api_url}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
