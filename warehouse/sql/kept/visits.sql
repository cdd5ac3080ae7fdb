-- rows for: warehouse.metrics.courses
-- grain:    one session of a changed patient
-- inputs:   temp.fresh_session_outcome
-- time:     all; days are UTC dates

SELECT clinic_id, patient_key, session_id, completed_on, coalesce(indication, 'unknown') AS indication,
  sessions_planned
FROM temp.fresh_session_outcome
WHERE patient_key IS NOT NULL
