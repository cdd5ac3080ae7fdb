-- rows for: warehouse.metrics.schedule
-- grain:    one visit of a patient and the window that it opened, in no order
-- inputs:   temp.patient_window
-- time:     maintenance of all time; windows of a series that opened on $since or later, for they close within weeks

SELECT clinic_id, patient_key, session_id, session_number, kind, opened_on, due_from, due_until, returned_on,
  replaced_on, breaks_on
FROM temp.patient_window
WHERE kind = 'maintenance' OR opened_on >= $since
