"""What goes wrong before anything runs: one clear line with the name of the thing, exit code 2."""

import re
import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import dermastream

pytestmark = pytest.mark.integration


def refused(done, pattern: str) -> None:
    assert done.returncode == 2, done
    assert re.fullmatch(rf"dermastream: .*{pattern}.*\n", done.stderr), done.stderr


def test_a_wrong_setting_is_named(tmp_path: Path):
    """The variable and the rule."""
    refused(
        dermastream("status", home=tmp_path, DERMASTREAM_BATCH_MAX_EVENTS="lots"),
        "DERMASTREAM_BATCH_MAX_EVENTS: .*integer",
    )


def test_an_unknown_setting_is_named(tmp_path: Path):
    """A typing error must not leave a default in force."""
    refused(dermastream("status", home=tmp_path, DERMASTREAM_HOEM="x"), "DERMASTREAM_HOEM is not a setting")


def test_a_taken_port_is_named(tmp_path: Path):
    """The port, what it was for, and the variable to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(
            dermastream("demo", home=tmp_path, DERMASTREAM_DASHBOARD_PORT=str(port)),
            f"port {port} of the dashboard is taken: set DERMASTREAM_DASHBOARD_PORT",
        )


def test_a_broker_that_is_away_is_named(tmp_path: Path):
    """Its address."""
    file = tmp_path / "events.ndjson"
    file.write_text("")
    refused(
        dermastream("publish", str(file), home=tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1"),
        "127.0.0.1:1",
    )


def test_an_unreadable_file_is_named(tmp_path: Path):
    """The file."""
    refused(
        dermastream("publish", str(tmp_path / "none.ndjson"), home=tmp_path, KAFKA_BOOTSTRAP_SERVERS="x:1"),
        "none.ndjson",
    )


def test_an_unusable_home_is_named(tmp_path: Path):
    """A file where the folder should be."""
    file = tmp_path / "file"
    file.write_text("")
    refused(dermastream("demo", home=file), re.escape(str(file)))


def test_a_warehouse_that_does_not_exist_is_named(tmp_path: Path):
    """And what to do about it."""
    refused(dermastream("sql", "SELECT 1", home=tmp_path), "no warehouse at .*start `dermastream up`")


def test_a_full_disk_is_named(tmp_path: Path, small_disk: Path):
    """Too little space is said before anything starts."""
    refused(dermastream("demo", home=small_disk / "home"), "MB free in")
