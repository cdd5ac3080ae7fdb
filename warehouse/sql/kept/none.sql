-- temp.fresh_*, gone_*, new_* and old_* where nothing changed: empty.
-- grain:    that of each mart
-- inputs:   kept marts, for their columns
-- time:     -

CREATE OR REPLACE TEMP TABLE fresh_session_outcome AS FROM mart.session_outcome WITH NO DATA;
CREATE OR REPLACE TEMP TABLE fresh_session_sign AS FROM mart.session_sign WITH NO DATA;
CREATE OR REPLACE TEMP TABLE fresh_patient_assessment AS FROM mart.patient_assessment WITH NO DATA;

CREATE OR REPLACE TEMP TABLE gone_session_outcome AS FROM mart.session_outcome WITH NO DATA;
CREATE OR REPLACE TEMP TABLE new_session_outcome AS FROM mart.session_outcome WITH NO DATA;
CREATE OR REPLACE TEMP TABLE gone_session_sign AS FROM mart.session_sign WITH NO DATA;
CREATE OR REPLACE TEMP TABLE new_session_sign AS FROM mart.session_sign WITH NO DATA;
CREATE OR REPLACE TEMP TABLE gone_patient_assessment AS FROM mart.patient_assessment WITH NO DATA;
CREATE OR REPLACE TEMP TABLE new_patient_assessment AS FROM mart.patient_assessment WITH NO DATA;
CREATE OR REPLACE TEMP TABLE gone_patient_window AS FROM mart.patient_window WITH NO DATA;
CREATE OR REPLACE TEMP TABLE new_patient_window AS FROM mart.patient_window WITH NO DATA;
CREATE OR REPLACE TEMP TABLE gone_patient_course AS FROM mart.patient_course WITH NO DATA;
CREATE OR REPLACE TEMP TABLE new_patient_course AS FROM mart.patient_course WITH NO DATA;

CREATE OR REPLACE TEMP TABLE old_session_outcome (place BIGINT);
CREATE OR REPLACE TEMP TABLE old_session_sign (place BIGINT);
CREATE OR REPLACE TEMP TABLE old_patient_assessment (place BIGINT);
CREATE OR REPLACE TEMP TABLE old_patient_window (place BIGINT);
CREATE OR REPLACE TEMP TABLE old_patient_course (place BIGINT);
