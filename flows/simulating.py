"""The simulator and the file publisher as processes of the service."""

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


def run(settings: Settings, options: Mapping[str, Any]) -> None:
    """Simulate into Kafka until SIGTERM or SIGINT; waits for the broker, also when it goes away.

    Raises SettingsError for options that cannot be, before the broker is asked for.
    """
    simulator.settle(SimulatorOptions(**options), settings.home, utc_now())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    servers = _servers(settings)
    create_topics_when_up(settings, stop)
    while not stop.is_set():
        try:
            with Publisher(servers, security=settings.kafka_security) as publisher:
                simulator.run(
                    SimulatorOptions(**options), publisher, home=settings.home, clock=utc_now, stop=stop
                )
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
