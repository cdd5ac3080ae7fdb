-- relation: core.patient_visit
-- grain:    one session of a patient of a clinic, beside the patient's previous and next session
-- inputs:   core.session, core.protocol
-- time:     latest truth; days are differences of UTC dates. A reader with an as_of treats a next session at or
--           after it as not yet come.

CREATE OR REPLACE VIEW core.patient_visit AS
WITH visit AS (
  SELECT
    session.clinic_id,
    session.patient_key,
    session.session_id,
    session.protocol_id,
    session.protocol_version,
    session.phase,
    session.session_number,
    session.completed_at,
    lag(session.session_id) OVER patient AS previous_session_id,
    lag(session.completed_at) OVER patient AS previous_completed_at,
    lead(session.session_id) OVER patient AS next_session_id,
    lead(session.phase) OVER patient AS next_phase,
    lead(session.completed_at) OVER patient AS next_completed_at
  FROM core.session AS session
  WINDOW patient AS (
    PARTITION BY session.clinic_id, session.patient_key ORDER BY session.completed_at, session.session_id
  )
)
SELECT
  visit.*,
  (visit.completed_at AT TIME ZONE 'UTC')::DATE
    - (visit.previous_completed_at AT TIME ZONE 'UTC')::DATE AS days_since_previous,
  (visit.next_completed_at AT TIME ZONE 'UTC')::DATE
    - (visit.completed_at AT TIME ZONE 'UTC')::DATE AS days_to_next,
  -- Three sessions make a series where the protocol's version is not known (yet).
  visit.phase = 'maintenance'
    OR visit.session_number >= coalesce(protocol.sessions_planned, 3) AS series_completed
FROM visit
LEFT JOIN core.protocol AS protocol
  ON protocol.protocol_id = visit.protocol_id AND protocol.version = visit.protocol_version;

COMMENT ON VIEW core.patient_visit IS 'Grain: one session of a patient with the previous and the next one (null at the ends). Gaps in days, by UTC date. series_completed: the planned series ends with this session, or ended before it, so that a maintenance session is due next.';
