-- rows for: warehouse.metrics.schedule
-- grain:    one course of a patient, in no order
-- inputs:   temp.patient_course
-- time:     courses with a session on $since or later, for one without is decided before the year

SELECT clinic_id, last_on, completed_on, newest
FROM temp.patient_course
WHERE last_on >= $since
