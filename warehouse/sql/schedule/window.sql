-- rows for: warehouse.metrics.schedule
-- grain:    one visit of a patient and the window that it opened
-- inputs:   temp.patient_window
-- time:     all

FROM temp.patient_window ORDER BY clinic_id, patient_key, opened_on
