"""Publishers of several versions at once, unknown versions, and a migration that is killed: matrix row 12."""

from typing import Any

import msgspec
import pytest

from producers.contracts import Event, encode, partition_key
from producers.contracts.events import TelemetryFrameV2
from tests.faults.harness import TELEMETRY, World, event

pytestmark = pytest.mark.integration


def newer(number: int) -> Event[Any]:
    """The same frame as a publisher of version 2 states it."""
    old = event(number)
    data = TelemetryFrameV2(**msgspec.structs.asdict(old.data))
    return msgspec.structs.replace(old, type="telemetry.frame.v2", data=data)


def test_old_new_and_unknown_versions_side_by_side(world: World):
    """Old and new land; a version, a field or a value that nobody knows yet waits in quarantine, whole."""
    with world.publisher() as publisher:
        for number in range(1, 201):
            one = newer(number) if number % 2 and number % 5 else event(number)
            publisher.publish(one)
            if number % 50 == 0:
                key, text = partition_key(one).encode(), encode(one).replace(b'"id":"e-', b'"id":"f-')
                for old, new in ((b".v1", b".v7"), (b'"data":{', b'"data":{"from_the_future":1,')):
                    publisher.send(TELEMETRY, key=key, value=text.replace(old, new, 1))
    world.drain()
    assert world.violations(duplicates=0) == []
    rules = world.connection.execute("SELECT rule, count(*) FROM landing.quarantine GROUP BY 1 ORDER BY 1")
    assert rules.fetchall() == [("field.unknown", 4), ("type.unknown", 4)]
