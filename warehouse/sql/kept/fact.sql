-- temp.fact: what links facts to each other, of all raw tables that patients' marts read.
-- grain:    one fact
-- inputs:   raw tables
-- time:     all

CREATE OR REPLACE TEMP VIEW fact AS
SELECT clinic_id, source, id, supersedes, NULL::VARCHAR AS voided_id, 'session' AS kind, session_id AS entity,
  session_id, patient_key, occurred_at
FROM dermastream.raw.session_completed
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'follow-up', follow_up_id, session_id, patient_key, occurred_at
FROM dermastream.raw.follow_up_completed
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'sign', adverse_event_id, session_id, patient_key, occurred_at
FROM dermastream.raw.adverse_event_reported
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'sign', adverse_event_id, session_id, patient_key, occurred_at
FROM dermastream.raw.adverse_event_updated
UNION ALL
-- Stated as expected; by the rule it may be none, and a report of the same name counts instead.
SELECT clinic_id, source, id, supersedes, NULL, 'sign', reaction_id, session_id, patient_key, occurred_at
FROM dermastream.raw.expected_reaction_observed
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'sign', adverse_event_id, NULL, patient_key, occurred_at
FROM dermastream.raw.adverse_event_resolved
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'assessment', assessment_id, NULL, patient_key, occurred_at
FROM dermastream.raw.assessment_recorded
UNION ALL
SELECT clinic_id, source, id, supersedes, voided_id, 'void', NULL, NULL, NULL, occurred_at
FROM dermastream.raw.event_voided
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'device', device_id, NULL, NULL, occurred_at
FROM dermastream.raw.device_registered
UNION ALL
SELECT clinic_id, source, id, supersedes, NULL, 'protocol', protocol_id, NULL, NULL, occurred_at
FROM dermastream.raw.protocol_published
