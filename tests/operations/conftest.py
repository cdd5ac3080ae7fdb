"""A warehouse of its own for every test that asks: a copy of one that was migrated once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.lake import Lake
from warehouse import catalog_file, store


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty, migrated warehouse."""
    home = tmp_path_factory.mktemp("migrated")
    Lake.under(home).connection.close()
    return home


@pytest.fixture
def lake(migrated: Path, tmp_path: Path) -> Iterator[Lake]:
    home = tmp_path / "home"
    shutil.copytree(migrated, home)
    location = store.Location.under(home)
    catalog_file.move_data(location.catalog_file, location.data_path)
    found = Lake(home, store.connect(location), location)
    yield found
    found.connection.close()
