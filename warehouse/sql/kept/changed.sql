-- temp.changed: the patients whose rows in the marts may have changed, by a hash of clinic and patient; and
-- temp.changed_session, changed_assessment: of which sessions and assessments facts were touched. The patients' other
-- sessions may only have got another next one.
-- grain:    one patient; one session; one assessment
-- inputs:   temp.touched (complete)
-- time:     -

CREATE OR REPLACE TEMP TABLE changed AS
SELECT DISTINCT hash(clinic_id, patient_key) AS patient FROM temp.touched WHERE patient_key IS NOT NULL;

CREATE OR REPLACE TEMP TABLE changed_session AS
SELECT DISTINCT hash(clinic_id, session_id) AS session FROM temp.touched WHERE session_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE changed_assessment AS
SELECT DISTINCT hash(clinic_id, entity) AS assessment FROM temp.touched WHERE kind = 'assessment';
