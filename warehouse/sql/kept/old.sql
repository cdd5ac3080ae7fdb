-- temp.old_*: the rows of the changed patients in the kept marts, and where they stand there, for a number is
-- compared faster than the names of clinic and patient.
-- grain:    that of each mart
-- inputs:   kept marts, temp.changed
-- time:     as of the marts' snapshot

CREATE OR REPLACE TEMP TABLE old_session_outcome AS
SELECT rowid AS place, * FROM mart.session_outcome WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);

CREATE OR REPLACE TEMP TABLE old_session_sign AS
SELECT rowid AS place, * FROM mart.session_sign WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);

CREATE OR REPLACE TEMP TABLE old_patient_assessment AS
SELECT rowid AS place, * FROM mart.patient_assessment WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);

CREATE OR REPLACE TEMP TABLE old_patient_window AS
SELECT rowid AS place, * FROM mart.patient_window WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);

CREATE OR REPLACE TEMP TABLE old_patient_course AS
SELECT rowid AS place, * FROM mart.patient_course WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);
