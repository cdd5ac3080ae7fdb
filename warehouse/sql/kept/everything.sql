-- temp.changed for a full rebuild: every patient there is, or was in the marts.
-- grain:    one patient, by a hash of clinic and patient
-- inputs:   raw.session_completed, raw.assessment_recorded, kept marts
-- time:     all

CREATE OR REPLACE TEMP TABLE changed AS
SELECT hash(clinic_id, patient_key) AS patient FROM raw.session_completed
UNION SELECT hash(clinic_id, patient_key) FROM raw.assessment_recorded
UNION SELECT hash(clinic_id, patient_key) FROM mart.session_outcome
UNION SELECT hash(clinic_id, patient_key) FROM mart.session_sign
UNION SELECT hash(clinic_id, patient_key) FROM mart.patient_assessment
UNION SELECT hash(clinic_id, patient_key) FROM mart.patient_window
UNION SELECT hash(clinic_id, patient_key) FROM mart.patient_course
