"""A migrated warehouse of its own for every test that asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.warehouse.facts import Warehouse
from warehouse import store


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    location = store.Location.under(tmp_path)
    connection = store.connect(location)
    store.migrate(connection, location)
    yield Warehouse(connection, location)
    connection.close()
