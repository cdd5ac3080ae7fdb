"""A real warehouse for the report's tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dashboards.report import ReportData, freeze
from tests.report import world
from warehouse import store

Freeze = Callable[..., ReportData]


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[store.Connection, store.Location]]:
    """One DuckLake for all of the report's tests."""
    connection, location = world.fill(tmp_path_factory.mktemp("lake"))
    yield connection, location
    connection.close()


@pytest.fixture
def warehouse(
    lake: tuple[store.Connection, store.Location],
) -> Iterator[tuple[store.Connection, store.Location]]:
    """A DuckLake with the usual world; whatever results a test writes are undone after it."""
    before = store.snapshot_id(lake[0])
    yield lake
    if store.snapshot_id(lake[0]) != before:
        world.write(*lake, world.usual())


@pytest.fixture
def frozen(warehouse: tuple[store.Connection, store.Location]) -> Freeze:
    """Freeze an edition from the usual results, some of them replaced by the rows given."""
    connection, location = warehouse

    def freezing(*others: dict[str, Any], clinic: str | None = None) -> ReportData:
        if others:
            world.write(connection, location, world.replaced(world.usual(), *others))
        return freeze(connection, week=world.WEEK, clinic=clinic, computed_at=world.NOW)

    return freezing
