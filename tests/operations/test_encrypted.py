"""A warehouse whose data files are encrypted: nothing to be read in them, and everything works as without."""

import datetime as dt
import importlib.resources
from pathlib import Path

import pytest

import warehouse
from flows.settings import Settings
from producers.contracts import SettingsError
from tests.landing.test_land_batch import TELEMETRY, calibrated, do_land, one
from tests.operations.lake import ANN, NOW, Lake
from warehouse import store
from warehouse.backup import at, backup, restore
from warehouse.log import claim
from warehouse.maintenance import Policy, maintain
from warehouse.privacy import Request, erase, keys_of
from warehouse.publish import publish
from warehouse.refresh import refresh
from warehouse.scan import scan
from warehouse.verify import verify

pytestmark = pytest.mark.integration


def made(home: Path, *, encrypted: bool) -> Lake:
    plain = store.Location.under(home)
    location = store.Location(plain.catalog, plain.data_path, encrypted)
    lake = Lake(home, store.connect(location), location)
    store.migrate(lake.connection, location)
    lake.land(0, 1, 2)
    return lake


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory):
    lake = made(tmp_path_factory.mktemp("vault"), encrypted=True)
    yield lake
    lake.connection.close()


def test_no_file_tells_who_is_in_it(vault: Lake, tmp_path: Path):
    """A search of the data folder finds the patient without encryption, and with it can open no file."""
    plain = made(tmp_path, encrypted=False)
    assert scan([Path(plain.location.data_path)], ANN).hits
    plain.connection.close()
    found = scan([Path(vault.location.data_path)], ANN)
    assert found.hits == []
    assert set(found.unreadable) == vault.files()
    assert all(Path(file).read_bytes()[:4] == b"PARE" for file in vault.files())


def test_it_is_read_refreshed_maintained_verified_and_published(vault: Lake, tmp_path: Path):
    """By whoever may read the catalog, also without naming the encryption; new files are encrypted, too."""
    refresh(vault.connection, vault.location, as_of=NOW, computed_at=NOW)
    now = dt.datetime.now(dt.UTC)
    policy = Policy(snapshots_for=dt.timedelta(0), files_for=dt.timedelta(0))
    assert maintain(vault.connection, vault.location, policy, pins=[], now=now).merged_files > 0
    assert verify(vault.connection, vault.location).findings == []
    analyst = warehouse.connect(vault.home)
    assert analyst.sql("SELECT count(*) FROM raw.session_completed").fetchall() == [(60,)]
    publish(analyst_of(vault), tmp_path / "published.duckdb", clinics=None)
    analyst.close()
    assert all(Path(file).read_bytes()[:4] == b"PARE" for file in vault.files())


def analyst_of(lake: Lake) -> store.Connection:
    return store.connect(lake.location, read_only=True)


def test_it_is_backed_up_restored_and_erased_with_proof(vault: Lake, tmp_path: Path):
    """The proof opens every file with its own key, in the backup, too: before the erasure it finds the
    patient, afterwards not."""
    backup(vault.connection, vault.location, tmp_path / "backup", now=NOW, actor="op")
    restored = restore(tmp_path / "backup", tmp_path / "home", now=NOW)
    with_keys = Lake.opened(tmp_path / "home")
    assert with_keys.count("raw.session_completed") == 60
    assert verify(with_keys.connection, with_keys.location).findings == []
    assert store.is_encrypted(with_keys.connection)
    with_keys.connection.close()
    assert restored.snapshot_id > 0

    before = scan([Path(vault.location.data_path)], ANN, keys=keys_of(vault.connection, vault.location))
    assert before.hits
    assert before.unreadable == []
    proof = erase(
        vault.connection, vault.location, Request(ANN, vault.key, NOW, "op"), also_scan=[vault.home]
    )
    assert (proof.scanned.hits, proof.scanned.unreadable, proof.complete) == ([], [], True)
    assert str(tmp_path / "backup") in proof.backups
    copy = store.connect(at(tmp_path / "backup"))
    left = copy.execute(
        "SELECT count(*), count(*) FILTER (patient_key = ?) FROM raw.session_completed", [ANN]
    )
    assert left.fetchall() == [(48, 0)]
    copy.close()


def test_a_file_that_no_key_opens_is_no_proof(vault: Lake, tmp_path: Path):
    """An encrypted file whose key is nowhere is named, and the erasure is not complete."""
    stray = tmp_path / "stray.parquet"
    stray.write_bytes(Path(min(vault.files())).read_bytes())
    request = Request("0" * 32, vault.key, NOW, "op")
    proof = erase(vault.connection, vault.location, request, also_scan=[tmp_path])
    assert proof.scanned.unreadable == [str(stray)]
    assert not proof.complete


def test_a_warehouse_without_stays_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The setting does not close a warehouse that was made open: one line says so, and nothing changes."""
    made(tmp_path, encrypted=False).connection.close()
    monkeypatch.setenv("DERMASTREAM_ENCRYPTED", "true")
    monkeypatch.setenv("DERMASTREAM_HOME", str(tmp_path))
    with pytest.raises(SettingsError, match="made without encryption and stays so"):
        store.connect(Settings.load().location)
    assert Lake.opened(tmp_path).count("raw.session_completed") == 60


def test_what_encrypts_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without DuckDB's httpfs nothing is made, and the line says what to install."""
    files = importlib.resources.files

    def without(package: str):
        if package.endswith("httpfs"):
            raise ModuleNotFoundError(package)
        return files(package)

    monkeypatch.setattr(importlib.resources, "files", without)
    plain = store.Location.under(tmp_path)
    with pytest.raises(SettingsError, match=r"httpfs: install dermastream\[scale-out\]"):
        store.connect(store.Location(plain.catalog, plain.data_path, encrypted=True))
    assert not plain.exists()


def test_a_batch_lands_exactly_once(tmp_path: Path):
    """Landing itself: in a warehouse with encryption a repeat in a later batch is a duplicate, too."""
    plain = store.Location.under(tmp_path)
    location = store.Location(plain.catalog, plain.data_path, encrypted=True)
    connection = store.connect(location)
    store.migrate(connection, location)
    claim(connection, location, {TELEMETRY: (0, 0)}, at=NOW)
    first = do_land((connection, location), one(calibrated("a"), calibrated("b")), "b1")
    again = do_land((connection, location), one(calibrated("a"), start=2), "b2")
    assert (first.landed, again.landed, again.duplicate) == (2, 0, 1)
    assert verify(connection, location).findings == []
    connection.close()
