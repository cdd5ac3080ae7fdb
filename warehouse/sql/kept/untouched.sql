-- temp.touched where there is no snapshot since the marts': empty. Columns as in added.sql.
CREATE OR REPLACE TEMP TABLE touched (
  clinic_id VARCHAR, source VARCHAR, id VARCHAR, supersedes VARCHAR, voided_id VARCHAR, kind VARCHAR, entity VARCHAR,
  session_id VARCHAR, patient_key VARCHAR, occurred_at TIMESTAMPTZ
)
