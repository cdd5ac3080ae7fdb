-- refresh: what is no longer so leaves the kept marts, and what is new enters them, in the order of migration 0017.
-- inputs:   temp.gone_*, temp.old_* (where they stand: a row keeps its number when files are merged or written again),
--           temp.new_*
-- time:     from mart.kept.snapshot_id to the snapshot that was read; mart.kept is moved in the same transaction

DELETE FROM mart.session_outcome
WHERE rowid IN (
  SELECT place FROM temp.old_session_outcome
  WHERE (clinic_id, session_id) IN (SELECT (clinic_id, session_id) FROM temp.gone_session_outcome)
);
INSERT INTO mart.session_outcome BY NAME FROM temp.new_session_outcome ORDER BY date_trunc('month', completed_at), clinic_id;

DELETE FROM mart.session_sign
WHERE rowid IN (
  SELECT place FROM temp.old_session_sign
  WHERE (clinic_id, adverse_event_id) IN (SELECT (clinic_id, adverse_event_id) FROM temp.gone_session_sign)
);
INSERT INTO mart.session_sign BY NAME FROM temp.new_session_sign ORDER BY date_trunc('month', occurred_at), clinic_id;

DELETE FROM mart.patient_assessment
WHERE rowid IN (
  SELECT place FROM temp.old_patient_assessment
  WHERE (clinic_id, assessment_id) IN (SELECT (clinic_id, assessment_id) FROM temp.gone_patient_assessment)
);
INSERT INTO mart.patient_assessment BY NAME FROM temp.new_patient_assessment ORDER BY date_trunc('month', occurred_at), clinic_id;

DELETE FROM mart.patient_window
WHERE rowid IN (
  SELECT place FROM temp.old_patient_window
  WHERE (clinic_id, session_id) IN (SELECT (clinic_id, session_id) FROM temp.gone_patient_window)
);
INSERT INTO mart.patient_window BY NAME FROM temp.new_patient_window ORDER BY date_trunc('month', opened_on), clinic_id;

DELETE FROM mart.patient_course
WHERE rowid IN (
  SELECT place FROM temp.old_patient_course
  WHERE (clinic_id, patient_key, course) IN (SELECT (clinic_id, patient_key, course) FROM temp.gone_patient_course)
);
INSERT INTO mart.patient_course BY NAME FROM temp.new_patient_course ORDER BY date_trunc('month', last_on), clinic_id;
