-- core.session of the slice: the sessions of temp.changed_session by the slice's facts, and the changed patients' other
-- sessions as the marts know them, so that each stands beside the patient's next one.
-- grain:    one session; of the others only what decides about who comes next, the rest is null
-- inputs:   core.session of the slice, temp.changed_session, temp.old_session_outcome
-- time:     all

CREATE TABLE core.patient_session AS
FROM core.session
WHERE hash(clinic_id, session_id) IN (SELECT session FROM temp.changed_session)
UNION ALL BY NAME
SELECT clinic_id, session_id, patient_key, completed_at, phase
FROM temp.old_session_outcome
WHERE hash(clinic_id, session_id) NOT IN (SELECT session FROM temp.changed_session);

DROP VIEW core.session;
ALTER TABLE core.patient_session RENAME TO session;
