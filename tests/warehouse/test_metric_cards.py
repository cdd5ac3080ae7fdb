"""The cards as rows: all of them, once, and written again only when their text changes."""

from pathlib import Path

import pytest

from warehouse import metric_cards, metrics, store

pytestmark = pytest.mark.integration


def test_cards_are_written_once(tmp_path: Path):
    """The first time writes every card, the second nothing; a changed text is mended, an old one stays."""
    location = store.Location.under(tmp_path)
    connection = store.connect(location)
    store.migrate(connection, location)
    with store.transaction(connection, location):
        assert metric_cards.remember(connection)
    cards = {*metrics.CARDS, *metrics.SAFETY_CARDS, *metrics.SCHEDULE_CARDS, *metrics.FINDING_CARDS}
    ids = {row[0] for row in connection.execute("SELECT metric_id FROM mart.metric_card").fetchall()}
    assert ids == cards
    with store.transaction(connection, location):
        assert not metric_cards.remember(connection)
        connection.execute(
            "UPDATE mart.metric_card SET title = 'x' WHERE metric_id = 'adverse_event_incidence'"
        )
        connection.execute("INSERT INTO mart.metric_card (metric_id, version) VALUES ('gone', 1)")
        assert metric_cards.remember(connection)
        assert not metric_cards.remember(connection)
    rows = connection.execute(
        "SELECT title FROM mart.metric_card WHERE metric_id = 'adverse_event_incidence'"
    )
    assert rows.fetchall() == [("Adverse events",)]
    assert connection.execute("SELECT count(*) FROM mart.metric_card").fetchone() == (len(cards) + 1,)
    connection.close()
