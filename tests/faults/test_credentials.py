"""A wrong password, and one that is changed while events stream: matrix row 24."""

from collections.abc import Callable
from pathlib import Path

import pytest

from producers.contracts import BrokerUnavailable
from tests.faults.harness import FaultBroker, Heard, World, mutated

pytestmark = pytest.mark.integration

USER = "landing"


def behind_a_password(worlds: Callable[..., World], broker: FaultBroker, file: Path) -> World:
    """A world whose landing has to log in with the password that stands in a file."""
    broker.password(USER, "first")
    return worlds(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username=USER,
        kafka_sasl_password_file=file,
    )


def test_a_password_is_rotated(
    worlds: Callable[..., World], fault_broker: FaultBroker, tmp_path: Path, capfd
):
    """Row 24: refused, landing says so and goes on trying; with the new password in its file it lands."""
    file = tmp_path / "password"
    file.write_text("second")
    world = behind_a_password(worlds, fault_broker, file)
    world.publish(range(100))
    with world.landing(kafka_bootstrap_servers=f"127.0.0.1:{fault_broker.sasl_port}") as landing:
        told = Heard(capfd, "cannot land now")
        world.until(told, lambda: landing.error)
        assert landing.error is None
        assert world.landed_batches() == 0
        fault_broker.password(USER, "second")
        world.until(world.drained, lambda: landing.error)
    assert landing.error is None
    assert "second" not in told.text
    assert world.violations(duplicates=0) == []


def test_giving_up_at_the_first_refusal_is_found(
    worlds: Callable[..., World], fault_broker: FaultBroker, tmp_path: Path
):
    """Row 24's mutant: whatever the broker refuses ends the worker."""
    file = tmp_path / "password"
    file.write_text("second")
    world = behind_a_password(worlds, fault_broker, file)
    world.publish(range(10))
    servers = f"127.0.0.1:{fault_broker.sasl_port}"
    with mutated("give up at once"), world.landing(kafka_bootstrap_servers=servers) as landing:
        world.until(world.drained, lambda: landing.error)
    assert isinstance(landing.error, BrokerUnavailable)
