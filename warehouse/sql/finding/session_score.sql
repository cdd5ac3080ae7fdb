-- rows for: warehouse.metrics.shrunken_effects
-- grain:    one session and scale with a score 14 to 90 days after it, before the patient's next session
-- inputs:   temp.session_outcome, temp.patient_assessment, temp.patient_window
-- time:     sessions completed in [$start, $as_of); the newest score that occurred before $as_of, a clinician's before a
--           patient's of the same moment; days are differences of UTC dates. patient is a number of this table alone

SELECT
  session.clinic_id,
  session.clinic_id || '/' || session.operator_id AS operator,
  hash(session.patient_key) AS patient,
  assessment.scale,
  assessment.score,
  least(numbered.session_number, 6)::VARCHAR AS session_number,
  coalesce(session.indication, 'unknown') AS indication,
  coalesce(session.area, 'unknown') AS area,
  coalesce(session.skin_type::VARCHAR, 'unknown') AS skin_type,
  coalesce(session.age_band, 'unknown') AS age_band
FROM temp.session_outcome AS session
JOIN temp.patient_window AS numbered
  ON numbered.clinic_id = session.clinic_id AND numbered.session_id = session.session_id
JOIN temp.patient_assessment AS assessment
  ON assessment.clinic_id = session.clinic_id AND assessment.patient_key = session.patient_key
WHERE session.completed_at >= $start
  AND session.completed_at < $as_of
  AND session.operator_id IS NOT NULL
  AND assessment.occurred_at < $as_of
  AND assessment.occurred_at >= $start  -- 14 days after such a session, so that older ones need no look
  AND (session.next_completed_at IS NULL OR assessment.occurred_at < session.next_completed_at)
  -- A difference, not two limits: given limits, DuckDB joins windows and scores by clinic alone first.
  AND (assessment.occurred_at AT TIME ZONE 'UTC')::DATE - session.completed_on BETWEEN 14 AND 90
QUALIFY row_number() OVER (
  PARTITION BY session.clinic_id, session.session_id, assessment.scale
  ORDER BY assessment.occurred_at DESC, assessment.rater, assessment.assessment_id DESC
) = 1
