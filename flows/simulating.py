"""The simulator and the file publisher as processes of the service."""

import contextlib
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from flows.clock import utc_now
from flows.settings import Settings
from flows.topics import create_topics_when_up
from producers import simulator
from producers.contracts import BrokerUnavailable, SettingsError
from producers.publisher import Publisher, publish_file
from producers.simulator import SimulatorOptions

log = structlog.get_logger("simulator")


def run(settings: Settings, options: Mapping[str, Any], *, out: Path | None, kafka: bool, live: bool) -> None:
    """Simulate into Kafka, a file or both, until SIGTERM or SIGINT; waits for a broker that is away.

    With `live` false it ends where the clock stands, or where the options say that history ends.
    Raises SettingsError for options that cannot be, before the broker is asked for.
    """
    chosen = SimulatorOptions(**options)
    simulator.settle(chosen, settings.home, utc_now())
    if not kafka and out is None:
        raise SettingsError("nowhere to write: name a file with --out")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(simulator.NdjsonFile(out)) if out is not None else None
        if file is not None and not kafka:
            simulator.run(chosen, file, home=settings.home, clock=utc_now, stop=stop, live=live)
            return
        _into_kafka(settings, chosen, file, stop, live=live)


def _into_kafka(
    settings: Settings,
    options: SimulatorOptions,
    file: simulator.NdjsonFile | None,
    stop: threading.Event,
    *,
    live: bool,
) -> None:
    servers = _servers(settings)
    create_topics_when_up(settings, stop)
    while not stop.is_set():
        try:
            with Publisher(servers, security=settings.kafka_security) as publisher:
                sink = publisher if file is None else simulator.Both(publisher, file)
                simulator.run(options, sink, home=settings.home, clock=utc_now, stop=stop, live=live)
                return
        except BrokerUnavailable as error:
            log.warning("broker away, trying again", reason=str(error))
            stop.wait(2)


def publish(settings: Settings, file: Path, *, partial: bool) -> dict[str, Any]:
    """Validate and send a file of events; see `producers.publisher.publish_file`."""
    if not os.access(file, os.R_OK) or file.is_dir():  # said before the broker is asked for
        raise SettingsError(f"cannot read the file {file}")
    with Publisher(_servers(settings), security=settings.kafka_security) as publisher:
        return asdict(publish_file(file, publisher, utc_now(), partial=partial))


def _servers(settings: Settings) -> str:
    if not settings.kafka_bootstrap_servers:
        raise SettingsError("no broker: start `dermastream up` or set KAFKA_BOOTSTRAP_SERVERS")
    return settings.kafka_bootstrap_servers
