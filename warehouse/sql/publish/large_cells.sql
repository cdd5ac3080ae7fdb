-- temp.large_cell. Grain: one clinic, age band and skin type with at least $smallest patients: others are too few
-- to be shown together.
CREATE OR REPLACE TEMP TABLE large_cell AS
SELECT clinic_id, age_band, skin_type
FROM core.session
GROUP BY ALL
HAVING count(DISTINCT patient_key) >= $smallest
