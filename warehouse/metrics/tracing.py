"""From a flag to what is behind it: the sessions, patients, events, lots and firmware, and what they share.

flag's scope -> sessions in it -> those with an event -> features more common among them than among the rest
"""

from collections.abc import Sequence

import polars as pl

from producers.contracts.errors import CheckFailed
from warehouse.metrics import exact_tests
from warehouse.metrics.risk_indicators import benjamini_hochberg

SHARED: dict[str, pl.DataType] = {
    "feature": pl.String(),
    "level": pl.String(),
    "sessions_with_event": pl.Int64(),
    "of_with_event": pl.Int64(),
    "sessions_without_event": pl.Int64(),
    "of_without_event": pl.Int64(),
    "p": pl.Float64(),
    "q": pl.Float64(),
}
"""One row per feature and level that occurs among the sessions with an event, the least likely by chance
first.
"""


def trace(sessions: pl.DataFrame, scope: dict[str, object]) -> pl.DataFrame:
    """The sessions a flag is about: those whose columns have the values of `scope`, in the order given.

    `sessions`: one row per session with its unique `session_id`, `events` (whole) and features such as
    `cartridge_lot`, `firmware`, `operator_id`. Raises CheckFailed.
    """
    _check(sessions, list(scope))
    return sessions.filter(*(pl.col(name) == value for name, value in scope.items()))


def shared_features(sessions: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
    """What the sessions with an event have in common that the others have not, SHARED.

    p is Fisher's one-sided test of the level being more common among sessions with an event; q by Benjamini
    and Hochberg over all rows. A session without a value of a feature is counted as "unknown". Without
    sessions on one side there is nothing to compare: no rows. Raises CheckFailed.
    """
    _check(sessions, features)
    having = sessions["events"] > 0
    with_event, without = int(having.sum()), int((~having).sum())
    if not with_event or not without:
        return pl.DataFrame(schema=SHARED)
    plain = [pl.col(name).cast(pl.String).fill_null("unknown") for name in features]
    marked = sessions.select(*plain, having=having)
    counted = pl.concat(
        [
            marked.group_by(pl.col(name).alias("level"))
            .agg(
                sessions_with_event=pl.col("having").sum().cast(pl.Int64),
                sessions_without_event=(~pl.col("having")).sum().cast(pl.Int64),
            )
            .select(pl.lit(name).alias("feature"), pl.all())
            for name in features
        ]
    ).filter(pl.col("sessions_with_event") > 0)
    p = exact_tests.fisher_test(
        counted["sessions_with_event"],
        with_event,
        counted["sessions_without_event"],
        without,
        alternative="greater",
    )
    return (
        counted.with_columns(
            of_with_event=pl.lit(with_event),
            of_without_event=pl.lit(without),
            p=p,
            q=pl.Series(benjamini_hochberg(p)),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in SHARED.items())
        .sort("p", "feature", "level")
    )


def _check(sessions: pl.DataFrame, columns: Sequence[str]) -> None:
    for name in ("session_id", "events", *columns):
        if name not in sessions.columns:
            raise CheckFailed(f"sessions.{name}: column is missing")
    for name in ("session_id", "events"):
        if sessions[name].null_count():
            raise CheckFailed(f"sessions.{name}: must not be null")
    if sessions["session_id"].is_duplicated().any():
        raise CheckFailed("sessions.session_id: must be unique")
    if not sessions.schema["events"].is_integer() or (sessions["events"] < 0).any():
        raise CheckFailed("sessions.events: must be whole numbers that are not negative")
