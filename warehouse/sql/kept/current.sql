-- temp.session_outcome and so on: the kept marts as they will be once this refresh has committed.
-- grain:    that of each mart
-- inputs:   kept marts, temp.fresh_*, temp.old_*
-- time:     as of the snapshot that is read

CREATE OR REPLACE TEMP VIEW session_outcome AS
FROM dermastream.mart.session_outcome WHERE rowid NOT IN (SELECT place FROM temp.old_session_outcome)
UNION ALL
FROM temp.fresh_session_outcome;

CREATE OR REPLACE TEMP VIEW session_sign AS
FROM dermastream.mart.session_sign WHERE rowid NOT IN (SELECT place FROM temp.old_session_sign)
UNION ALL
FROM temp.fresh_session_sign;

CREATE OR REPLACE TEMP VIEW patient_assessment AS
FROM dermastream.mart.patient_assessment WHERE rowid NOT IN (SELECT place FROM temp.old_patient_assessment)
UNION ALL
FROM temp.fresh_patient_assessment;

CREATE OR REPLACE TEMP VIEW patient_window AS
FROM dermastream.mart.patient_window WHERE rowid NOT IN (SELECT place FROM temp.old_patient_window)
UNION ALL
FROM temp.fresh_patient_window;

CREATE OR REPLACE TEMP VIEW patient_course AS
FROM dermastream.mart.patient_course WHERE rowid NOT IN (SELECT place FROM temp.old_patient_course)
UNION ALL
FROM temp.fresh_patient_course;
