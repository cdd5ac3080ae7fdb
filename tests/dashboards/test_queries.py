"""The query layer: what a reader of some clinics reads is what a reader of all reads, less the others."""

import datetime as dt
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboards.app import DashboardSettings, create_app
from dashboards.queries import EVERY_CLINIC, Reader, Scope
from dashboards.views.overview import TILE_METRICS
from producers.contracts.errors import SettingsError
from tests.dashboards.conftest import AS_OF, CLINICS, Clock, Lake, login
from warehouse import store

pytestmark = pytest.mark.integration

WEEKS = ["network", *CLINICS]
SCOPES = [frozenset(some) for size in (0, 1, 2, 3) for some in combinations(CLINICS, size)]


@pytest.fixture
def reader(lake: Lake) -> Iterator[Reader]:
    reader = Reader(lake.location)
    yield reader
    reader.close()


@pytest.mark.parametrize("clinic_ids", SCOPES, ids=lambda some: "+".join(sorted(some)) or "none")
def test_scope_is_a_filter(reader: Reader, clinic_ids: frozenset[str]):
    """For every set of clinics: exactly their rows, no protocol, and the network only beside two others."""
    with reader.queries(EVERY_CLINIC) as queries:
        everything, all_clinics = queries.results(TILE_METRICS, WEEKS), queries.clinics()
    with reader.queries(Scope(clinic_ids)) as queries:
        seen, clinics, protocols = (
            queries.results(TILE_METRICS, WEEKS),
            queries.clinics(),
            queries.protocols(),
        )
    assert [row for row in seen if row["scope"] == "clinic"] == [
        row for row in everything if row["scope"] == "clinic" and row["scope_id"] in clinic_ids
    ]
    assert clinics == [row for row in all_clinics if row["clinic_id"] in clinic_ids]
    assert protocols == []
    assert {row["scope"] for row in seen} <= {"clinic", "network"}
    network = [row for row in seen if row["scope"] == "network"]
    if len(CLINICS) - len(clinic_ids) < 2:
        assert network == []
    else:
        assert len(network) > 20


def test_network_week_of_one_other_clinic_is_hidden(reader: Reader):
    """A week in which only one other clinic had sessions is left out of the network's weeks."""
    own = Scope(frozenset({"clinic-mill"}))
    with reader.queries(own) as queries:
        weeks = [
            row
            for row in queries.results(TILE_METRICS, WEEKS)
            if row["scope"] == "network" and row["period"] == "week"
        ]
    with reader.queries(EVERY_CLINIC) as queries:
        all_weeks = [
            row
            for row in queries.results(TILE_METRICS, WEEKS)
            if row["scope"] == "network" and row["period"] == "week"
        ]
    assert len(weeks) == len(all_weeks) - 1


def test_change_is_from_a_week_before(reader: Reader):
    """A year's result carries what was known about a week before; where nothing was, nothing."""
    with reader.queries(EVERY_CLINIC) as queries:
        year = {
            (row["metric_id"], row["scope"]): row
            for row in queries.results(TILE_METRICS, WEEKS)
            if row["period"] == "year"
        }
    assert year["adverse_event_incidence", "network"]["earlier_value"] == 2.5
    assert year["follow_up_coverage", "network"]["earlier_value"] is None


def test_rows_are_of_the_newest_snapshot(reader: Reader, lake: Lake):
    """Rows are kept only until the next commit of whichever process."""
    with reader.queries(EVERY_CLINIC) as queries:
        before = queries.freshness()["landed"]
    lake.insert("landing.batch", {"batch_id": "next", "landed": 5})
    with reader.queries(EVERY_CLINIC) as queries:
        assert queries.freshness()["landed"] == before + 5


def test_no_warehouse(tmp_path: Path):
    """Without a warehouse reading is refused, naming what to do."""
    with (
        pytest.raises(SettingsError, match="no warehouse"),
        Reader(store.Location.under(tmp_path)).queries(EVERY_CLINIC),
    ):
        pass


def test_our_own_fault_is_a_quiet_page(settings: DashboardSettings, clock: Clock, tmp_path: Path):
    """A warehouse that lacks a relation gives an error page that tells nothing, with every header."""
    location = store.Location.under(tmp_path / "broken")
    connection = store.connect(location)
    store.migrate(connection, location)
    with store.transaction(connection, location):
        connection.execute("DROP VIEW mart.protocol")
    broken = DashboardSettings(
        location, settings.accounts, settings.secret, settings.base_url, settings.archive
    )
    with TestClient(create_app(broken, clock), raise_server_exceptions=False) as client:
        login(client, "manager")
        answer = client.get("/")
    connection.close()
    assert answer.status_code == 500
    assert "protocol" not in answer.text.lower()
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_what_happened_at_a_clinic(reader: Reader):
    """A recalled lot and a protocol's new version stand among what a trend may have to do with; only the
    clinic's own, and for its readers only."""
    day = dt.timedelta(days=1)
    asked = {"clinic": "clinic-north", "start": AS_OF - 800 * day, "as_of": AS_OF + day}
    with reader.queries(EVERY_CLINIC) as queries:
        recalls = queries.read("recall", **asked)
        happened = queries.read("annotation", **asked)
    assert [(row["what"], row["subjects"]) for row in recalls] == [("lot-north", "pen-north")]
    assert "scar-deep" in {row["what"] for row in happened if row["kind"] == "protocol"}
    with reader.queries(Scope(frozenset({"clinic-mill"}))) as queries:
        assert queries.read("recall", **asked) == []
        assert queries.read("annotation", **asked) == []
