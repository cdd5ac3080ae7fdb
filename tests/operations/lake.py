"""A real DuckLake with books that balance: facts put in batches, as landing would have done."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from warehouse import store
from warehouse.tombstones import Key

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
ANN = "00a11ce0" * 4
"""The person of these tests: the least of all keys, so that the catalog's statistics name it, too."""


@dataclass
class Lake:
    """A warehouse under `home`, and its connection."""

    home: Path
    connection: store.Connection
    location: store.Location

    @classmethod
    def under(cls, home: Path) -> "Lake":
        found = cls.opened(home)
        store.migrate(found.connection, found.location)
        return found

    @classmethod
    def opened(cls, home: Path) -> "Lake":
        """One that is there, migrated."""
        location = store.Location.under(home)
        return cls(home, store.connect(location), location)

    @property
    def key(self) -> Key:
        return Key.of(self.home / "privacy.key")

    def land(self, *batches: int, events: int = 20, at: dt.datetime = NOW) -> None:
        """Batches of sessions and one telemetry frame for each; every fifth session is Ann's. One more
        event of a batch is refused and mentions Ann."""
        for batch in batches:
            bind = {"batch": batch, "events": events, "at": at - dt.timedelta(hours=batch), "ann": ANN}
            with store.transaction(self.connection, self.location):
                for text in (_SESSIONS, _FRAMES, _QUARANTINE, _LEDGER, *(_ADVANCE if batch else _BEGIN)):
                    self.connection.execute(text, {k: v for k, v in bind.items() if f"${k}" in text})

    def count(self, relation: str, where: str = "true") -> int:
        text = f"SELECT count(*) FROM {relation} WHERE {where}"  # noqa: S608
        return int(self.connection.execute(text).fetchall()[0][0])

    def files(self) -> set[str]:
        return {str(path) for path in Path(self.location.data_path).rglob("*.parquet")}


_SESSIONS = """
INSERT INTO raw.session_completed BY NAME
SELECT '/clinics/north' AS source, 's' || $batch || '-' || i AS id, 'north' AS clinic_id,
  $at AS occurred_at, $at AS received_at, $at AS landed_at, 'b' || $batch AS batch_id,
  hash(i)::UBIGINT AS content_hash, 'ses-' || $batch || '-' || i AS session_id,
  CASE WHEN i % 5 = 0 THEN $ann ELSE md5(i::VARCHAR) END AS patient_key, 'scar-15' AS protocol_id,
  1 AS protocol_version, 'series' AS phase, 1 AS session_number, $at AS completed_at,
  i % 6 + 1 AS skin_type, '30-39' AS age_band
FROM range($events) AS number (i)
"""
_FRAMES = """
INSERT INTO raw.telemetry_frame BY NAME
SELECT '/clinics/north' AS source, 'f' || $batch || '-' || i AS id, 'north' AS clinic_id,
  $at AS occurred_at, $at AS received_at, $at AS landed_at, 'b' || $batch AS batch_id,
  hash(i)::UBIGINT AS content_hash, 'pen-' || i % 3 AS device_id, $batch AS sequence,
  100 AS sample_interval_ms, [1.0, 1.5 + i] AS depth_mm, [7000.0, 7010.0] AS stroke_rate_per_min,
  [300.0, 301.0] AS motor_current_ma, 80 AS battery_percent, 'ses-' || $batch || '-' || i AS session_id
FROM range($events) AS number (i)
"""
_QUARANTINE = """
INSERT INTO landing.quarantine BY NAME
SELECT 'clinic.sessions' AS topic, 0 AS "partition", ($batch + 1) * (2 * $events + 1) - 1 AS "offset",
  $at AS received_at, ('{"patient":"' || upper($ann))::BLOB AS value, 'json.invalid' AS rule,
  'b' || $batch AS batch_id, $at AS landed_at
"""
_LEDGER = """
INSERT INTO landing.batch BY NAME
SELECT 'b' || $batch AS batch_id, 'clinic.sessions' AS topic, 0 AS "partition",
  $batch * (2 * $events + 1) AS first_offset, ($batch + 1) * (2 * $events + 1) AS next_offset,
  2 * $events + 1 AS consumed, 2 * $events AS landed, 0 AS duplicate, 1 AS quarantined, 0 AS skipped,
  $at AS landed_at
"""
_BEGIN = (
    """INSERT INTO landing.progress BY NAME
       SELECT 'clinic.sessions' AS topic, 0 AS "partition", 2 * $events + 1 AS next_offset""",
)
_ADVANCE = ("""UPDATE landing.progress SET next_offset = next_offset + 2 * $events + 1""",)
