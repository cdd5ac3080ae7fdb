-- What became of a quarantined event. A null resolution: it still waits.
ALTER TABLE landing.quarantine ADD COLUMN resolution VARCHAR;
ALTER TABLE landing.quarantine ADD COLUMN resolved_at TIMESTAMPTZ;
ALTER TABLE landing.quarantine ADD COLUMN resolved_by VARCHAR;
ALTER TABLE landing.quarantine ADD COLUMN resolution_note VARCHAR;
COMMENT ON COLUMN landing.quarantine.resolution IS 'replayed: landed after all; duplicate: had landed otherwise; discarded: given up; null: waits';
COMMENT ON COLUMN landing.quarantine.resolved_at IS 'when; UTC';
COMMENT ON COLUMN landing.quarantine.resolved_by IS 'who asked for it';
COMMENT ON COLUMN landing.quarantine.resolution_note IS 'batch of the replay, or the reason to discard';
