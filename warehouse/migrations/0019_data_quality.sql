-- 0019: what the checks of landed events find, kept by refresh; facts about sessions are merged by clinic, so that
-- one session's are read without all others'.

CREATE TABLE mart.data_quality (
  check_id VARCHAR,
  clinic_id VARCHAR,
  subjects BIGINT,
  events BIGINT,
  first_occurred_at TIMESTAMPTZ,
  last_occurred_at TIMESTAMPTZ,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT
);
COMMENT ON TABLE mart.data_quality IS 'Grain: one check of core.data_quality, but telemetry without a session, and one clinic with a finding; and one row of each check with clinic_id null, the network''s, also where nothing was found. Looked at again by the first refresh an hour later.';
COMMENT ON COLUMN mart.data_quality.subjects IS 'devices, operators, protocols, sessions or clinics that fail the check';
COMMENT ON COLUMN mart.data_quality.events IS 'events about them';
COMMENT ON COLUMN mart.data_quality.first_occurred_at IS 'when the first of these took place, a session when it was completed; UTC';
COMMENT ON COLUMN mart.data_quality.last_occurred_at IS 'when the last did; UTC';
COMMENT ON COLUMN mart.data_quality.as_of IS 'when it was looked; UTC';
COMMENT ON COLUMN mart.data_quality.snapshot_id IS 'warehouse snapshot it was found in';

-- Layout, as of raw.telemetry_frame: files follow landing order, merging sorts within them.
ALTER TABLE raw.session_completed SET SORTED BY (clinic_id ASC, occurred_at ASC);
ALTER TABLE raw.follow_up_completed SET SORTED BY (clinic_id ASC, occurred_at ASC);
ALTER TABLE raw.assessment_recorded SET SORTED BY (clinic_id ASC, occurred_at ASC);
ALTER TABLE raw.adverse_event_reported SET SORTED BY (clinic_id ASC, occurred_at ASC);
ALTER TABLE raw.adverse_event_updated SET SORTED BY (clinic_id ASC, occurred_at ASC);
ALTER TABLE raw.adverse_event_resolved SET SORTED BY (clinic_id ASC, occurred_at ASC);
ALTER TABLE raw.expected_reaction_observed SET SORTED BY (clinic_id ASC, occurred_at ASC);
