"""Every type and version of the contracts goes from bytes to its raw table and comes back as it was said."""

import datetime as dt
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.contracts import EVENTS, TOPICS, Event, encode, partition_key
from producers.contracts.events import TelemetryFrame
from producers.contracts.examples import example
from tests.landing.test_land_batch import do_land
from tests.producers.strategies import NOW, good_event_of
from warehouse import store
from warehouse.log import Batch, Partition, Records, Slice, claim, progress

pytestmark = pytest.mark.integration

NUMBER = itertools.count()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[store.Connection, store.Location]]:
    """One warehouse, ready to land from one partition of each topic."""
    location = store.Location.under(tmp_path_factory.mktemp("lake"))
    connection = store.connect(location)
    store.migrate(connection, location)
    claim(connection, location, {Partition(topic, 0): (0, 0) for topic in TOPICS}, at=NOW)
    yield connection, location
    connection.close()


@pytest.mark.parametrize("topic", TOPICS)
@given(data=st.data())
@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_type_lands(lake, topic: str, data: st.DataObject):
    """Random good events of every type land in their tables; a column holds what was said, or null."""
    types = [type_ for type_, event_class in EVENTS.items() if event_class.topics[0].name == topic]
    drawn = [data.draw(good_event_of(type_)) for type_ in types for _ in range(2)]
    sent = [msgspec.structs.replace(event, id=f"e-{next(NUMBER)}", supersedes=None) for event in drawn]
    report = do_land(lake, batch(lake[0], topic, sent))
    assert (report.landed, report.quarantined) == (len(sent), 0)
    landed = {
        row["id"]: row
        for table in {EVENTS[type_].table for type_ in types}
        for row in store.rows(lake[0], f"SELECT * FROM raw.{table}")  # noqa: S608
    }
    for event in sent:
        row = landed[event.id]
        assert (row["source"], row["occurred_at"]) == (event.source, event.time)
        stated = {name: plain(getattr(event.data, name)) for name in event.data.__struct_fields__}
        if isinstance(event.data, TelemetryFrame):
            stated = {name: single(value) for name, value in stated.items()}
        assert {name: plain(row[name]) for name in stated} == stated
        assert all(row[name] is None for name in set(row) - set(stated) - ENVELOPE)


ENVELOPE = {
    "source", "id", "clinic_id", "occurred_at", "received_at", "landed_at", "batch_id", "content_hash",
    "supersedes",
}  # fmt: skip


def plain(value: Any) -> Any:
    """Instants in UTC, structures as dictionaries: what a row and an event can be compared by."""
    match value:
        case dt.datetime():
            return value.astimezone(dt.UTC)
        case list():
            return [plain(item) for item in value]
        case msgspec.Struct():
            return msgspec.structs.asdict(value)
    return value


def single(value: Any) -> Any:
    """Samples are kept in single precision."""
    match value:
        case float():
            return float(np.float32(value))
        case list():
            return [single(item) for item in value]
    return value


def batch(connection: store.Connection, topic: str, events: list[Event[Any]]) -> Batch:
    return as_sent(connection, topic, [(partition_key(e).encode(), encode(e), []) for e in events])


def as_sent(connection: store.Connection, topic: str, sent: list[tuple[bytes, bytes, list[Any]]]) -> Batch:
    """A batch of keys, values and headers, next in line."""
    partition = Partition(topic, 0)
    start = progress(connection)[partition]
    records = [
        SimpleNamespace(
            offset=start + n, timestamp=int(NOW.timestamp() * 1000), key=key, value=value, headers=headers
        )
        for n, (key, value, headers) in enumerate(sent)
    ]
    return Batch([Slice(partition, start, start + len(records), Records.of(records))])


@pytest.mark.parametrize("type_", ["device.calibrated.v1", "telemetry.frame.v1"])
def test_binary_mode_lands_as_the_same_event(lake, type_: str):
    """An event sent in both modes lands once; its second coming is a duplicate, not a conflict."""
    event = example(type_)
    document = json.loads(encode(event))
    data = json.dumps(document.pop("data")).encode()
    headers = [(f"ce_{name}", value.encode()) for name, value in document.items()]
    key = partition_key(event).encode()
    sent = as_sent(lake[0], "clinic.device-telemetry", [(key, data, headers), (key, encode(event), [])])
    report = do_land(lake, sent)
    assert (report.landed, report.duplicate, report.quarantined) == (1, 1, 0)


def test_every_column_has_its_meaning(lake):
    """Whoever opens the warehouse reads what each table's row is and what each column says."""
    connection, _ = lake
    for kind in ("tables", "columns"):
        silent = store.rows(
            connection,
            f"SELECT * FROM duckdb_{kind}() WHERE schema_name = 'raw' AND coalesce(comment, '') = ''"  # noqa: S608
            " AND database_name = 'dermastream'",
        )
        views = {"event_key"}
        assert [row for row in silent if row["table_name"] not in views] == []


def test_a_warehouse_of_the_first_version_keeps_its_rows(tmp_path: Path):
    """What landed before the newer versions of an event stays; what it could not say is null."""
    location = store.Location.under(tmp_path)
    connection = store.connect(location)
    first = Path(store.__file__).parent / "migrations" / "0001_raw_landing_metric_result.sql"
    with store.transaction(connection, location):
        connection.execute(first.read_text())
        connection.execute("INSERT INTO raw.telemetry_frame (id, sequence) VALUES ('old', 7)")
        connection.execute("CREATE SCHEMA meta")
        connection.execute(
            "CREATE TABLE meta.migration (name VARCHAR, digest VARCHAR, applied_at TIMESTAMPTZ)"
        )
        connection.execute("INSERT INTO meta.migration VALUES (?, '', now())", [first.name])
    assert first.name not in store.migrate(connection, location)
    assert connection.execute(
        "SELECT id, sequence, temperature_celsius FROM raw.telemetry_frame"
    ).fetchall() == [("old", 7, None)]
    assert connection.execute("SELECT count(*) FROM raw.event_key").fetchall() == [(1,)]
    connection.close()
