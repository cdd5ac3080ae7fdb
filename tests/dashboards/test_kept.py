"""What is kept between pages: until which change, for whom, how much of it, and asked for how often."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards import queries
from dashboards.queries import EVERY_CLINIC, FOLLOW_REFRESH, Kept, Queries, Reader, Scope
from tests.dashboards.conftest import AS_OF, BATCH, Lake
from tests.dashboards.world import rows as world_rows
from warehouse import store

pytestmark = pytest.mark.integration

SQL = Path(__file__).parents[2] / "warehouse" / "sql"
REGISTRIES = {
    "raw.clinic_registered", "raw.protocol_published", "raw.device_registered", "raw.device_calibrated",
    "raw.device_serviced", "raw.device_firmware_updated", "raw.event_voided",
}  # fmt: skip
"""Landed, but seldom: `dashboard/published` tells of them."""


@pytest.fixture
def reader(lake: Lake) -> Iterator[Reader]:
    reader = Reader(lake.location)
    yield reader
    reader.close()


def _tables(statement: str) -> set[str]:
    """The tables that a dashboard statement reads, through every view."""
    named, done = {statement}, set()
    read: set[str] = set()
    while named:
        file = SQL / f"{(part := named.pop()).replace('.', '/')}.sql"
        done.add(part)
        if part.startswith(("raw.", "landing.")) or not file.exists():
            read.add(part)
            continue
        code = re.sub(r"--.*|COMMENT ON.*", "", file.read_text())
        named |= set(re.findall(r"\b(?:raw|core|mart|landing)\.[a-z_]+\b", code)) - done
    return read


@pytest.mark.parametrize("file", sorted((SQL / "dashboard").glob("*.sql")), ids=lambda file: file.stem)
def test_kept_statements_read_only_what_is_followed(file: Path):
    """A statement whose rows are kept reads marts and registries; one that is asked anew reads more."""
    others = {
        table
        for table in _tables(f"dashboard.{file.stem}")
        if not table.startswith("mart.") and table not in REGISTRIES
    }
    assert (others == set()) == (file.stem in FOLLOW_REFRESH or file.stem in ("published", "ready"))


def test_registries_are_those_of_the_statement():
    """The registries that are followed are the ones that the statement leaves out of what landing writes."""
    named = re.findall(r"'([a-z_]+)'", (SQL / "dashboard" / "published.sql").read_text())
    assert {f"raw.{name}" for name in named} >= REGISTRIES


def test_landing_changes_nothing_that_is_kept(reader: Reader, lake: Lake):
    """Facts and books land every second: what rests on the marts is not read again, freshness is."""
    with reader.queries(EVERY_CLINIC) as before:
        kept, landed = before.read("signal"), before.freshness()["landed"]
    facts = dict(world_rows(AS_OF))["raw.session_completed"]
    lake.insert("raw.session_completed", facts[0] | {"id": "another", "session_id": "another"})
    lake.insert("landing.batch", BATCH | {"batch_id": "another", "landed": 7})
    with reader.queries(EVERY_CLINIC) as after:
        assert after.read("signal") is kept
        assert after.freshness()["landed"] == landed + 7


@pytest.mark.parametrize("relation", ["mart.signal_event", "raw.device_calibrated"])
def test_a_mart_or_a_registry_makes_it_read_again(reader: Reader, lake: Lake, relation: str):
    """What a refresh or a person writes is seen by the next page, and so is a new device or clinic."""
    with reader.queries(EVERY_CLINIC) as before:
        kept = before.read("signal")
    row = dict(world_rows(AS_OF))[relation][0]
    key = "signal_id" if relation.startswith("mart") else "id"
    lake.insert(relation, row | {key: f"new-{relation}"})
    with reader.queries(EVERY_CLINIC) as after:
        assert after.read("signal") is not kept
        assert len(after.read("signal")) == len(kept) + relation.startswith("mart")


def test_a_reader_of_an_older_snapshot_reads_its_own(reader: Reader, lake: Lake):
    """A page that began before a change goes on as it began, and what it reads is kept for nobody."""
    with reader.queries(EVERY_CLINIC) as old:
        lake.insert(
            "mart.signal_event", dict(world_rows(AS_OF))["mart.signal_event"][0] | {"signal_id": "late"}
        )
        with reader.queries(EVERY_CLINIC) as new:
            seen = {row["signal_id"] for row in new.read("signal")}
        later = Queries(old._session, EVERY_CLINIC, reader._memory, reader._turns)
        assert {row["signal_id"] for row in later.read("signal")} == seen - {"late"}
        assert "late" in seen
        assert later.read("signal") is not later.read("signal")


def test_expired_snapshots_are_taken_for_a_change(lake: Lake):
    """Where it cannot be told any more what changed, everything is read again."""
    snapshot = store.snapshot_id(lake.connection)
    for since, unknown in ((snapshot - 1, False), (-3, True)):
        bind = {"since": since, "snapshot": snapshot}
        (row,) = store.rows(lake.connection, store.statement("dashboard/published"), bind)
        assert row["unknown"] is unknown


def test_kept_for_a_scope_alone(reader: Reader):
    """The same question of two readers is two answers, each their own, in whatever order they ask."""
    asked = {"as_of": AS_OF}
    for _ in range(2):
        for scope in (EVERY_CLINIC, Scope(frozenset({"clinic-north"})), Scope(frozenset({"clinic-mill"}))):
            with reader.queries(scope) as found:
                clinics = {row["clinic_id"] for row in found.read("device", **asked)}
            assert clinics == (scope.clinic_ids or {"clinic-north", "clinic-harbour", "clinic-mill"})


def test_another_clinic_is_answered_from_what_was_asked_for_the_first(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
):
    """Figures, weeks, limits and devices are asked once for all clinics, and each gets its own."""
    asked: list[str] = []
    ask = Queries._ask
    monkeypatch.setattr(
        Queries, "_ask", lambda self, name, given: asked.append(name) or ask(self, name, given)
    )
    with reader.queries(EVERY_CLINIC) as found:
        for clinic_id in ("clinic-north", "clinic-mill"):
            rows = found.results(["adverse_event_incidence"], [clinic_id])
            assert {row["scope_id"] for row in rows if row["period"] == "week"} == {clinic_id}
            for name, given in (
                ("device", {"as_of": AS_OF}),
                ("week_limit", {"metric": "adverse_event_incidence"}),
            ):
                assert {row["clinic_id"] for row in found.of_clinic(name, clinic_id, **given)} == {clinic_id}
    assert sorted(asked) == ["device", "result", "week_limit"]


def test_fifty_readers_ask_once():
    """Whoever asks for what is being asked for waits for that answer."""
    kept, asked, begun = Kept(), [], threading.Barrier(50)
    found: list[int] = []

    def ask() -> list[queries.Row]:
        asked.append(1)
        answered.wait(5)
        return [{"value": 1}]

    def look() -> None:
        begun.wait(5)
        found.append(kept.get(1, "key", ask)[0]["value"])

    answered = threading.Event()
    threads = [threading.Thread(target=look) for _ in range(50)]
    for thread in threads:
        thread.start()
    answered.set()
    for thread in threads:
        thread.join(5)
    assert (len(asked), found) == (1, [1] * 50)


def test_an_error_is_not_kept():
    """What failed is asked for again."""
    kept = Kept()

    def fail() -> list[queries.Row]:
        raise ValueError("no memory")

    with pytest.raises(ValueError, match="no memory"):
        kept.get(1, "key", fail)
    assert kept.get(1, "key", lambda: [{"value": 2}]) == [{"value": 2}]


def test_kept_is_bounded(monkeypatch: pytest.MonkeyPatch):
    """Beyond so many values the answers used longest ago are forgotten, and a newer revision forgets all."""
    monkeypatch.setattr(queries, "MOST_CELLS", 50)
    kept, asked = Kept(), []

    def look(key: int, revision: int = 1) -> None:
        kept.get(revision, key, lambda: asked.append(key) or [{"a": 1, "b": 2}] * 10)

    for key in (1, 2, 1, 3, 1, 2):
        look(key)
    assert asked == [1, 2, 3, 2]
    look(2, revision=2)
    look(2, revision=1)
    assert asked == [1, 2, 3, 2, 2, 2]
