"""Long-lived work as bounded runs, looped in one process, each told to Prefect as a flow run.

A flow run in a new process costs seconds of two cores, so work that never ends runs here: one run after
another. Prefect is told; it is not relied on. The work runs in the loop's own thread and begins at once;
a second thread tells Prefect, whenever its server answers, of a flow run that lasts as long as the work
does and leaves one artifact table. A server that is away, slow, or dies in the middle delays nothing.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

import structlog

log = structlog.get_logger("bounded")

LOOK_SECONDS = 5.0
"""How often a server that is away is looked for while the work goes on."""
TELL_SECONDS = 10.0
"""How long the end of a run may be waited for to be told."""


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
    place: str,
    seconds: float,
    prefect_api_url: str | None,
    first_seconds: float | None = None,
) -> None:
    """Run `work` again and again until stopped. What the work itself raises ends the loop.

    `place` names where this loop runs and no other like it: runs that Prefect still believes to be running
    there were left behind by a process that died, and are closed.
    """
    length = first_seconds or seconds
    telling: threading.Thread | None = None
    while not stop.is_set():
        outcome: Future[Outcome] = Future()
        if prefect_api_url and not (telling and telling.is_alive()):
            telling = threading.Thread(
                target=_tell, args=(name, place, outcome, prefect_api_url), name=f"tell {name}", daemon=True
            )
            telling.start()
        try:
            outcome.set_result(work(stop, length))
        except BaseException as error:
            outcome.set_exception(error)
            raise
        finally:
            if telling and (stop.is_set() or outcome.exception()):
                telling.join(TELL_SECONDS)
        length = seconds


def _tell(name: str, place: str, outcome: Future[Outcome], api_url: str) -> None:
    """Tell Prefect of this one run, as soon as its server answers and as long as the run lasts."""
    away = False
    while not _healthy(api_url):
        if not away:
            log.warning("Prefect is away, going on without it", flow=name)
            away = True
        if _over(outcome, LOOK_SECONDS):
            return
    try:
        _close_runs_left_behind(name, place)
        _as_flow_run(name, place, outcome)
    except Exception as error:
        if error is not _raised(outcome):
            log.warning("Prefect failed around a run, which went on", flow=name, error=type(error).__name__)


def _as_flow_run(name: str, place: str, outcome: Future[Outcome]) -> None:
    from prefect import flow, tags  # seconds of import, which the work does not wait for
    from prefect.artifacts import create_table_artifact

    @flow(name=name, persist_result=False, validate_parameters=False)
    def bounded() -> None:
        table = outcome.result().table()
        create_table_artifact(key=name, table=table, description=f"one run of {name}")

    with tags(place):
        bounded()


def _close_runs_left_behind(name: str, place: str) -> None:
    """A killed process cannot say so: its run would stay "Running" for ever."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    running = filters.FlowRunFilter(
        tags=filters.FlowRunFilterTags(all_=[place]),
        state=filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=[StateType.RUNNING])),
    )
    with get_client(sync_client=True) as client:
        of_this_flow = filters.FlowFilter(name=filters.FlowFilterName(any_=[name]))
        for run in client.read_flow_runs(flow_filter=of_this_flow, flow_run_filter=running):
            client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)


def _healthy(api_url: str) -> bool:
    import httpx  # a worker that starts again does not wait for it

    try:
        return httpx.get(f"{api_url}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _over(outcome: Future[Outcome], seconds: float) -> bool:
    """Wait that long; whether the run has ended by then."""
    try:
        outcome.exception(timeout=seconds)
    except TimeoutError:
        return False
    return True


def _raised(outcome: Future[Outcome]) -> BaseException | None:
    return outcome.exception() if outcome.done() else None
