-- rows for: warehouse.metrics.schedule
-- grain:    one session of a clinic before the year, in no order: only that the patient was there
-- inputs:   temp.session_outcome
-- time:     completed on [$since, $until); days are UTC dates

SELECT clinic_id, patient_key, completed_on
FROM temp.session_outcome
WHERE patient_key IS NOT NULL AND completed_on >= $since AND completed_on < $until
