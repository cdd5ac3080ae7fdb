"""How many events a gateway takes in and sends on, and in how much memory.

    uv run python -m tests.benchmarks.gateway_load --events 100000

The first half is posted while the broker is away, so that a backlog builds up; then the broker comes and the
other half is posted while the backlog drains. One connection posts batches of 500, and single events last.
Prints rates and the gateway's peak memory as JSON.
"""

import argparse
import http.client
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from producers.publisher import create_topics
from tests.conftest import Broker
from tests.gateway.harness import BATCH, SINGLE, GatewayProcess, body, stated

BATCH_EVENTS = 500
SINGLES = 1_000


class Client:
    """One kept connection, as a clinic's system has."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._connection = http.client.HTTPConnection(*gateway.address, timeout=60)
        self._token = gateway.token

    def post(self, content: bytes, kind: str) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        self._connection.request("POST", "/events", content, headers)
        response = self._connection.getresponse()
        answer = response.read()
        assert response.status == 202, answer


def posted(client: Client, first: int, last: int) -> float:
    """Events a second over so many batches."""
    contents = [
        body(*(stated(number) for number in range(start, start + BATCH_EVENTS)))
        for start in range(first, last, BATCH_EVENTS)
    ]
    began = time.monotonic()
    for content in contents:
        client.post(content, BATCH)
    return round((last - first) / (time.monotonic() - began))


def run(folder: Path, events: int) -> dict[str, Any]:
    """One gateway, one broker that comes late."""
    half = events // 2 // BATCH_EVENTS * BATCH_EVENTS
    broker = Broker(folder / "broker")
    gateway = GatewayProcess(
        folder / "gateway",
        {"kafka_bootstrap_servers": broker.bootstrap, "kafka_security_protocol": "PLAINTEXT"},
    )
    gateway.prepare()
    gateway.start()
    assert gateway.process is not None
    process = psutil.Process(gateway.process.pid)
    try:
        client = Client(gateway)
        found: dict[str, Any] = {"events": 2 * half, "idle_mib": mib(process)}
        found["batches_broker_away_per_s"] = posted(client, 0, half)
        found["backlog_mib"] = mib(process)
        broker.start()
        create_topics(broker.bootstrap)
        began = time.monotonic()
        found["batches_while_sending_per_s"] = posted(client, half, 2 * half)
        while gateway.get("/health").document["outbox_depth_events"]:
            time.sleep(0.05)
        found["sent_per_s"] = round(2 * half / (time.monotonic() - began))
        singles = [body(stated(number)) for number in range(2 * half, 2 * half + SINGLES)]
        began = time.monotonic()
        for content in singles:
            client.post(content, SINGLE)
        found["singles_per_s"] = round(SINGLES / (time.monotonic() - began))
        found["peak_mib"] = mib(process)
    finally:
        gateway.kill()
        if broker.process is not None:
            broker.kill()
    return found


def mib(process: psutil.Process) -> int:
    """Peak resident memory so far, where the system tells it; else the present one."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) // 1024
    return int(process.memory_info().rss // 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(Path(folder), given.events)))


if __name__ == "__main__":
    main()
