-- refresh: the temporary tables go, for the memory they take.

DROP VIEW IF EXISTS temp.wanted;
DROP VIEW IF EXISTS temp.fact;
DROP VIEW IF EXISTS temp.session_outcome;
DROP VIEW IF EXISTS temp.session_sign;
DROP VIEW IF EXISTS temp.patient_assessment;
DROP VIEW IF EXISTS temp.patient_window;
DROP VIEW IF EXISTS temp.patient_course;
DROP TABLE IF EXISTS temp.touched;
DROP TABLE IF EXISTS temp.about;
DROP TABLE IF EXISTS temp.pick;
DROP TABLE IF EXISTS temp.changed;
DROP TABLE IF EXISTS temp.fresh_session_outcome;
DROP TABLE IF EXISTS temp.fresh_session_sign;
DROP TABLE IF EXISTS temp.fresh_patient_assessment;
DROP TABLE IF EXISTS temp.fresh_patient_window;
DROP TABLE IF EXISTS temp.fresh_patient_course;
DROP TABLE IF EXISTS temp.gone_session_outcome;
DROP TABLE IF EXISTS temp.gone_session_sign;
DROP TABLE IF EXISTS temp.gone_patient_assessment;
DROP TABLE IF EXISTS temp.gone_patient_window;
DROP TABLE IF EXISTS temp.gone_patient_course;
DROP TABLE IF EXISTS temp.new_session_outcome;
DROP TABLE IF EXISTS temp.new_session_sign;
DROP TABLE IF EXISTS temp.new_patient_assessment;
DROP TABLE IF EXISTS temp.new_patient_window;
DROP TABLE IF EXISTS temp.new_patient_course;
