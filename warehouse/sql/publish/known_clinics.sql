-- Grain: one clinic.
SELECT clinic_id FROM core.clinic
