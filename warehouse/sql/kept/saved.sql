-- temp.session_outcome and so on, where a refresh has saved its marts before it measures; and what the checks of
-- marts look through, without rows: they were looked through before they were saved.
-- grain:    that of each mart
-- inputs:   kept marts, in `kept`: the warehouse as of the snapshot that saved them
-- time:     as of the facts that they rest on, which is the snapshot of everything else that is read

CREATE OR REPLACE TEMP VIEW session_outcome AS FROM kept.mart.session_outcome;
CREATE OR REPLACE TEMP VIEW session_sign AS FROM kept.mart.session_sign;
CREATE OR REPLACE TEMP VIEW patient_assessment AS FROM kept.mart.patient_assessment;
CREATE OR REPLACE TEMP VIEW patient_window AS FROM kept.mart.patient_window;
CREATE OR REPLACE TEMP VIEW patient_course AS FROM kept.mart.patient_course;

CREATE OR REPLACE TEMP TABLE new_session_outcome AS FROM kept.mart.session_outcome WITH NO DATA;
CREATE OR REPLACE TEMP TABLE gone_session_outcome AS FROM kept.mart.session_outcome WITH NO DATA;
CREATE OR REPLACE TEMP TABLE new_session_sign AS FROM kept.mart.session_sign WITH NO DATA;
CREATE OR REPLACE TEMP TABLE new_patient_window AS FROM kept.mart.patient_window WITH NO DATA;
CREATE OR REPLACE TEMP TABLE new_patient_course AS FROM kept.mart.patient_course WITH NO DATA;
