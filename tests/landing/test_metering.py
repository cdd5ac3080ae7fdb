"""What Prometheus reads from a worker, compared with the ledger of the same batches."""

import datetime as dt
import threading
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.landing import Lander
from flows.settings import Settings
from flows.stack import ports
from producers.publisher import create_topics
from tests.conftest import Broker
from tests.landing.test_loop import publish
from warehouse import store

pytestmark = pytest.mark.integration


def scraped(port: int) -> dict[str, float]:
    """Every sample, summed over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    found: dict[str, float] = {}
    for family in families:
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def test_metrics_say_what_the_ledger_says(tmp_path: Path):
    """Counts equal the ledger's, every clinic has its watermark, and nothing waits."""
    broker = Broker(tmp_path)
    broker.start()
    try:
        create_topics(broker.bootstrap)
        publish(broker.bootstrap, range(500))
        settings = Settings.load(home=tmp_path, kafka_bootstrap_servers=broker.bootstrap)
        with store.connect(settings.location) as connection:
            store.migrate(connection, settings.location)
            lander = Lander(settings, store.cursor(connection), lambda: dt.datetime.now(dt.UTC))
            port = ports.any_free()
            lander.meter.serve("127.0.0.1", port)
            stop = threading.Event()
            lander.run(stop, seconds=60, after_batch=lambda t: stop.set() if t.landed >= 500 else None)
            lander.close()
            ledger = connection.execute(
                "SELECT sum(consumed), sum(landed), sum(duplicate), sum(quarantined), "
                "count(DISTINCT batch_id) FROM landing.batch"
            ).fetchall()[0]
        found = scraped(port)
    finally:
        broker.stop()
    names = ("consumed", "landed", "duplicate", "quarantined")
    assert [found.get(f"dermastream_events_{name}_total", 0) for name in names] == list(ledger[:4])
    assert found["dermastream_batch_events_count"] == found["dermastream_commit_seconds_count"] == ledger[4]
    assert found["dermastream_lag_events"] == found["dermastream_lag_seconds"] == 0
    assert found["dermastream_newest_event_age_seconds"] >= 0
    assert found["dermastream_watermark_timestamp_seconds"] > 0
