"""A gateway as its own process, the events that tests give it, and what arrived in Kafka."""

import datetime as dt
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from producers.contracts import TOPICS
from producers.gateway.pseudonyms import create_key
from producers.gateway.tokens import Tokens

SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
BEGAN = dt.datetime(2026, 1, 5, 8, tzinfo=dt.UTC)
COMMAND = [sys.executable, "-m", "flows.cli", "gateway"]


def stated(number: int, *, clinic: str = "north", **data: Any) -> dict[str, Any]:
    """What a clinic's system says of a follow-up, with the patient's number as the clinic knows it."""
    return {
        "specversion": "1.0",
        "id": f"f-{number}",
        "source": f"/clinics/{clinic}",
        "type": "follow-up.completed.v1",
        "time": (BEGAN + dt.timedelta(seconds=number)).isoformat(),
        "data": {
            "follow_up_id": f"f-{number}",
            "session_id": f"s-{number}",
            "patient_reference": f"P-{10_000 + number % 7}",
            "adverse_event_found": False,
            "channel": "phone",
            **data,
        },
    }


def body(*events: Mapping[str, Any]) -> bytes:
    """One event as it is, several as a batch."""
    return json.dumps(events[0] if len(events) == 1 else events).encode()


@dataclass(frozen=True)
class Answer:
    """Status, headers and document of a response."""

    status: int
    headers: dict[str, str]
    document: Any


@dataclass
class GatewayProcess:
    """`dermastream gateway run` on a free port; may be killed and started again."""

    home: Path
    settings: dict[str, Any]
    clinics: Sequence[str] = ("north",)
    process: subprocess.Popen[str] | None = None
    address: tuple[str, int] = ("", 0)
    token: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Settings, a key for each clinic, and a token for the first."""
        self.home.mkdir(parents=True, exist_ok=True)
        values = {"clinics": list(self.clinics), "port": 0, "min_free_bytes": 0, **self.settings}
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        (self.home / "gateway.toml").write_text("\n".join(lines) + "\n")
        for clinic in self.clinics:
            if not (self.home / "keys" / f"{clinic}.key").exists():
                create_key(self.home / "keys" / f"{clinic}.key")
        self.token = self.token or self.token_for(self.clinics[0])

    def token_for(self, clinic: str) -> str:
        return Tokens(self.home / "tokens.json").add(clinic, "test", BEGAN)

    def start(self) -> None:
        """Start and wait until it says where it listens."""
        with open(self.home / "gateway.log", "ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "run", "--home", str(self.home)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **self.environment},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "http://" not in line:
            raise RuntimeError((self.home / "gateway.log").read_text()[-2000:])
        host, _, port = line.strip().rpartition("/")[2].partition(":")
        self.address = host, int(port)

    def kill(self) -> None:
        """`kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; give the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)

    def post(self, content: bytes, kind: str = SINGLE, *, token: str | None = None, **headers: str) -> Answer:
        """POST /events on a connection of its own. Raises OSError or HTTPException when it is gone."""
        given = {"Authorization": f"Bearer {self.token if token is None else token}", "Content-Type": kind}
        return self.request("POST", "/events", content, given | headers)

    def get(self, path: str) -> Answer:
        return self.request("GET", path, None, {})

    def request(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.request(method, path, content, dict(headers))
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(
            response.status, found, json.loads(raw) if "json" in found.get("content-type", "") else raw
        )


def arrived(bootstrap: str, security: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """Every record of our topics, partition by partition in order."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_poll_records=5_000, **(security or {})
    )
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in TOPICS
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for records in consumer.poll(timeout_ms=1_000).values():
                yield from records
    finally:
        consumer.close()
