-- Grain: one person that RELATION names.
SELECT DISTINCT patient_key FROM RELATION WHERE patient_key IS NOT NULL
