"""The gateway as a clinic runs it, on a real broker: nothing lost, nothing needlessly sent twice."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from flows.clock import utc_now
from flows.stack import ports
from producers.contracts import SettingsError
from producers.gateway.pseudonyms import read_key
from producers.gateway.serving import run
from producers.gateway.settings import GatewaySettings
from tests.gateway.harness import BATCH, GatewayProcess, arrived, body, stated

pytestmark = pytest.mark.integration

Make = Callable[..., GatewayProcess]


def plain(bootstrap: str) -> dict[str, Any]:
    return {"kafka_bootstrap_servers": bootstrap, "kafka_security_protocol": "PLAINTEXT"}


def until_sent(gateway: GatewayProcess, seconds: float = 60) -> None:
    """Wait until nothing waits in the outbox."""
    deadline = time.monotonic() + seconds
    while gateway.get("/health").document["outbox_depth_events"]:
        assert time.monotonic() < deadline, gateway.get("/health").document


def from_source(bootstrap: str, source: str) -> list[Any]:
    """The records whose event has this source, in the order of their partitions."""
    found = [(record, json.loads(record.value)) for record in arrived(bootstrap)]
    return [(record, event) for record, event in found if event["source"] == source]


def test_events_reach_kafka_once_in_order_and_pseudonymous(bootstrap: str, gateways: Make):
    """What was posted is in Kafka under the patient's pseudonym and key; the patient's number is nowhere."""
    gateway = gateways(clinics=("east",), **plain(bootstrap))
    gateway.start()
    events = [stated(number, clinic="east") for number in range(50)]
    assert gateway.post(body(*events), BATCH).document == {"stored": 50, "repeated": 0}
    assert gateway.post(body(events[7])).document == {"stored": 0, "repeated": 1}
    until_sent(gateway)
    assert gateway.stop() == 0
    found = from_source(bootstrap, "/clinics/east")
    assert sorted(event["id"] for _, event in found) == sorted(event["id"] for event in events)
    key = read_key(gateway.home / "keys" / "east.key")
    for record, event in found:
        number = int(event["id"].removeprefix("f-"))
        pseudonym = key.of(f"P-{10_000 + number % 7}")
        assert event["data"]["patient_key"] == pseudonym
        assert record.key == f"east/{pseudonym}".encode()
    by_patient: dict[str, list[int]] = {}
    for _, event in found:
        by_patient.setdefault(event["data"]["patient_key"], []).append(int(event["id"].removeprefix("f-")))
    assert len(by_patient) == 7
    assert all(numbers == sorted(numbers) for numbers in by_patient.values())
    everything = b"".join(f.read_bytes() for f in gateway.home.rglob("*") if f.is_file())
    assert b"P-1000" not in everything


def test_what_cannot_start_says_why(bootstrap: str, gateways: Make):
    """A second gateway in a folder, a taken port, a new patient key, no broker named: each in one line."""
    gateway = gateways(port=ports.any_free(), **plain(bootstrap))
    gateway.start()
    settings = GatewaySettings.load(gateway.home)
    with pytest.raises(SettingsError, match="another gateway runs in"):
        run(settings, utc_now)
    other = gateways("other", port=gateway.address[1], **plain(bootstrap))
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{gateway.address[1]}"):
        run(GatewaySettings.load(other.home), utc_now)
    gateway.stop()
    (gateway.home / "keys" / "north.key").write_text("ab" * 32)
    with pytest.raises(SettingsError, match="not the one used so far"):
        run(settings, utc_now)
    with pytest.raises(SettingsError, match="kafka_bootstrap_servers is empty"):
        run(settings.model_copy(update={"kafka_bootstrap_servers": ""}), utc_now)


def test_metrics_tell_depth_and_age(gateways: Make):
    """Prometheus' text names what was accepted, refused by rule, what waits and for how long."""
    gateway = gateways(**plain(f"127.0.0.1:{ports.any_free()}"))
    gateway.start()
    gateway.post(body(*(stated(number) for number in range(3))), BATCH)
    gateway.post(body(stated(9, channel="pigeon")))
    text = gateway.get("/metrics").document.decode()
    assert "dermastream_gateway_events_accepted_total 3.0" in text
    assert "dermastream_gateway_outbox_depth_events 3.0" in text
    assert 'dermastream_gateway_refusals_total{rule="field.invalid"} 1.0' in text
    assert "dermastream_gateway_broker_connected 0.0" in text
    (age,) = [
        line.split()[1] for line in text.splitlines() if "oldest_age_seconds" in line and line[0] != "#"
    ]
    assert float(age) > 0


def test_the_inbox_is_taken_in(bootstrap: str, gateways: Make):
    """Files of events and mapped exports go to done/ with a report, bad ones whole to refused/."""
    gateway = gateways(clinics=("west",), inbox_settle_seconds=0, **plain(bootstrap))
    inbox, mappings = gateway.home / "inbox" / "west", gateway.home / "mappings" / "west"
    for folder in (inbox, mappings):
        folder.mkdir(parents=True)
    good = [json.dumps(stated(number, clinic="west")) for number in range(20)]
    (inbox / "good.ndjson").write_text("\n".join(good))
    (inbox / "bad.ndjson").write_text("\n".join([json.dumps(stated(100, clinic="west")), good[0][:-3]]))
    (inbox / "unknown.csv").write_text("a;b\n1;2\n")
    gateway.start()
    deadline = time.monotonic() + 30
    while not all(
        list(inbox.glob(f"*/{name}.report.json")) for name in ("good.ndjson", "bad.ndjson", "unknown.csv")
    ):
        assert time.monotonic() < deadline
    report = json.loads((inbox / "done" / "good.ndjson.report.json").read_text())
    assert (report["events"], report["stored"], report["refused"]) == (20, 20, 0)
    report = json.loads((inbox / "refused" / "bad.ndjson.report.json").read_text())
    assert (report["events"], report["stored"], report["refused"]) == (2, 0, 1)
    assert report["refusals"][0]["line"] == 2
    assert report["refusals"][0]["rule"] == "json.invalid"
    report = json.loads((inbox / "refused" / "unknown.csv.report.json").read_text())
    assert report["refusals"][0]["rule"] == "mapping.missing"
    until_sent(gateway)
    gateway.stop()
    assert len(from_source(bootstrap, "/clinics/west")) == 20
