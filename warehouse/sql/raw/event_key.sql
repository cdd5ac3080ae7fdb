-- raw.event_key. Grain: one landed event of any type. What de-duplication asks: was this (source, id) landed?
CREATE OR REPLACE VIEW raw.event_key AS
SELECT source, id, occurred_at, content_hash FROM raw.clinic_registered
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.operator_registered
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.device_registered
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.protocol_published
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.session_booked
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.session_cancelled
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.session_missed
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.session_screened
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.session_started
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.numbing_applied
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.pass_completed
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.session_completed
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.session_aborted
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.telemetry_frame
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.device_faulted
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.device_calibrated
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.device_serviced
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.device_firmware_updated
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.cartridge_opened
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.cartridge_discarded
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.adverse_event_reported
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.adverse_event_updated
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.adverse_event_resolved
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.expected_reaction_observed
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.assessment_recorded
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.follow_up_completed
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.aftercare_breached
UNION ALL
SELECT source, id, occurred_at, content_hash FROM raw.event_voided;
COMMENT ON VIEW raw.event_key IS 'Grain: one landed event of any type; source and id are unique over all of them.';
