-- rows for: warehouse.metrics.schedule
-- grain:    one course of a patient
-- inputs:   temp.patient_course
-- time:     all

FROM temp.patient_course ORDER BY clinic_id, patient_key, course
