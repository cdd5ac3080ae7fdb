-- relation: the clinics a reader may choose
-- grain:    one clinic
-- inputs:   mart.clinic; $every_clinic, $clinic_ids: the reader's scope
-- time:     as last registered
SELECT clinic_id, display_name, time_zone
FROM mart.clinic
WHERE $every_clinic OR list_contains($clinic_ids, clinic_id)
ORDER BY display_name, clinic_id
