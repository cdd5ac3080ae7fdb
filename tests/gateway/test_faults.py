"""Over TLS and SCRAM, killed at random points, its broker restarted: everything acknowledged arrives."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from producers.gateway.settings import GatewaySettings
from producers.publisher import create_topics
from tests.benchmarks import gateway_faults
from tests.gateway.harness import GatewayProcess
from tests.gateway.secure_broker import SecureBroker, certify

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """A broker that is reached over TLS with SCRAM."""
    broker = SecureBroker(tmp_path_factory.mktemp("secure"))
    broker.start()
    create_topics(broker.bootstrap)
    yield broker
    broker.stop()


def connects(home: Path, **settings: str) -> bool:
    """Whether a gateway with these settings is let in by the broker."""
    GatewayProcess(home, settings).prepare()
    loaded = GatewaySettings.load(home)
    try:
        KafkaAdminClient(
            bootstrap_servers=loaded.kafka_bootstrap_servers,
            bootstrap_timeout_ms=1_000,
            **loaded.kafka_security,
        ).close()
    except KafkaError:
        return False
    return True


def test_only_the_right_password_reaches_the_right_broker(secure: SecureBroker, tmp_path: Path):
    """A wrong password, a broker under another authority, no TLS at all: each fails; the right ones work."""
    assert connects(tmp_path / "right", **secure.settings)
    wrong, other = tmp_path / "wrong", tmp_path / "other.pem"
    wrong.write_text("guessed")
    wrong.chmod(0o600)
    certify(tmp_path / "unused.pem", other)
    for name, value in {
        "kafka_sasl_password_file": str(wrong),
        "kafka_ssl_cafile": str(other),
        "kafka_security_protocol": "PLAINTEXT",
    }.items():
        assert not connects(tmp_path / name, **secure.settings | {name: value}), name


def test_what_was_acknowledged_is_in_kafka(secure: SecureBroker, tmp_path: Path):
    """Five kills and a broker restart: Kafka holds, counted once, exactly what was acknowledged, in order.

    With this seed the broker is stopped in order; the benchmark's long form kills it as well.
    """
    outcome = gateway_faults.run(
        tmp_path, kills=5, events=1_000, broker_restarts=1, seed=0, broker=secure, settings=secure.settings
    )
    assert outcome.holds, json.dumps(outcome.__dict__)
    assert (outcome.kills, outcome.broker_restarts, outcome.acknowledged) == (5, 1, 1_000)
