-- rows for: protocol_improvement
-- grain:    one patient of a clinic who has a GAIS score 14 to 90 days after the latest session
-- inputs:   temp.session_outcome, temp.patient_assessment
-- time:     latest session completed in [$start, $as_of); the newest score in its window that occurred before
--           $as_of, a clinician's before a patient's of the same moment; days are differences of UTC dates

WITH latest AS (
  SELECT clinic_id, patient_key, protocol_id, completed_on
  FROM temp.session_outcome
  WHERE completed_at >= $start
    AND completed_at < $as_of
    AND coalesce(next_completed_at >= $as_of, true)
)
SELECT
  latest.clinic_id,
  latest.patient_key,
  latest.protocol_id,
  assessment.score AS gais_score
FROM latest
JOIN temp.patient_assessment AS assessment USING (clinic_id, patient_key)
WHERE assessment.scale = 'gais'
  AND assessment.occurred_at < $as_of
  AND assessment.occurred_at >= $start  -- 14 days after such a session, so that older ones need no look
  AND assessment.occurred_at >= to_timestamp(epoch(latest.completed_on + 14))
  AND assessment.occurred_at < to_timestamp(epoch(latest.completed_on + 91))
QUALIFY row_number() OVER (
  PARTITION BY latest.clinic_id, latest.patient_key
  ORDER BY assessment.occurred_at DESC, assessment.rater, assessment.assessment_id DESC
) = 1
ORDER BY ALL
