-- temp.fresh_*: what the rows of the changed patients are now: of touched sessions and assessments by the views of
-- core in the slice, of the others as they were, with the next session that they have now.
-- grain:    that of each view
-- inputs:   core.session_outcome, core.session_sign, core.patient_assessment of the slice; temp.old_*; temp.changed,
--           changed_session, changed_assessment
-- time:     as the slice's facts are

CREATE OR REPLACE TEMP TABLE seen AS
FROM core.session_outcome WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);

CREATE OR REPLACE TEMP TABLE fresh_session_outcome AS
FROM temp.seen
WHERE hash(clinic_id, session_id) IN (SELECT session FROM temp.changed_session)
UNION ALL
SELECT old.* EXCLUDE (place) REPLACE (
  seen.next_phase AS next_phase, seen.next_completed_at AS next_completed_at, seen.days_to_next AS days_to_next
)
FROM temp.old_session_outcome AS old
JOIN temp.seen AS seen ON seen.clinic_id = old.clinic_id AND seen.session_id = old.session_id
WHERE hash(old.clinic_id, old.session_id) NOT IN (SELECT session FROM temp.changed_session);

CREATE OR REPLACE TEMP TABLE fresh_session_sign AS
FROM core.session_sign
WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed)
  AND hash(clinic_id, session_id) IN (SELECT session FROM temp.changed_session)
UNION ALL
SELECT * EXCLUDE (place)
FROM temp.old_session_sign
WHERE hash(clinic_id, session_id) NOT IN (SELECT session FROM temp.changed_session);

CREATE OR REPLACE TEMP TABLE fresh_patient_assessment AS
FROM core.patient_assessment
WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed)
  AND hash(clinic_id, assessment_id) IN (SELECT assessment FROM temp.changed_assessment)
UNION ALL
SELECT * EXCLUDE (place)
FROM temp.old_patient_assessment
WHERE hash(clinic_id, assessment_id) NOT IN (SELECT assessment FROM temp.changed_assessment);
