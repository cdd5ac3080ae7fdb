-- relation: core.session_sign
-- grain:    one sign reported after a session that is known
-- inputs:   core.adverse_event, core.session
-- time:     latest truth; patient_key is the session's; counts_from_at answers every as_of
-- kept as:  mart.session_sign, by patient

CREATE OR REPLACE VIEW core.session_sign AS
SELECT
  sign.clinic_id,
  sign.adverse_event_id,
  session.patient_key,
  sign.session_id,
  sign.term,
  sign.grade,
  sign.serious,
  sign.onset_at,
  sign.occurred_at,
  sign.counts_from_at
FROM core.adverse_event AS sign
JOIN core.session AS session
  ON session.clinic_id = sign.clinic_id AND session.session_id = sign.session_id;

COMMENT ON VIEW core.session_sign IS 'Grain: one sign reported after a session that is known. It is an adverse event for every as_of after counts_from_at; null: an expected reaction.';
