-- relation: the clinics an edition names
-- grain:    one clinic
-- inputs:   mart.clinic; $clinic (null: all)
-- time:     newest registration
SELECT clinic_id, display_name
FROM mart.clinic
WHERE CAST($clinic AS VARCHAR) IS NULL OR clinic_id = $clinic
ORDER BY display_name, clinic_id
