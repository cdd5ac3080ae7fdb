"""Kills a gateway at random points while it is given events, restarts its broker, and counts what arrived.

    uv run python -m tests.benchmarks.gateway_faults --kills 100 --events 100000

A sender posts batches and repeats each until it is acknowledged, as a clinic's system would. The oracle: the
events in Kafka, counted once per (source, id), are exactly those acknowledged, each with the content that was
posted, and in the order of posting for each patient. Prints totals and seed as JSON; exit code 1 if it fails.
"""

import argparse
import contextlib
import http.client
import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from producers.gateway.pseudonyms import read_key
from producers.publisher import create_topics
from tests.conftest import Broker
from tests.gateway.harness import BATCH, GatewayProcess, arrived, body, stated

LONGEST_PAUSE_SECONDS = 0.1
"""Between two batches, so that events flow while the gateway takes in, sends and marks."""
EARLY_KILLS = 0.25
"""Share of kills soon after the start, before the gateway is connected."""
DRAIN_SECONDS = 300


@dataclass
class Outcome:
    """Totals of a run; `missing`, `unasked`, `changed` and `disordered` must be 0."""

    seed: int
    events: int
    kills: int = 0
    broker_restarts: int = 0
    acknowledged: int = 0
    requests_cut: int = 0
    in_kafka: int = 0
    missing: int = 0
    unasked: int = 0
    changed: int = 0
    disordered: int = 0
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return self.acknowledged == self.events and not (
            self.missing or self.unasked or self.changed or self.disordered
        )


class Sender(threading.Thread):
    """Posts every event in order, each batch again until its answer says that it is on disk."""

    def __init__(self, gateway: GatewayProcess, events: int, batch: int, rng: random.Random) -> None:
        super().__init__(name="sender", daemon=True)
        self._gateway = gateway
        self._events = events
        self._batch = batch
        self._rng = rng
        self.allowed = events
        """How many it may have posted: the events are to last for all the kills."""
        self.acknowledged: set[str] = set()
        self.cut = 0
        self.error: str | None = None

    def run(self) -> None:
        for first in range(0, self._events, self._batch):
            while first > self.allowed:
                time.sleep(0.005)
            batch = [stated(number) for number in range(first, min(first + self._batch, self._events))]
            while not self._post(body(*batch) if len(batch) > 1 else b"[" + body(*batch) + b"]"):
                time.sleep(0.02)
            if self.error:
                return
            self.acknowledged.update(event["id"] for event in batch)
            time.sleep(self._rng.uniform(0, LONGEST_PAUSE_SECONDS))

    def _post(self, content: bytes) -> bool:
        try:
            answer = self._gateway.post(content, BATCH)
        except (OSError, http.client.HTTPException):  # killed, or not up yet
            self.cut += 1
            return False
        if answer.status == 503:
            return False
        if answer.status != 202:
            self.error = f"{answer.status}: {answer.document}"
        return True


def run(
    folder: Path,
    *,
    kills: int,
    events: int,
    broker_restarts: int,
    seed: int,
    broker: Broker,
    settings: dict[str, Any],
    say: Callable[[str], None] = print,
) -> Outcome:
    """One run of a gateway with these settings against a running broker with our topics."""
    rng = random.Random(seed)
    outcome = Outcome(seed, events)
    began = time.monotonic()
    gateway = GatewayProcess(folder / "gateway", settings)
    gateway.prepare()
    gateway.start()
    sender = Sender(gateway, events, max(1, min(50, events // (10 * kills))), random.Random(seed + 1))
    sender.start()
    try:
        _disturb(rng, gateway, broker, sender, outcome, kills, broker_restarts, say)
        sender.join()
        if sender.error:
            raise AssertionError(sender.error)
        _drain(gateway)
        _judge(outcome, broker.bootstrap, gateway, sender)
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _disturb(
    rng: random.Random,
    gateway: GatewayProcess,
    broker: Broker,
    sender: Sender,
    outcome: Outcome,
    kills: int,
    broker_restarts: int,
    say: Callable[[str], None],
) -> None:
    """Kill the gateway while it starts, takes in and sends, and restart the broker in between."""
    restart_at = {kills * (n + 1) // (broker_restarts + 1) for n in range(broker_restarts)}
    for kill in range(kills):
        sender.allowed = outcome.events * (kill + 1) // (kills + 1)
        if rng.random() < EARLY_KILLS:
            time.sleep(rng.uniform(0, 0.3))
        else:
            _until_it_sends(gateway)
            time.sleep(rng.uniform(0, 0.3))  # anywhere within a request, a page, a mark
        gateway.kill()
        outcome.kills += 1
        if kill in restart_at:
            broker.kill() if rng.random() < 0.5 else broker.stop()
            gateway.start()
            time.sleep(rng.uniform(0, 1))
            broker.start()
            outcome.broker_restarts += 1
        else:
            gateway.start()
        if (kill + 1) % 10 == 0:
            say(f"{kill + 1} kills, {len(sender.acknowledged)} acknowledged")
    sender.allowed = outcome.events


def _until_it_sends(gateway: GatewayProcess) -> None:
    """Wait until this life of the gateway has marked events as sent; not for ever, there may be none left."""
    with contextlib.closing(sqlite3.connect(gateway.home / "outbox.sqlite")) as outbox:
        before, deadline = _sent(outbox), time.monotonic() + 20
        while _sent(outbox) == before and time.monotonic() < deadline:
            time.sleep(0.002)


def _sent(outbox: sqlite3.Connection) -> int:
    return int(outbox.execute("SELECT sent FROM tally").fetchone()[0])


def _drain(gateway: GatewayProcess) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while gateway.get("/health").document["outbox_depth_events"]:
        if time.monotonic() > deadline:
            raise AssertionError(f"not sent in {DRAIN_SECONDS} s: {gateway.get('/health').document}")
        time.sleep(0.05)


def _judge(outcome: Outcome, bootstrap: str, gateway: GatewayProcess, sender: Sender) -> None:
    """Hold Kafka against what was acknowledged."""
    key = read_key(gateway.home / "keys" / "north.key")
    outcome.acknowledged = len(sender.acknowledged)
    outcome.requests_cut = sender.cut
    found: set[str] = set()
    newest: Counter[bytes] = Counter()
    for record in arrived(bootstrap):
        outcome.in_kafka += 1
        event = json.loads(record.value)
        number = int(event["id"].removeprefix("f-"))
        outcome.changed += not _same(event, number, key.of)
        if event["id"] not in found:
            found.add(event["id"])
            outcome.disordered += number < newest[record.key]
            newest[record.key] = max(newest[record.key], number)
    outcome.missing = len(sender.acknowledged - found)
    outcome.unasked = len(found - sender.acknowledged)


def _same(event: dict[str, Any], number: int, pseudonym: Callable[[str], str]) -> bool:
    """Whether it is what was posted, but for the pseudonym in the place of the patient's number."""
    expected = stated(number)
    reference = expected["data"].pop("patient_reference")
    expected["data"]["patient_key"] = pseudonym(reference)
    expected["time"] = expected["time"].replace("+00:00", "Z")
    return event == expected


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--broker-restarts", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker")
        broker.start()
        try:
            create_topics(broker.bootstrap)
            outcome = run(
                Path(folder),
                kills=given.kills,
                events=given.events,
                broker_restarts=given.broker_restarts,
                seed=given.seed,
                broker=broker,
                settings={
                    "kafka_bootstrap_servers": broker.bootstrap,
                    "kafka_security_protocol": "PLAINTEXT",
                },
                say=lambda text: print(text, file=sys.stderr, flush=True),
            )
        finally:
            broker.kill()
    print(json.dumps(asdict(outcome) | {"holds": outcome.holds}))
    sys.exit(0 if outcome.holds else 1)


if __name__ == "__main__":
    main()
