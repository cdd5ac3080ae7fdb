-- temp.gone_*, new_*: of each kept mart, the changed patients' rows that are no longer so, and those that
-- were not so before. Most of a patient's rows stay as they are and are not written again. temp.place_*: where all of
-- their rows stand, for a number is compared faster than the names of clinic and patient.
-- grain:    that of each mart
-- inputs:   kept marts, temp.fresh_*, temp.changed
-- time:     -

CREATE OR REPLACE TEMP TABLE old AS
SELECT rowid AS place, * FROM mart.session_outcome WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);
CREATE OR REPLACE TEMP TABLE place_session_outcome AS SELECT place FROM temp.old;
ALTER TABLE temp.old DROP COLUMN place;
CREATE OR REPLACE TEMP TABLE gone_session_outcome AS FROM temp.old EXCEPT FROM temp.fresh_session_outcome;
CREATE OR REPLACE TEMP TABLE new_session_outcome AS FROM temp.fresh_session_outcome EXCEPT FROM temp.old;

CREATE OR REPLACE TEMP TABLE old AS
SELECT rowid AS place, * FROM mart.session_sign WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);
CREATE OR REPLACE TEMP TABLE place_session_sign AS SELECT place FROM temp.old;
ALTER TABLE temp.old DROP COLUMN place;
CREATE OR REPLACE TEMP TABLE gone_session_sign AS FROM temp.old EXCEPT FROM temp.fresh_session_sign;
CREATE OR REPLACE TEMP TABLE new_session_sign AS FROM temp.fresh_session_sign EXCEPT FROM temp.old;

CREATE OR REPLACE TEMP TABLE old AS
SELECT rowid AS place, * FROM mart.patient_assessment WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);
CREATE OR REPLACE TEMP TABLE place_patient_assessment AS SELECT place FROM temp.old;
ALTER TABLE temp.old DROP COLUMN place;
CREATE OR REPLACE TEMP TABLE gone_patient_assessment AS FROM temp.old EXCEPT FROM temp.fresh_patient_assessment;
CREATE OR REPLACE TEMP TABLE new_patient_assessment AS FROM temp.fresh_patient_assessment EXCEPT FROM temp.old;

CREATE OR REPLACE TEMP TABLE old AS
SELECT rowid AS place, * FROM mart.patient_window WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);
CREATE OR REPLACE TEMP TABLE place_patient_window AS SELECT place FROM temp.old;
ALTER TABLE temp.old DROP COLUMN place;
CREATE OR REPLACE TEMP TABLE gone_patient_window AS FROM temp.old EXCEPT FROM temp.fresh_patient_window;
CREATE OR REPLACE TEMP TABLE new_patient_window AS FROM temp.fresh_patient_window EXCEPT FROM temp.old;

CREATE OR REPLACE TEMP TABLE old AS
SELECT rowid AS place, * FROM mart.patient_course WHERE hash(clinic_id, patient_key) IN (SELECT patient FROM temp.changed);
CREATE OR REPLACE TEMP TABLE place_patient_course AS SELECT place FROM temp.old;
ALTER TABLE temp.old DROP COLUMN place;
CREATE OR REPLACE TEMP TABLE gone_patient_course AS FROM temp.old EXCEPT FROM temp.fresh_patient_course;
CREATE OR REPLACE TEMP TABLE new_patient_course AS FROM temp.fresh_patient_course EXCEPT FROM temp.old;

DROP TABLE temp.old;
