"""Marts kept by what changed equal those computed from everything, whatever happened in between."""

import datetime as dt
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from producers.contracts.errors import WarehouseConflict
from tests.warehouse.facts import Warehouse
from warehouse import kept, store
from warehouse.metrics import courses
from warehouse.refresh import refresh

pytestmark = pytest.mark.integration

DAY = dt.timedelta(days=1)
BEGIN = dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC)
AS_OF = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)

_patient = st.sampled_from(["p1", "p2", "p3"])
_session = st.sampled_from(["s1", "s2", "s3", "s4"])
_clinic = st.sampled_from(["a", "b"])
_moment = st.integers(0, 200).map(lambda days: BEGIN + days * DAY)
_earlier = st.one_of(st.none(), st.integers(0, 30))
"""What an event supersedes: nothing, or the event of that number of the same source, which may not have come
yet, or ever."""

_FACTS: dict[str, dict[str, st.SearchStrategy]] = {
    "session_completed": {
        "session_id": _session,
        "patient_key": _patient,
        "device_id": st.sampled_from(["d1", "d2"]),
        "protocol_id": st.sampled_from(["scar", "line"]),
        "phase": st.sampled_from(["series", "maintenance"]),
        "indication": st.sampled_from(["scars", "lines"]),
        "session_number": st.integers(1, 4),
        "completed_at": _moment,
    },
    "follow_up_completed": {
        "follow_up_id": st.sampled_from(["f1", "f2"]),
        "session_id": _session,
        "patient_key": _patient,
    },
    "adverse_event_reported": {
        "adverse_event_id": st.sampled_from(["a1", "a2"]),
        "session_id": _session,
        "patient_key": _patient,
        "grade": st.integers(1, 2),
        "onset_at": _moment,
    },
    "adverse_event_updated": {
        "adverse_event_id": st.sampled_from(["a1", "a2"]),
        "session_id": _session,
        "patient_key": _patient,
        "term": st.sampled_from(["erythema", "infection"]),
        "grade": st.integers(1, 2),
        "serious": st.booleans(),
        "onset_at": _moment,
    },
    "expected_reaction_observed": {
        "reaction_id": st.sampled_from(["a1", "r1"]),
        "session_id": _session,
        "patient_key": _patient,
        "sign": st.sampled_from(["erythema", "infection"]),
        "onset_at": _moment,
        "resolved_at": _moment,
    },
    "adverse_event_resolved": {"adverse_event_id": st.sampled_from(["a1", "a2"]), "resolved_at": _moment},
    "assessment_recorded": {
        "assessment_id": st.sampled_from(["g1", "g2"]),
        "patient_key": _patient,
        "score": st.integers(1, 5).map(float),
    },
    "device_registered": {
        "device_id": st.sampled_from(["d1", "d2"]),
        "firmware": st.sampled_from(["1", "2"]),
    },
    "protocol_published": {
        "protocol_id": st.sampled_from(["scar", "line"]),
        "sessions_planned": st.integers(1, 3),
    },
    "event_voided": {"voided": st.integers(0, 30)},
}


@st.composite
def _event(draw: st.DrawFn) -> tuple[str, dict]:
    """One statement of any kind, at any time, by a clinic that may be wrong about everything."""
    name = draw(st.sampled_from([*_FACTS, "session_completed", "session_completed", "event_voided"]))
    fact = {column: draw(values) for column, values in _FACTS[name].items()}
    return name, fact | {
        "clinic_id": draw(_clinic),
        "occurred_at": draw(_moment),
        "supersedes": draw(_earlier),
    }


_steps = st.lists(st.lists(_event(), min_size=1, max_size=8), min_size=2, max_size=4)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """One warehouse for all examples, each of which has clinics of its own in it."""
    location = store.Location.under(tmp_path_factory.mktemp("kept"))
    connection = store.connect(location)
    store.migrate(connection, location)
    return Warehouse(connection, location)


_examples = itertools.count()


def put(world: Warehouse, steps: list[list[tuple[str, dict]]], *, removed: bool = False) -> int:
    """Land each step and bring the marts up to date after it; gives the patients that were looked at."""
    number, events, looked = next(_examples), itertools.count(), 0
    for step in steps:
        rows: dict[str, list[dict]] = {}
        for name, fact in step:
            named = {"clinic_id": f"{fact['clinic_id']}{number}", "id": f"e{next(events)}"}
            for column, target in (("supersedes", "supersedes"), ("voided", "voided_id")):
                if column in fact:
                    named[target] = None if fact[column] is None else f"e{fact[column]}"
            rows.setdefault(name, []).append({k: v for k, v in fact.items() if k != "voided"} | named)
        for name, facts in rows.items():
            world.put(name, pl.DataFrame(facts, schema_overrides={"supersedes": pl.String}))
        looked += keep(world)
    if removed:
        with store.transaction(world.connection, world.location):
            world.connection.execute("DELETE FROM raw.session_completed WHERE hash(id) % 3 = 0")
        looked += keep(world)
    return looked


def keep(world: Warehouse, *, rebuild: bool = False) -> int:
    with kept.update(world.connection, rebuild=rebuild) as found:
        pass
    with store.transaction(world.connection, world.location):
        kept.save(world.connection, found)
    kept.forget(world.connection)
    return found.patients


def assert_as_computed_from_everything(world: Warehouse) -> None:
    """Row by row against the views of core over all facts, and against courses rebuilt from all sessions."""
    for name in ("session_outcome", "session_sign", "patient_assessment"):
        assert_same(world.read(f"FROM mart.{name}"), world.read(f"FROM core.{name}"), name)
    visits = world.read("FROM core.session_outcome").with_columns(pl.col("indication").fill_null("unknown"))
    rebuilt = courses.rebuild_courses(visits)
    assert_same(world.read("FROM mart.patient_window"), courses.windows(rebuilt), "windows")
    assert_same(world.read("FROM mart.patient_course"), courses.course_facts(rebuilt), "courses")


def assert_same(found: pl.DataFrame, expected: pl.DataFrame, name: str) -> None:
    key = [column for column in expected.columns if column != "events_from"]
    assert found.sort(key).equals(expected.sort(key)), name


_settings = settings(
    max_examples=6,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_settings
@given(steps=_steps, removed=st.booleans())
def test_kept_marts_equal_a_full_rebuild(world, steps, removed):
    """Random statements, restatements, corrections of corrections, voids of voids, late ones, registrations
    and removals, in random batches: after each the marts are what all facts say."""
    note(f"{sum(map(len, steps))} events in {len(steps)} steps")
    put(world, steps, removed=removed)
    assert_as_computed_from_everything(world)


def session(patient: str, **more: object) -> tuple[str, dict]:
    fact = {
        "clinic_id": "a", "session_id": "s1", "patient_key": patient, "device_id": "d1",
        "protocol_id": "scar", "completed_at": BEGIN, "occurred_at": BEGIN, "supersedes": None,
    }  # fmt: skip
    return "session_completed", fact | more


def sign(name: str, session_id: str, **more: object) -> dict:
    return {
        "clinic_id": "a", "adverse_event_id": name, "session_id": session_id, "patient_key": "p1", "grade": 2,
        "term": "infection", "serious": False, "onset_at": BEGIN, "occurred_at": BEGIN, "supersedes": None,
    } | more  # fmt: skip


CASES = {
    "a session was another patient's": [[session("p1")], [session("p2", supersedes=0, session_id="s2")]],
    "a restatement without a correction": [[session("p1")], [session("p2", occurred_at=BEGIN + DAY)]],
    "a withdrawn correction": [
        [session("p1"), session("p2", supersedes=0, session_id="s2")],
        [("event_voided", {"clinic_id": "a", "occurred_at": BEGIN, "supersedes": None, "voided": 1})],
    ],
    "a follow-up of another session": [
        [
            session("p1"),
            session("p2", session_id="s2"),
            (
                "follow_up_completed",
                {"clinic_id": "a", "follow_up_id": "f", "session_id": "s1", "patient_key": "p1",
                 "occurred_at": BEGIN + DAY, "supersedes": None},
            ),
        ],
        [
            (
                "follow_up_completed",
                {"clinic_id": "a", "follow_up_id": "f", "session_id": "s2", "patient_key": "p2",
                 "occurred_at": BEGIN + 2 * DAY, "supersedes": None},
            )
        ],
    ],
    "an update by another session, itself replaced": [
        [
            session("p1"),
            session("p2", session_id="s2"),
            ("adverse_event_reported", sign("a", "s1")),
            ("adverse_event_updated", sign("a", "s2", occurred_at=BEGIN + DAY)),
            ("adverse_event_reported", sign("b", "s2", supersedes=3)),
        ],
        [
            (
                "follow_up_completed",
                {"clinic_id": "a", "follow_up_id": "f", "session_id": "s1", "patient_key": "p1",
                 "occurred_at": BEGIN + DAY, "supersedes": None},
            )
        ],
    ],
    "a device registered late": [
        [session("p1")],
        [
            (
                "device_registered",
                {"clinic_id": "a", "device_id": "d1", "firmware": "9",
                 "occurred_at": BEGIN - DAY, "supersedes": None},
            )
        ],
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_a_change_reaches(world, name):
    """Corrections, restatements and registrations change rows of patients whom the event does not name."""
    put(world, CASES[name])
    assert_as_computed_from_everything(world)


@pytest.mark.parametrize(
    "name", ["a session was another patient's", "a withdrawn correction", "a follow-up of another session"]
)
def test_a_mutant_that_follows_no_names_is_found(world, name, monkeypatch):
    """If only the new facts' own patients were recomputed, the patient who lost a session would keep it."""
    real = store.statement

    def naive(asked: str) -> str:
        text = real(asked)
        return text + " LIMIT 0" if asked == "kept/wanted" else text

    keep(world)
    monkeypatch.setattr(store, "statement", naive)
    put(world, CASES[name])
    monkeypatch.undo()
    with pytest.raises(AssertionError):
        assert_as_computed_from_everything(world)
    keep(world, rebuild=True)
    assert_as_computed_from_everything(world)


def test_only_the_changed_patients_are_looked_at(world):
    """One patient's new session costs one patient; nothing new costs none, and writes no file of a mart."""
    keep(world)
    before = world.read("FROM mart.session_outcome").height
    assert put(world, [[session("p1")]]) == 1
    assert keep(world) == 0
    assert world.read("FROM mart.session_outcome").height == before + 1


def test_a_cut_change_feed_and_new_definitions_mean_a_rebuild(world):
    """Where snapshots since the marts' have expired, or a view's text is another, every patient counts."""
    patients = keep(world, rebuild=True)
    assert patients > 0
    put(world, [[session("p1")]])
    world.put("clinic_registered", "display_name\nx")
    world.put("clinic_registered", "display_name\ny")
    newest = store.snapshot_id(world.connection)
    world.connection.execute("CALL ducklake_expire_snapshots('dermastream', versions => ?)", [[newest - 1]])
    assert keep(world) == patients + 1
    assert keep(world) == 0
    with store.transaction(world.connection, world.location):
        world.connection.execute("UPDATE mart.kept SET definitions = 'older'")
    assert keep(world) == patients + 1
    assert_as_computed_from_everything(world)


def test_marts_moved_by_another_refresh_are_not_moved_twice(world):
    """Who began from an older snapshot than the marts now rest on starts again."""
    with kept.update(world.connection) as found:
        pass
    other = Warehouse(store.cursor(world.connection), world.location)
    world.put("clinic_registered", "display_name\nz")
    keep(other)
    with (
        pytest.raises(WarehouseConflict, match=r"mart\.kept: holds snapshot \d+, we began from \d+"),
        store.transaction(world.connection, world.location),
    ):
        kept.save(world.connection, found)
    kept.forget(world.connection)


_KILLED = """
import datetime as dt, os, signal, sys
from pathlib import Path
from warehouse import kept, store
from warehouse.refresh import refresh
location = store.Location.under(Path(sys.argv[1]))
connection = store.connect(location)
save = kept.save
def killed(connection, found):
    save(connection, found)
    os.kill(os.getpid(), signal.SIGKILL)
kept.save = killed
at = dt.datetime.fromisoformat(sys.argv[2])
refresh(connection, location, as_of=at, computed_at=at)
"""


def test_a_killed_refresh_is_simply_run_again(warehouse, tmp_path):
    """kill -9 between marts and results leaves neither moved, for they commit as one; the rerun completes."""
    warehouse.put("session_completed", "session_id | completed_at\ns1 | 2026-10-01 10:00")
    refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=AS_OF)
    warehouse.put("session_completed", "session_id | completed_at\ns2 | 2026-10-02 10:00")
    state = "SELECT (SELECT snapshot_id FROM mart.kept), max(snapshot_id), count(*) FROM mart.metric_result"
    before = warehouse.read(state)
    command = [sys.executable, "-c", _KILLED, str(tmp_path), AS_OF.isoformat()]
    killed = subprocess.run(command, env=os.environ, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-500:]
    assert Path(warehouse.location.data_path).is_dir()
    assert warehouse.read(state).equals(before)
    assert warehouse.read("FROM mart.session_outcome").height == 1
    report = refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=AS_OF)
    assert report.patients == 1
    assert_as_computed_from_everything(warehouse)


def test_the_results_from_kept_marts_equal_those_of_a_rebuild(warehouse):
    """Every metric after three days of changes, one patient at a time, is that of a full rebuild."""
    for number in range(3):
        warehouse.put(
            "session_completed",
            "session_id | patient_key | completed_at\n"
            f"s{number} | p{number % 2} | 2026-0{number + 3}-01 10:00",
        )
        warehouse.put("follow_up_completed", f"follow_up_id | session_id\nf{number} | s{number}")
        refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=AS_OF)
    columns = "SELECT * EXCLUDE (snapshot_id) FROM mart.metric_result ORDER BY ALL"
    found = warehouse.read(columns)
    report = refresh(warehouse.connection, warehouse.location, as_of=AS_OF, computed_at=AS_OF, rebuild=True)
    assert report.patients == 2
    assert warehouse.read(columns).equals(found)
