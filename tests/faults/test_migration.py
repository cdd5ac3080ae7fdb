"""Killed while tables are made or altered: matrix row 12's second half."""

from pathlib import Path

import pytest

from tests.faults.harness import World
from tests.faults.worker import start
from warehouse import store
from warehouse.verify import verify

pytestmark = pytest.mark.integration


def migrate(location: store.Location) -> None:
    with store.connect(location) as connection:
        store.migrate(connection, location)


def test_killed_while_migrating(world: World, tmp_path: Path):
    """A migration is whole or not there: after kills at random moments the next one completes it."""
    location = store.Location.under(tmp_path / "killed")
    for _ in range(5):
        process = start(migrate, location)
        process.join(world.rng.uniform(0, 1.5))
        process.kill()
        process.join()
    migrate(location)
    with store.connect(location) as connection:
        assert store.migrate(connection, location) == []
        assert verify(connection, location).findings == []
        assert shape(connection) == shape(world.connection)


def shape(connection: store.Connection) -> list[tuple[object, ...]]:
    """Every column of every relation."""
    query = (
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns ORDER BY ALL"
    )
    return connection.execute(query).fetchall()
