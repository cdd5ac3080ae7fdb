"""A broker with our topics, and gateways."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from producers.publisher import create_topics
from tests.conftest import Broker
from tests.gateway.harness import GatewayProcess


@pytest.fixture(scope="module")
def bootstrap(broker: Broker) -> str:
    """The session's broker, with our topics."""
    create_topics(broker.bootstrap)
    return broker.bootstrap


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Callable[..., GatewayProcess]]:
    """Makes gateways ready to start, and ends what is left of them."""
    made: list[GatewayProcess] = []

    def make(
        name: str = "gateway", *, clinics: tuple[str, ...] = ("north",), **settings: Any
    ) -> GatewayProcess:
        gateway = GatewayProcess(tmp_path / name, settings, clinics)
        gateway.prepare()
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()
