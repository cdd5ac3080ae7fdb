-- refresh: windows that are no longer so, found by comparing all columns; window_rows is registered by the caller.
-- A window holds no as_of, so that from day to day only those of patients who came change.
DELETE FROM mart.patient_window
WHERE (clinic_id, session_id) IN (
  SELECT (clinic_id, session_id) FROM (FROM mart.patient_window EXCEPT FROM window_rows)
)
