-- temp.gone_*, new_*: of each kept mart, the changed patients' rows that are no longer so, and those that
-- were not so before. Most of a patient's rows stay as they are and are not written again.
-- grain:    that of each mart
-- inputs:   temp.old_*, temp.fresh_*
-- time:     -

CREATE OR REPLACE TEMP TABLE gone_session_outcome AS
SELECT * EXCLUDE (place) FROM temp.old_session_outcome EXCEPT FROM temp.fresh_session_outcome;
CREATE OR REPLACE TEMP TABLE new_session_outcome AS
FROM temp.fresh_session_outcome EXCEPT SELECT * EXCLUDE (place) FROM temp.old_session_outcome;

CREATE OR REPLACE TEMP TABLE gone_session_sign AS
SELECT * EXCLUDE (place) FROM temp.old_session_sign EXCEPT FROM temp.fresh_session_sign;
CREATE OR REPLACE TEMP TABLE new_session_sign AS
FROM temp.fresh_session_sign EXCEPT SELECT * EXCLUDE (place) FROM temp.old_session_sign;

CREATE OR REPLACE TEMP TABLE gone_patient_assessment AS
SELECT * EXCLUDE (place) FROM temp.old_patient_assessment EXCEPT FROM temp.fresh_patient_assessment;
CREATE OR REPLACE TEMP TABLE new_patient_assessment AS
FROM temp.fresh_patient_assessment EXCEPT SELECT * EXCLUDE (place) FROM temp.old_patient_assessment;

CREATE OR REPLACE TEMP TABLE gone_patient_window AS
SELECT * EXCLUDE (place) FROM temp.old_patient_window EXCEPT FROM temp.fresh_patient_window;
CREATE OR REPLACE TEMP TABLE new_patient_window AS
FROM temp.fresh_patient_window EXCEPT SELECT * EXCLUDE (place) FROM temp.old_patient_window;

CREATE OR REPLACE TEMP TABLE gone_patient_course AS
SELECT * EXCLUDE (place) FROM temp.old_patient_course EXCEPT FROM temp.fresh_patient_course;
CREATE OR REPLACE TEMP TABLE new_patient_course AS
FROM temp.fresh_patient_course EXCEPT SELECT * EXCLUDE (place) FROM temp.old_patient_course;
