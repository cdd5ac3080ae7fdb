"""Facts put straight into raw tables, as if landed: tests state what matters, the rest is filled in."""

import datetime as dt
import itertools
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tests.table import table
from warehouse import store

LONG_AGO = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

_DEFAULTS: dict[str, dict[str, pl.Expr]] = {
    "session_completed": {
        "patient_key": pl.lit("pat"),
        "protocol_id": pl.lit("scar-15"),
        "protocol_version": pl.lit(1),
        "phase": pl.lit("series"),
        "session_number": pl.lit(1),
    },
    "protocol_published": {
        "version": pl.lit(1),
        "indication": pl.lit("acne-scars"),
        "sessions_planned": pl.lit(3),
    },
    "device_registered": {"in_service_on": pl.lit(LONG_AGO.date())},
    "adverse_event_reported": {
        "patient_key": pl.lit("pat"),
        "term": pl.lit("erythema"),
        "grade": pl.lit(1),
        "serious": pl.lit(False),
    },
    "assessment_recorded": {
        "patient_key": pl.lit("pat"),
        "scale": pl.lit("gais"),
        "rater": pl.lit("clinician"),
    },
}
_MOMENT = {
    "session_completed": "completed_at",
    "adverse_event_reported": "onset_at",
    "adverse_event_resolved": "resolved_at",
}
"""The data's own time that an envelope's `occurred_at` repeats unless a test says otherwise."""


@dataclass
class Warehouse:
    """A real DuckLake of one test."""

    connection: store.Connection
    location: store.Location
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def put(self, name: str, facts: str | pl.DataFrame) -> None:
        """Append facts to `raw.<name>`. Without a column for it, a fact is of clinic north, has an id of its
        own, occurred at the data's own time (or in 2024), and was received when it occurred."""
        frame = table(facts) if isinstance(facts, str) else facts
        moment = pl.col(_MOMENT[name]) if _MOMENT.get(name) in frame.columns else pl.lit(LONG_AGO)
        for defaults in (
            {"clinic_id": pl.lit("north"), "occurred_at": moment, **_DEFAULTS.get(name, {})},
            {
                "source": "/clinics/" + pl.col("clinic_id"),
                "id": pl.Series([f"e{next(self.numbers)}" for _ in range(frame.height)], dtype=pl.String),
                "received_at": pl.col("occurred_at"),
            },
        ):
            missing = {column: value for column, value in defaults.items() if column not in frame.columns}
            frame = frame.with_columns(**missing)
        self.connection.register("facts", frame)
        with store.transaction(self.connection, self.location):
            self.connection.execute(f"INSERT INTO raw.{name} BY NAME SELECT * FROM facts")  # noqa: S608
        self.connection.unregister("facts")

    def read(self, sql: str, parameters: dict[str, Any] | None = None) -> pl.DataFrame:
        return self.connection.execute(sql, parameters or {}).pl()
