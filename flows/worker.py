"""The worker process: landing, refreshing and maintenance as looped flow runs; and the report deployment.

One process, because on a SQLite catalog all writers share a turn, and because a flow run in a process of its
own costs seconds. Scaled out, `dermastream land` and `dermastream refresh` are processes of their own.
"""

import contextlib
import importlib
import signal
import socket
import threading

import structlog

from flows import bounded
from flows.clock import utc_now
from flows.retrying import retrying
from flows.settings import Settings
from flows.topics import create_topics_when_up
from warehouse import store

log = structlog.get_logger("worker")

LANDING_MEMORY, REFRESH_MEMORY = "512MB", "1GB"
"""What DuckDB may take; more buys landing no speed."""

FIRST_RUN_SECONDS = 20.0
"""The first runs are short, so that a newcomer sees finished runs in Prefect soon."""


def work(settings: Settings, *, land: bool = True, refresh: bool = True, reports: bool = True) -> None:
    """Run the chosen loops until SIGTERM or SIGINT. What ends one loop by an error ends all."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    limit = LANDING_MEMORY if land and not refresh else REFRESH_MEMORY
    if land:  # two seconds of compiled code, which need not wait for the warehouse
        threading.Thread(target=importlib.import_module, args=("flows.landing",), daemon=True).start()
    # scaled out, others may start just now, too
    connection = retrying()(store.connect, settings.location, memory_limit=limit)
    retrying()(store.migrate, connection, settings.location)
    with connection, store.kept_open(connection, settings.location):
        _work(settings, connection, stop, land=land, refresh=refresh, reports=reports)


def _work(
    settings: Settings,
    connection: store.Connection,
    stop: threading.Event,
    *,
    land: bool,
    refresh: bool,
    reports: bool,
) -> None:
    failures: list[BaseException] = []
    threads = []
    if land:
        create_topics_when_up(settings, stop)
        from flows.landing import Lander

        lander = Lander(settings, store.cursor(connection), utc_now)
        if settings.metrics_port:
            lander.meter.serve(settings.metrics_host, settings.metrics_port)
        threads.append(_thread("landing", lambda s, t: lander.run(s, seconds=t), settings, stop, failures))
    if refresh:  # imported late: landing, which is already at work, does not wait for it
        from flows.maintaining import Maintainer
        from flows.refreshing import Refresher

        refresher = Refresher(settings, store.cursor(connection), utc_now)
        threads.append(_thread("refresh", refresher.run, settings, stop, failures))
        maintainer = Maintainer(settings, store.cursor(connection), utc_now)
        threads.append(_thread("maintenance", maintainer.run, settings, stop, failures))
    if reports:
        if settings.delivers:
            from flows.delivery.delivering import Deliverer

            deliverer = Deliverer(settings, store.cursor(connection), utc_now)
            threads.append(_thread("delivery", deliverer.run, settings, stop, failures))
        _serve_reports(settings, stop)
    stop.wait()
    for thread in threads:
        thread.join(timeout=10)
    if land:
        lander.close()
    if failures:
        raise failures[0]


def _thread(
    name: str,
    work_: bounded.Work,
    settings: Settings,
    stop: threading.Event,
    failures: list[BaseException],
) -> threading.Thread:
    def run() -> None:
        try:
            bounded.loop(
                name,
                work_,
                stop,
                place=f"{socket.gethostname()} {settings.landing_share}",
                seconds=settings.run_seconds,
                prefect_api_url=settings.prefect_api_url,
                first_seconds=FIRST_RUN_SECONDS,
            )
        except BaseException as error:
            failures.append(error)
            stop.set()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def _serve_reports(settings: Settings, stop: threading.Event) -> None:
    """Serve the weekly report's deployment in the background; try again until Prefect answers."""

    def serve() -> None:
        import asyncio

        while not stop.is_set():
            try:
                asyncio.run(_run_until(stop, settings))
            except Exception as error:
                log.warning("cannot serve the report deployment yet", error=type(error).__name__)
                stop.wait(5)

    threading.Thread(target=serve, name="reports", daemon=True).start()


async def _run_until(stop: threading.Event, settings: Settings) -> None:
    import asyncio

    from prefect.runner import Runner

    from flows.delivery.reporting import zones
    from flows.weekly_report import deployment

    with contextlib.closing(store.connect(settings.location, read_only=True)) as connection:
        known = {zone for _, zone in zones(connection)}
    runner = Runner(name="dermastream", limit=1, pause_on_shutdown=False)
    await runner.aadd_deployment(deployment(settings, known))
    running = asyncio.create_task(runner.start())
    while not stop.is_set() and not running.done():
        await asyncio.sleep(0.25)
    await runner.astop()
    await running
