-- macro:  ae_rate(from_at, to_at)
-- gives:  one row for each clinic: sessions completed in [from_at, to_at) whose outcome is known, those with an
--         adverse event that is not an expected reaction, and their share per 100 sessions with Wilson's interval
-- inputs: core.session, core.follow_up, core.adverse_event
-- time:   latest truth, as of to_at: what happened later is not counted, and a sign unresolved then is judged as of then

CREATE OR REPLACE MACRO ae_rate(from_at, to_at) AS TABLE
WITH asked AS (
  SELECT from_at::TIMESTAMPTZ AS start_at, to_at::TIMESTAMPTZ AS end_at
),
reported AS (
  SELECT
    sign.clinic_id,
    sign.session_id,
    bool_or(
      sign.expected_until_at IS NULL
      OR least(coalesce(sign.resolved_at, asked.end_at), asked.end_at) >= sign.expected_until_at
    ) AS adverse
  FROM core.adverse_event AS sign, asked
  WHERE sign.occurred_at < asked.end_at
  GROUP BY ALL
),
followed AS (
  SELECT DISTINCT contact.clinic_id, contact.session_id
  FROM core.follow_up AS contact, asked
  WHERE contact.occurred_at < asked.end_at
),
counted AS (
  SELECT
    session.clinic_id,
    count(*) FILTER (WHERE reported.session_id IS NOT NULL OR followed.session_id IS NOT NULL) AS sessions,
    count(*) FILTER (WHERE reported.adverse) AS with_adverse_event
  FROM core.session AS session
  CROSS JOIN asked
  LEFT JOIN reported USING (clinic_id, session_id)
  LEFT JOIN followed USING (clinic_id, session_id)
  WHERE session.completed_at >= asked.start_at AND session.completed_at < asked.end_at
  GROUP BY session.clinic_id
)
SELECT
  clinic_id,
  sessions,
  with_adverse_event,
  100 * wilson(with_adverse_event, sessions).value AS per_100_sessions,
  100 * wilson(with_adverse_event, sessions).lower AS lower,
  100 * wilson(with_adverse_event, sessions).upper AS upper
FROM counted
ORDER BY clinic_id;
