"""The simulator and the file publisher as processes of the service."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from producers.publisher import Publisher, publish_file

from flows.settings import Settings
from flows.worker import utc_now
from producers.contracts import SettingsError


def publish(settings: Settings, file: Path, *, partial: bool) -> dict[str, Any]:
    """Validate and send a file of events; see `producers.publisher.publish_file`."""
    with Publisher(_servers(settings), security=settings.kafka_security) as publisher:
        return asdict(publish_file(file, publisher, utc_now(), partial=partial))


def _servers(settings: Settings) -> str:
    if not settings.kafka_bootstrap_servers:
        raise SettingsError("no broker: start `dermastream up` or set KAFKA_BOOTSTRAP_SERVERS")
    return settings.kafka_bootstrap_servers
