"""A network of any size put straight into the raw tables of a warehouse, as landing would have left it.

Days are numbered from `FIRST_DAY`; facts are made for a range of days, so that years and then one more
day can be told. Patients come 35 days apart three times, then every 130 days; some stop, some sessions are
corrected or withdrawn. The same numbers always give the same network.
"""

import datetime as dt

from warehouse import store
from warehouse.store import Connection, Location

FIRST_DAY = dt.date(2023, 11, 1)
SESSIONS_PER_PATIENT = 3.2
"""Of a patient within three years, roughly: what makes a number of patients from one of sessions."""

REGISTRY = (
    """
INSERT INTO raw.clinic_registered BY NAME
SELECT '/clinics/c' || i AS source, 'reg' AS id, 'c' || i AS clinic_id,
  TIMESTAMPTZ '2023-01-01 00:00:00+00' AS occurred_at,
  occurred_at AS received_at, 'Clinic ' || i AS display_name, 'UTC' AS time_zone
FROM range($clinics) AS t (i)
""",
    """
INSERT INTO raw.operator_registered BY NAME
SELECT '/clinics/c' || i AS source, 'op' || j AS id, 'c' || i AS clinic_id,
  TIMESTAMPTZ '2023-01-01 00:00:00+00' AS occurred_at, occurred_at AS received_at, 'op' || j AS operator_id,
  'nurse' AS role
FROM range($clinics) AS t (i), range(4) AS u (j)
""",
    """
INSERT INTO raw.device_registered BY NAME
SELECT '/clinics/c' || i AS source, 'dev' || j || '-' || k AS id, 'c' || i AS clinic_id,
  TIMESTAMPTZ '2023-01-01 00:00:00+00' + to_days((k * 400)::INTEGER) AS occurred_at,
  occurred_at AS received_at,
  'pen' || j AS device_id, 'pen' AS model, '2.' || k AS firmware, DATE '2023-01-01' AS in_service_on
FROM range($clinics) AS t (i), range(4) AS u (j), range(2) AS v (k)
""",
    """
INSERT INTO raw.device_calibrated BY NAME
SELECT '/clinics/c' || i AS source, 'cal' || j || '-' || k AS id, 'c' || i AS clinic_id,
  TIMESTAMPTZ '2023-06-01 00:00:00+00' + to_days((k * 170 + hash(i, j, k) % 40)::INTEGER) AS occurred_at,
  occurred_at AS received_at, 'pen' || j AS device_id, 0.02 * k AS depth_error_mm
FROM range($clinics) AS t (i), range(4) AS u (j), range(8) AS v (k)
""",
    """
INSERT INTO raw.protocol_published BY NAME
SELECT '/clinics/c0' AS source, 'protocol' || i AS id, 'c0' AS clinic_id,
  TIMESTAMPTZ '2023-01-01 00:00:00+00' AS occurred_at,
  occurred_at AS received_at, 'protocol-' || i AS protocol_id,
  1 AS version, ['acne-scars', 'wrinkles', 'melasma'][i // 2 + 1] AS indication, 0.5 + i / 4 AS depth_mm,
  3 AS sessions_planned, 35 AS interval_days
FROM range(6) AS t (i)
""",
)

VISITS = """
CREATE OR REPLACE TEMP TABLE made AS
SELECT
  p, n, 'c' || p % $clinics AS clinic_id, '/clinics/' || clinic_id AS source,
  md5('patient' || p) AS patient_key, 's' || p || '-' || n AS session_id,
  (hash(p, n) % 1000000007)::BIGINT AS chance,
  (hash(p) % 1545)::INTEGER - 450 + CASE WHEN n < 3 THEN n * 35 ELSE 70 + (n - 2) * 130 END
    + (chance % 21)::INTEGER AS day,
  $first::TIMESTAMPTZ + to_days(day) + to_seconds((28800 + chance % 36000)::INTEGER) AS completed_at,
  p % 3 AS concern
FROM range($patients) AS t (p), range(9) AS u (n)
WHERE hash('stays' || p || '-' || n) % 1000 < 1000 * pow(0.85, n)
"""

FACTS = (
    """
INSERT INTO raw.session_completed BY NAME
SELECT
  source, session_id AS id, clinic_id, completed_at AS occurred_at, completed_at AS received_at,
  session_id, patient_key, 'op' || chance % 4 AS operator_id, 'pen' || chance // 4 % 4 AS device_id,
  'protocol-' || (concern * 2 + chance // 16 % 2) AS protocol_id, 1 AS protocol_version,
  'lot-' || day // 30 || '-' || chance % 3 AS cartridge_lot, session_id AS cartridge_serial,
  ['acne-scars', 'wrinkles', 'melasma'][concern + 1] AS indication,
  ['face', 'neck', 'scalp'][(hash('area' || p) % 3)::INTEGER + 1] AS area,
  (hash('skin' || p) % 6 + 1)::INTEGER AS skin_type,
  ['20-29', '30-39', '40-49', '50-59'][(hash('age' || p) % 4)::INTEGER + 1] AS age_band,
  CASE WHEN n < 3 THEN 'series' ELSE 'maintenance' END AS phase, (n + 1)::INTEGER AS session_number,
  completed_at - to_minutes(40) AS started_at, completed_at, 0.5 + chance % 5 / 4 AS depth_mm,
  7000.0 AS stroke_rate_per_min, 3 AS passes, chance % 200 = 0 AS contraindication_overridden
FROM made WHERE day >= $from AND day < $to ORDER BY completed_at
""",
    """
INSERT INTO raw.session_completed BY NAME
SELECT fact.* REPLACE (fact.id || '-c' AS id, fact.completed_at + to_hours(20) AS occurred_at,
  fact.completed_at + to_hours(20) AS received_at, fact.id AS supersedes, 4 AS passes,
  'pen' || hash(fact.id) % 4 AS device_id)
FROM raw.session_completed AS fact
JOIN made ON made.clinic_id = fact.clinic_id AND made.session_id = fact.session_id AND fact.supersedes IS NULL
WHERE day + 1 >= $from AND day + 1 < $to AND chance % 200 = 1
""",
    """
INSERT INTO raw.event_voided BY NAME
SELECT source, 'void-' || session_id AS id, clinic_id, completed_at + to_days(2) AS occurred_at,
  occurred_at AS received_at, session_id AS voided_id
FROM made WHERE day + 2 >= $from AND day + 2 < $to AND chance % 500 = 2
""",
    """
INSERT INTO raw.follow_up_completed BY NAME
SELECT source, 'f' || session_id AS id, clinic_id,
  completed_at + to_days((2 + chance % 12)::INTEGER) AS occurred_at,
  occurred_at AS received_at, id AS follow_up_id, session_id, patient_key,
  chance % 10 = 0 AS adverse_event_found,
  'phone' AS channel
FROM made WHERE day + 2 + chance % 12 >= $from AND day + 2 + chance % 12 < $to AND chance % 100 < 85
ORDER BY occurred_at
""",
    """
INSERT INTO raw.adverse_event_reported BY NAME
SELECT source, 'a' || session_id AS id, clinic_id, completed_at + to_days(1) AS occurred_at,
  occurred_at AS received_at, id AS adverse_event_id, session_id, patient_key,
  ['erythema', 'oedema', 'infection', 'hyperpigmentation'][CASE WHEN chance % 40 = 0 THEN 3 + chance // 40 % 2
    ELSE 1 + chance // 40 % 2 END] AS term,
  CASE WHEN chance % 40 = 0 THEN 1 + (chance // 160 % 3)::INTEGER ELSE 1 END AS grade,
  false AS serious, 'probable' AS relatedness, completed_at + to_hours(3) AS onset_at,
  completed_at + to_days(1) AS became_aware_at
FROM made WHERE day + 1 >= $from AND day + 1 < $to AND chance % 8 = 0 ORDER BY occurred_at
""",
    """
INSERT INTO raw.adverse_event_resolved BY NAME
SELECT source, 'r' || session_id AS id, clinic_id, completed_at + to_days(4) AS occurred_at,
  occurred_at AS received_at, 'a' || session_id AS adverse_event_id, patient_key, occurred_at AS resolved_at
FROM made WHERE day + 4 >= $from AND day + 4 < $to AND chance % 8 = 0 AND chance // 8 % 10 < 9
ORDER BY occurred_at
""",
    """
INSERT INTO raw.assessment_recorded BY NAME
SELECT source, 'g' || session_id AS id, clinic_id, completed_at + to_days(30) AS occurred_at,
  occurred_at AS received_at, id AS assessment_id, session_id, patient_key, 'gais' AS scale,
  1.0 + hash('score' || p || '-' || n) % 4 AS score, 'clinician' AS rater
FROM made WHERE day + 30 >= $from AND day + 30 < $to AND chance % 2 = 0 ORDER BY occurred_at
""",
)


def midnight(day: int) -> dt.datetime:
    """The first instant of a day, by number."""
    return dt.datetime.combine(FIRST_DAY, dt.time(), dt.UTC) + dt.timedelta(days=day)


def put_registry(connection: Connection, location: Location, *, clinics: int) -> None:
    """Clinics with four operators and four devices each, six protocols; one transaction."""
    with store.transaction(connection, location):
        for text in REGISTRY:
            connection.execute(text, {"clinics": clinics} if "$clinics" in text else {})


def put_days(
    connection: Connection, location: Location, *, clinics: int, sessions: int, first: int, last: int
) -> None:
    """All that was stated on days [first, last) by a network of about `sessions` sessions in three years."""
    made = {
        "clinics": clinics,
        "patients": round(sessions / SESSIONS_PER_PATIENT),
        "first": midnight(0),
    }
    connection.execute(VISITS, made)
    for text in FACTS:
        with store.transaction(connection, location):
            connection.execute(text, {"from": first, "to": last})
    connection.execute("DROP TABLE temp.made")


FRAMES = """
INSERT INTO raw.telemetry_frame BY NAME
SELECT
  session.source, session.session_id || '-' || k AS id, session.clinic_id,
  session.started_at + to_seconds(k * 2400 // $each) AS occurred_at, occurred_at AS received_at,
  session.device_id, epoch(session.started_at)::BIGINT + k AS sequence, 100::INTEGER AS sample_interval_ms,
  list_transform(range(10), lambda i: (1.0 + ((k * 7 + i * 3) % 20) / 100)::FLOAT) AS depth_mm,
  list_transform(range(10), lambda i: (7000 + (k * 11 + i * 5) % 90)::FLOAT) AS stroke_rate_per_min,
  list_transform(range(10), lambda i: (300 + (k * 13 + i) % 40)::FLOAT) AS motor_current_ma,
  (100 - k % 60)::FLOAT AS battery_percent, session.session_id
FROM raw.session_completed AS session, range($each) AS frame (k)
WHERE session.supersedes IS NULL AND session.completed_at >= $from AND session.completed_at < $to
ORDER BY session.clinic_id, session.device_id, occurred_at
"""
"""`$each` frames of ten samples a session, sorted as maintenance leaves a merged file."""


def put_frames(connection: Connection, location: Location, *, each: int, first: int, last: int) -> None:
    """The frames of the sessions of days [first, last), month by month, as merged files are."""
    for begin in range(first, last, 30):
        interval = {"from": midnight(begin), "to": midnight(min(begin + 30, last)), "each": each}
        with store.transaction(connection, location):
            connection.execute(FRAMES, interval)
