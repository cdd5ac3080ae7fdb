-- temp.touched: where the search for changed patients begins.
-- grain:    one fact that was added to the raw tables that patients' marts read
-- inputs:   DuckLake's change feed
-- time:     snapshots $first to $last, both included

CREATE OR REPLACE TEMP TABLE touched AS
SELECT clinic_id, source, id, supersedes, NULL::VARCHAR AS voided_id, 'session' AS kind, session_id AS entity,
  session_id, patient_key, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'session_completed', $first, $last)
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'follow-up', follow_up_id, session_id, patient_key, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'follow_up_completed', $first, $last)
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'sign', adverse_event_id, session_id, patient_key, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'adverse_event_reported', $first, $last)
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'sign', adverse_event_id, session_id, patient_key, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'adverse_event_updated', $first, $last)
UNION ALL
-- Stated as expected; by the rule it may be none, and a report of the same name counts instead.
SELECT clinic_id, source, id, supersedes, NULL, 'sign', reaction_id, session_id, patient_key, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'expected_reaction_observed', $first, $last)
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'sign', adverse_event_id, NULL, patient_key, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'adverse_event_resolved', $first, $last)
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'assessment', assessment_id, NULL, patient_key, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'assessment_recorded', $first, $last)
UNION ALL
SELECT clinic_id, source, id, supersedes, voided_id, 'void', NULL, NULL, NULL, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'event_voided', $first, $last)
UNION ALL
-- A registration decides about the sessions with that device (firmware) ...
SELECT clinic_id, source, id, supersedes, NULL, 'device', device_id, NULL, NULL, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'device_registered', $first, $last)
UNION ALL
-- ... and a protocol about those that follow it, in every clinic (sessions planned).
SELECT clinic_id, source, id, supersedes, NULL, 'protocol', protocol_id, NULL, NULL, occurred_at
FROM ducklake_table_insertions('dermastream', 'raw', 'protocol_published', $first, $last)
