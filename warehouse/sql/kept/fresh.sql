-- temp.fresh_* for a full rebuild: what the rows of the changed patients are now, by the views of core.
-- grain:    that of each view
-- inputs:   core.session_outcome, core.session_sign, core.patient_assessment; temp.changed
-- time:     as the facts are

CREATE OR REPLACE TEMP TABLE fresh_session_outcome AS
FROM core.session_outcome WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);

CREATE OR REPLACE TEMP TABLE fresh_session_sign AS
FROM core.session_sign WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);

CREATE OR REPLACE TEMP TABLE fresh_patient_assessment AS
FROM core.patient_assessment WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);
