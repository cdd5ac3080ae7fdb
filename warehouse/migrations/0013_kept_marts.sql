-- 0013: marts that refresh keeps: rows of a view of core, by patient, brought up to date by what changed.
-- The columns are those of the view named in each comment; they hold pseudonyms, erasure removes a patient from them.

CREATE TABLE mart.session_outcome (
  clinic_id VARCHAR,
  session_id VARCHAR,
  patient_key VARCHAR,
  completed_at TIMESTAMPTZ,
  completed_on DATE,
  operator_id VARCHAR,
  device_id VARCHAR,
  firmware VARCHAR,
  protocol_id VARCHAR,
  protocol_version INTEGER,
  sessions_planned INTEGER,
  cartridge_lot VARCHAR,
  cartridge_serial VARCHAR,
  indication VARCHAR,
  area VARCHAR,
  skin_type INTEGER,
  age_band VARCHAR,
  depth_mm DOUBLE,
  phase VARCHAR,
  contraindication_overridden BOOLEAN,
  next_phase VARCHAR,
  next_completed_at TIMESTAMPTZ,
  days_to_next BIGINT,
  series_completed BOOLEAN,
  first_follow_up_at TIMESTAMPTZ,
  follow_up_from_day_1_at TIMESTAMPTZ,
  first_sign_at TIMESTAMPTZ,
  events_from TIMESTAMPTZ[]
);
COMMENT ON TABLE mart.session_outcome IS 'Grain: one session with the patient''s next one and what followed; the rows of core.session_outcome as of mart.kept.snapshot_id.';
COMMENT ON COLUMN mart.session_outcome.completed_on IS 'UTC day of completed_at';
COMMENT ON COLUMN mart.session_outcome.firmware IS 'what the device had when the session was completed; null if not registered by then';
COMMENT ON COLUMN mart.session_outcome.sessions_planned IS 'sessions in the series, by the version of the protocol; null where that is not known';
COMMENT ON COLUMN mart.session_outcome.depth_mm IS 'needle depth set, mm';
COMMENT ON COLUMN mart.session_outcome.next_phase IS 'phase of the patient''s next session at the clinic; null while there is none';
COMMENT ON COLUMN mart.session_outcome.next_completed_at IS 'when that was completed; UTC';
COMMENT ON COLUMN mart.session_outcome.days_to_next IS 'days to it, by UTC date';
COMMENT ON COLUMN mart.session_outcome.series_completed IS 'the planned series ends with this session or ended before it';
COMMENT ON COLUMN mart.session_outcome.first_follow_up_at IS 'first contact after the session; null while there is none; UTC';
COMMENT ON COLUMN mart.session_outcome.follow_up_from_day_1_at IS 'first contact on a later UTC day than the session; null while there is none; UTC';
COMMENT ON COLUMN mart.session_outcome.first_sign_at IS 'when the first sign was reported; null while none was; UTC';
COMMENT ON COLUMN mart.session_outcome.events_from IS 'for each adverse event that is not an expected reaction, the moment after which it counts; UTC';

CREATE TABLE mart.patient_assessment (
  clinic_id VARCHAR,
  assessment_id VARCHAR,
  patient_key VARCHAR,
  session_id VARCHAR,
  score DOUBLE,
  rater VARCHAR,
  occurred_at TIMESTAMPTZ
);
COMMENT ON TABLE mart.patient_assessment IS 'Grain: one score of a patient on the Global Aesthetic Improvement Scale; the rows of core.patient_assessment as of mart.kept.snapshot_id.';
COMMENT ON COLUMN mart.patient_assessment.score IS '1 (very much improved) to 5 (worse)';

CREATE TABLE mart.session_sign (
  clinic_id VARCHAR,
  adverse_event_id VARCHAR,
  patient_key VARCHAR,
  session_id VARCHAR,
  term VARCHAR,
  grade INTEGER,
  serious BOOLEAN,
  onset_at TIMESTAMPTZ,
  occurred_at TIMESTAMPTZ,
  counts_from_at TIMESTAMPTZ
);
COMMENT ON TABLE mart.session_sign IS 'Grain: one sign reported after a session that is known; the rows of core.session_sign as of mart.kept.snapshot_id.';
COMMENT ON COLUMN mart.session_sign.counts_from_at IS 'it is an adverse event for every as_of after this; null: an expected reaction; UTC';

CREATE TABLE mart.patient_course (
  clinic_id VARCHAR,
  patient_key VARCHAR,
  course INTEGER,
  indication VARCHAR,
  started_by VARCHAR,
  started_on DATE,
  last_on DATE,
  sessions_planned INTEGER,
  sessions_done INTEGER,
  completed_on DATE,
  newest BOOLEAN
);
COMMENT ON TABLE mart.patient_course IS 'Grain: one course of a patient, rebuilt from sessions by the rules of warehouse.metrics.courses.';
COMMENT ON COLUMN mart.patient_course.course IS 'course of the patient, from 1';
COMMENT ON COLUMN mart.patient_course.started_by IS 'the rule that began it';
COMMENT ON COLUMN mart.patient_course.started_on IS 'day of its first session; UTC';
COMMENT ON COLUMN mart.patient_course.last_on IS 'day of its last session; UTC';
COMMENT ON COLUMN mart.patient_course.sessions_done IS 'sessions of the series, up to the plan';
COMMENT ON COLUMN mart.patient_course.completed_on IS 'day of the last planned session; null while the series is not complete; UTC';
COMMENT ON COLUMN mart.patient_course.newest IS 'the patient''s newest course';

CREATE TABLE mart.kept (
  snapshot_id BIGINT,
  definitions VARCHAR
);
COMMENT ON TABLE mart.kept IS 'Grain: one row once marts were built. What mart.session_outcome, session_sign, patient_assessment, patient_window and patient_course rest on.';
COMMENT ON COLUMN mart.kept.snapshot_id IS 'warehouse snapshot whose facts they hold; later changes are found by the change feed from there';
COMMENT ON COLUMN mart.kept.definitions IS 'digest of the definitions they were made by; others mean a full rebuild';
