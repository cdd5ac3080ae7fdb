"""The metric cards in the warehouse: mart.metric_card follows those of `warehouse.metrics`, which decide."""

from typing import Any

from warehouse import metrics, store
from warehouse.metrics.cards import MetricCard, flags_in_words, signals_in_words
from warehouse.store import Connection


def remember(connection: Connection) -> bool:
    """Write the cards unless they are there as they are; whether anything was written. Inside the caller's
    transaction. A version that no card has any more stays: its results may still be read.
    """
    known = store.rows(connection, store.statement("metric/cards"))
    missing = [row for row in map(_row, _all()) if row not in known]
    for row in missing:
        connection.execute(
            store.statement("metric/forget_card"), {name: row[name] for name in ("metric_id", "version")}
        )
        connection.execute(store.statement("metric/remember_card"), row)
    return bool(missing)


def _all() -> list[MetricCard]:
    groups = (metrics.CARDS, metrics.SAFETY_CARDS, metrics.SCHEDULE_CARDS, metrics.FINDING_CARDS)
    return [card for group in groups for card in group.values()]


def _row(card: MetricCard) -> dict[str, Any]:
    return {
        "metric_id": card.id,
        "version": card.version,
        "title": card.title,
        "description": card.description,
        "numerator": card.numerator,
        "denominator": card.denominator,
        "unit": card.unit,
        "interval_method": card.interval,
        "level": card.level,
        "better": card.better,
        "source": card.source,
        "strata": list(card.strata),
        "model": card.model,
        "flags": flags_in_words(card),
        "signals": signals_in_words(card) if card.owner else None,
        "baseline": card.baseline,
        "owner": card.owner,
    }
