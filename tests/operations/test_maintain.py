"""Maintenance: the same contents in fewer files, history as long as promised, and no file too many gone."""

import datetime as dt
import threading

import polars as pl
import pytest

from producers.contracts import CheckFailed, WarehouseConflict
from tests.operations.lake import NOW, Lake
from warehouse import store
from warehouse.maintenance import LiveFile, Policy, alone, live_files, maintain, refuse_live
from warehouse.retention import Retention
from warehouse.verify import checksums, verify

pytestmark = pytest.mark.integration

AT_ONCE = Policy(snapshots_for=dt.timedelta(0), files_for=dt.timedelta(0))


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def test_many_small_files_become_few_and_the_contents_stay(lake: Lake):
    """Thirty commits leave some hundred files; after maintenance each table is in one, equal in contents."""
    lake.land(*range(30))
    before, files = checksums(lake.connection), len(lake.files())

    done = maintain(lake.connection, lake.location, AT_ONCE, pins=[], now=now())

    assert checksums(lake.connection) == before
    assert done.merged_files >= 90
    assert len(lake.files()) < 20 < files
    assert verify(lake.connection, lake.location).findings == []


def test_a_merged_file_is_sorted_so_that_one_device_reads_little(lake: Lake):
    """Within a file of telemetry, rows stand by clinic, device and time, whatever order they landed in."""
    lake.land(*range(5))
    maintain(lake.connection, lake.location, AT_ONCE, pins=[], now=now())
    (file,) = (
        f.path for f in live_files(lake.connection, lake.location) if f.relation == "raw.telemetry_frame"
    )
    there = pl.read_parquet(file, columns=["clinic_id", "device_id", "occurred_at"])
    assert there.equals(there.sort("clinic_id", "device_id", "occurred_at"))


def test_pinned_and_young_snapshots_stay_others_go(lake: Lake):
    """A report's snapshot can still be read as it was; the one next to it cannot."""
    lake.land(0, 1, 2)
    pinned = store.snapshot_id(lake.connection)
    lake.land(3, 4, 5)
    done = maintain(lake.connection, lake.location, AT_ONCE, pins=[pinned], now=now())
    assert lake.count(f"raw.session_completed AT (VERSION => {pinned})") == 60
    with pytest.raises(store.Error):
        lake.count(f"raw.session_completed AT (VERSION => {pinned + 1})")
    assert done.expired_snapshots >= 5

    lake.land(6)
    keep = Policy(snapshots_for=dt.timedelta(days=1), files_for=dt.timedelta(0))
    assert maintain(lake.connection, lake.location, keep, pins=[], now=now()).expired_snapshots == 0


def test_files_stay_for_readers_until_their_time_is_over(lake: Lake):
    """With the default grace of a day nothing is removed at once; with none, what merging replaced goes."""
    lake.land(*range(4))
    stray = f"{lake.location.data_path}raw/session_completed/left-by-a-dead-writer.parquet"
    with open(stray, "wb") as file:
        file.write(b"PAR1")
    patient = Policy(snapshots_for=dt.timedelta(0))
    first = maintain(lake.connection, lake.location, patient, pins=[], now=now())
    assert (first.removed_files, first.removed_orphans) == (0, 0)
    second = maintain(lake.connection, lake.location, AT_ONCE, pins=[], now=now())
    assert second.removed_files > 0
    assert second.removed_orphans == 1
    live = {file.path for file in live_files(lake.connection, lake.location)}
    assert lake.files() == live


def test_a_file_that_is_needed_is_never_removed():
    """Should DuckLake ever list a live file for removal, maintenance stops and names the relation."""
    live = [LiveFile("/data/a.parquet", "raw.session_completed", "data", 10, 1)]
    refuse_live(["/data/b.parquet"], live)
    with pytest.raises(CheckFailed, match=r"raw\.session_completed: /data/a\.parquet"):
        refuse_live(["/data/b.parquet", "/data/a.parquet"], live)


def test_maintenance_and_landing_do_not_disturb_each_other(lake: Lake):
    """While one thread lands, another maintains again and again; nothing is lost, nothing doubled."""
    landing = store.cursor(lake.connection)
    writer = Lake(lake.home, landing, lake.location)
    writer.land(0)
    thread = threading.Thread(target=lambda: writer.land(*range(1, 40)))
    thread.start()
    runs = 0
    while thread.is_alive() or runs == 0:
        maintain(lake.connection, lake.location, AT_ONCE, pins=[], now=now())
        runs += 1
    thread.join()
    assert lake.count("raw.session_completed") == 40 * 20
    assert verify(lake.connection, lake.location).findings == []


def test_two_maintenances_exclude_each_other(lake: Lake):
    """The second says that one is under way; it waits for nobody and breaks nothing."""
    with alone(lake.location), pytest.raises(WarehouseConflict, match="under way"):
        maintain(lake.connection, lake.location, AT_ONCE, pins=[], now=now())


SUMMARY = "SELECT * FROM core.telemetry_summary ORDER BY ALL"


def test_old_frames_roll_up_and_go_and_no_summary_changes(lake: Lake):
    """Retention of 20 days: frames before are gone, each session's summary is what it was."""
    lake.land(0, 1, 2)
    lake.land(3, 4, at=NOW - dt.timedelta(days=25))
    lake.connection.execute(
        "INSERT INTO raw.event_voided BY NAME SELECT '/clinics/north' AS source, 'v' AS id, 'f3-7' AS voided_id"  # noqa: E501
    )
    before = lake.connection.execute(SUMMARY).pl()

    policy = Policy(retention=Retention(telemetry_days=20))
    done = maintain(lake.connection, lake.location, policy, pins=[], now=NOW)

    assert done.aged == {"raw.telemetry_frame": 40}
    assert lake.count("raw.telemetry_frame") == 60
    assert before.height == 99
    after = lake.connection.execute(SUMMARY).pl()
    assert after.equals(before)
    assert verify(lake.connection, lake.location).findings == []
    assert lake.count("landing.horizon", "relation = 'raw.telemetry_frame'") == 1
    assert maintain(lake.connection, lake.location, policy, pins=[], now=NOW).aged == {}


def test_each_class_of_record_has_its_own_time(lake: Lake):
    """Quarantined bytes and clinical records go after their own days; what is not set stays for ever."""
    lake.land(0)
    lake.land(1, at=NOW - dt.timedelta(days=100))
    policy = Policy(retention=Retention(quarantine_days=90, clinical_days=50))
    done = maintain(lake.connection, lake.location, policy, pins=[], now=NOW)
    assert done.aged == {"landing.quarantine": 1, "raw.session_completed": 20}
    assert lake.count("raw.telemetry_frame") == 40
    assert verify(lake.connection, lake.location).findings == []
