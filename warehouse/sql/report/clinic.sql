-- relation: the clinics a report can be about
-- grain:    one clinic
-- inputs:   mart.clinic
-- time:     newest registration
SELECT clinic_id, display_name, time_zone, locale
FROM mart.clinic
ORDER BY display_name, clinic_id
