-- relation: patients whose next maintenance session may be booked; pseudonyms only, and only for readers who may
--           see rows about single patients
-- grain:    one patient of a clinic
-- inputs:   mart.patient_due; $people: whether the reader may; $clinic: of one clinic, null for all; $every_clinic,
--           $clinic_ids: the reader's scope
-- time:     as of the newest refresh
SELECT clinic_id, patient_key, session_id, kind, last_on, due_from, due_until, state, days_overdue, chance_in_time
FROM mart.patient_due
WHERE $people
  AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
  AND ($clinic IS NULL OR clinic_id = $clinic)
ORDER BY days_overdue DESC, due_until, clinic_id, patient_key
LIMIT $most
