"""Kafka no longer holds what was not landed: a clear stop, never a silent skip. Matrix row 16."""

import os
import signal

import pytest

from flows.cli import app
from producers.contracts import CheckFailed, SettingsError
from producers.publisher import create_topics
from tests.faults.harness import TELEMETRY, World, bounds, kinds, mutated
from tests.faults.test_workers import frozen
from warehouse.log import progress
from warehouse.verify import verify

pytestmark = pytest.mark.integration


def fall_behind(world: World) -> None:
    """Some is landed; what follows is gone before anybody read it."""
    world.publish(range(200))
    world.drain()
    world.publish(range(200, 300))
    world.broker.empty()


def test_truncated_before_it_was_landed(world: World):
    """The gap is named offset by offset, and the progress stays: it is a person's decision."""
    fall_behind(world)
    before = progress(world.connection)
    with world.landing() as landing:
        world.until(lambda: landing.error is not None)
    assert isinstance(landing.error, CheckFailed)
    lost = bounds(world.broker.bootstrap)
    gaps = [f"{p.topic}/{p.number}: offsets {at} to {lost[p][0] - 1} are gone" for p, at in before.items()]
    assert any(gap in str(landing.error) for gap in gaps)
    assert progress(world.connection) == before


def test_an_accepted_loss_is_booked_and_landing_goes_on(world: World, capsys, monkeypatch):
    """The command names the gap and books it for a name and a reason; the books balance, the rest lands."""
    fall_behind(world)
    world.publish(range(300, 400))
    held, kept = progress(world.connection), bounds(world.broker.bootstrap)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", world.broker.bootstrap)
    command = ["topics", "losses", "--home", str(world.settings.home)]
    app(command, result_action="return_value")
    assert "are gone from Kafka" in capsys.readouterr().out
    with pytest.raises(SettingsError, match="needs --by and --reason"):
        app([*command, "--accept"], result_action="return_value")
    accepting = ["--accept", "--by", "ann", "--reason", "short retention"]
    app([*command, *accepting], result_action="return_value")
    world.drain()
    assert verify(world.connection, world.settings.location).findings == []
    lost = world.connection.execute("SELECT sum(next_offset - first_offset) FROM landing.accepted_loss")
    assert lost.fetchall() == [(sum(max(0, kept[p][0] - at) for p, at in held.items()),)]
    assert kinds(world.violations()) == {"lost"}, "nothing but what Kafka lost"


def test_a_silent_reset_is_found(world: World):
    """Row 16's mutant: it goes on at the first offset that is left, as `auto_offset_reset` would."""
    fall_behind(world)
    with mutated("silent reset"):
        world.publish(range(300, 400))
        world.drain()
    assert {"lost", "books"} <= kinds(world.violations())


def test_truncated_under_a_running_worker(world: World):
    """The consumer's next fetch is out of range: the worker ends with the reason, and skips nothing."""
    world.publish(range(200))
    worker = world.worker("laid out", signal=signal.SIGSTOP)
    world.until(lambda: frozen(worker))
    world.publish(range(200, 300))
    world.broker.empty()
    os.kill(worker.pid, signal.SIGCONT)
    worker.join(90)
    assert worker.exitcode == 1
    assert "CheckFailed" in world.log.read_text()
    assert "gone from Kafka" in world.log.read_text() or "no longer holds" in world.log.read_text()
    held = progress(world.connection)
    assert any(held[p] < first for p, (first, _) in bounds(world.broker.bootstrap).items() if p in held)


def test_recreated_topic(world: World):
    """A topic that was deleted and made anew, and is still empty: refused by name."""
    world.publish(range(200))
    world.drain()
    with world.broker.admin() as admin:
        world.broker.delete(admin, [TELEMETRY])
    create_topics(world.broker.bootstrap)
    with world.landing() as landing:
        world.until(lambda: landing.error is not None)
    assert isinstance(landing.error, CheckFailed)
    assert "made anew" in str(landing.error)


def test_a_topic_made_anew_is_refused_however_long_it_has_grown(world: World):
    """Its name and its offsets look right; its id tells that they mean other events."""
    world.publish(range(200))
    world.drain()
    before = progress(world.connection)
    with world.broker.admin() as admin:
        world.broker.delete(admin, [TELEMETRY])
    create_topics(world.broker.bootstrap)
    world.publish(range(200, 1_000))
    assert all(bounds(world.broker.bootstrap)[p][1] >= at for p, at in before.items() if p.topic == TELEMETRY)
    with world.landing() as landing:
        world.until(lambda: landing.error is not None)
    assert isinstance(landing.error, CheckFailed)
    assert "made anew" in str(landing.error)
    assert progress(world.connection) == before
