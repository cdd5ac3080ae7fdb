"""The whole of refresh against plain loops, on random facts from a printed seed."""

import datetime as dt
import random

import polars as pl
import pytest

from tests.warehouse import plain
from warehouse.metrics import CARDS
from warehouse.refresh import refresh

pytestmark = pytest.mark.integration

AS_OF = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("seed", [1, 2, random.SystemRandom().randrange(10**6)])
def test_results_are_those_of_plain_loops(warehouse, seed):
    """Numerators and denominators agree, every other cell is 0 of 0, at two moments of the facts."""
    print(f"seed {seed}")
    facts = plain.random_facts(random.Random(seed), AS_OF)
    for name, rows in facts.items():
        warehouse.put(name, pl.DataFrame(rows, schema_overrides={"supersedes": pl.String}))
    for as_of in (AS_OF, AS_OF - dt.timedelta(days=100, hours=5)):
        refresh(warehouse.connection, warehouse.location, as_of=as_of, computed_at=AS_OF)
        found = warehouse.read(
            "SELECT metric_id, scope, scope_id, period, interval_start, numerator, denominator "
            "FROM mart.metric_result WHERE as_of = $as_of",
            {"as_of": as_of},
        )
        found = found.filter(
            pl.col("metric_id").is_in(list(CARDS))
        )  # the safety cards have references of their own
        ours = {tuple(key): (numerator, denominator) for *key, numerator, denominator in found.iter_rows()}
        assert len(ours) == found.height
        expected = plain.metrics(facts, as_of)
        assert len({key[0] for key in expected}) == 5
        assert {key: counts for key, counts in ours.items() if counts != (0, 0)} == expected
