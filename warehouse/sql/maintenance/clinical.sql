-- Grain: one table of schema raw that speaks of patients.
SELECT table_name AS "table"
FROM information_schema.columns
WHERE table_catalog = 'dermastream' AND table_schema = 'raw' AND column_name = 'patient_key'
  AND table_name IN (
    SELECT table_name FROM information_schema.tables
    WHERE table_catalog = 'dermastream' AND table_schema = 'raw' AND table_type = 'BASE TABLE'
  )
ORDER BY "table"
