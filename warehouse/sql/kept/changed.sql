-- temp.changed: the patients whose rows in the marts may have changed, by a hash of clinic and patient.
-- grain:    one patient
-- inputs:   temp.touched (complete); mart.session_outcome, which is as of the snapshot before
-- time:     -

CREATE OR REPLACE TEMP TABLE changed AS
SELECT hash(clinic_id, patient_key) AS patient FROM temp.touched WHERE patient_key IS NOT NULL
UNION
SELECT hash(clinic_id, patient_key) FROM mart.session_outcome
WHERE hash(clinic_id, device_id) IN (SELECT hash(clinic_id, entity) FROM temp.touched WHERE kind = 'device')
  OR protocol_id IN (SELECT entity FROM temp.touched WHERE kind = 'protocol')
