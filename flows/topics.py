"""Waiting for the broker, and creating our topics there."""

import threading

import structlog

from flows.settings import Settings
from producers.contracts import BrokerUnavailable
from producers.publisher import create_topics

log = structlog.get_logger("topics")


def create_topics_when_up(settings: Settings, stop: threading.Event) -> None:
    """Create the topics as soon as the broker answers."""
    while not stop.is_set():
        try:
            create_topics(settings.kafka_bootstrap_servers or "", settings.kafka_security)
        except BrokerUnavailable as error:
            log.warning("waiting for the broker", reason=str(error))
            stop.wait(0.5)
        else:
            return
