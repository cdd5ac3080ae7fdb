-- 0001: raw facts as landed (append-only), the landing books, and metric results.
-- DuckLake has no keys: uniqueness of (source, id) is kept by the landing transaction alone.

CREATE SCHEMA raw;
CREATE SCHEMA landing;
CREATE SCHEMA core;
CREATE SCHEMA mart;

CREATE TABLE raw.clinic_registered (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  display_name VARCHAR,
  time_zone VARCHAR,
  locale VARCHAR,
  opened_on DATE
);
COMMENT ON TABLE raw.clinic_registered IS 'Grain: one clinic as registered or changed, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.clinic_registered.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.clinic_registered.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.clinic_registered.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.clinic_registered.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.clinic_registered.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.clinic_registered.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.clinic_registered.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.clinic_registered.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.clinic_registered.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.clinic_registered.display_name IS 'name to show';
COMMENT ON COLUMN raw.clinic_registered.time_zone IS 'IANA time zone';
COMMENT ON COLUMN raw.clinic_registered.locale IS 'BCP 47 language, optionally with region';
COMMENT ON COLUMN raw.clinic_registered.opened_on IS 'first day of business, clinic-local';

CREATE TABLE raw.operator_registered (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  operator_id VARCHAR,
  role VARCHAR
);
COMMENT ON TABLE raw.operator_registered IS 'Grain: one operator as registered or changed, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.operator_registered.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.operator_registered.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.operator_registered.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.operator_registered.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.operator_registered.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.operator_registered.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.operator_registered.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.operator_registered.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.operator_registered.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.operator_registered.operator_id IS 'clinic''s pseudonym of the operator';
COMMENT ON COLUMN raw.operator_registered.role IS 'physician, nurse or aesthetician';

CREATE TABLE raw.device_registered (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  device_id VARCHAR,
  model VARCHAR,
  udi_di VARCHAR,
  serial VARCHAR,
  firmware VARCHAR,
  in_service_on DATE
);
COMMENT ON TABLE raw.device_registered IS 'Grain: one device as registered or changed, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.device_registered.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.device_registered.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.device_registered.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.device_registered.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.device_registered.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.device_registered.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.device_registered.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.device_registered.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.device_registered.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.device_registered.device_id IS 'device';
COMMENT ON COLUMN raw.device_registered.model IS 'model';
COMMENT ON COLUMN raw.device_registered.udi_di IS 'UDI device identifier (GTIN-14)';
COMMENT ON COLUMN raw.device_registered.serial IS 'UDI production identifier: serial number';
COMMENT ON COLUMN raw.device_registered.firmware IS 'firmware version at that time';
COMMENT ON COLUMN raw.device_registered.in_service_on IS 'first day of use, clinic-local';

CREATE TABLE raw.protocol_published (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  protocol_id VARCHAR,
  version INTEGER,
  indication VARCHAR,
  depth_mm DOUBLE,
  stroke_rate_per_min DOUBLE,
  sessions_planned INTEGER,
  interval_days INTEGER
);
COMMENT ON TABLE raw.protocol_published IS 'Grain: one protocol version as published, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.protocol_published.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.protocol_published.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.protocol_published.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.protocol_published.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.protocol_published.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.protocol_published.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.protocol_published.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.protocol_published.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.protocol_published.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.protocol_published.protocol_id IS 'protocol';
COMMENT ON COLUMN raw.protocol_published.version IS 'version of the protocol, from 1';
COMMENT ON COLUMN raw.protocol_published.indication IS 'skin concern it treats';
COMMENT ON COLUMN raw.protocol_published.depth_mm IS 'needle depth to set, mm';
COMMENT ON COLUMN raw.protocol_published.stroke_rate_per_min IS 'strokes per minute to set';
COMMENT ON COLUMN raw.protocol_published.sessions_planned IS 'sessions in the series';
COMMENT ON COLUMN raw.protocol_published.interval_days IS 'days between sessions of the series';

CREATE TABLE raw.session_completed (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  session_id VARCHAR,
  patient_key VARCHAR,
  operator_id VARCHAR,
  device_id VARCHAR,
  protocol_id VARCHAR,
  protocol_version INTEGER,
  cartridge_lot VARCHAR,
  cartridge_serial VARCHAR,
  indication VARCHAR,
  area VARCHAR,
  skin_type INTEGER,
  age_band VARCHAR,
  phase VARCHAR,
  session_number INTEGER,
  started_at TIMESTAMPTZ,
  completed_at TIMESTAMPTZ,
  depth_mm DOUBLE,
  stroke_rate_per_min DOUBLE,
  passes INTEGER,
  contraindication_overridden BOOLEAN
);
COMMENT ON TABLE raw.session_completed IS 'Grain: one completed session as stated, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.session_completed.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.session_completed.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.session_completed.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.session_completed.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.session_completed.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.session_completed.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.session_completed.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.session_completed.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.session_completed.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.session_completed.session_id IS 'session';
COMMENT ON COLUMN raw.session_completed.patient_key IS 'keyed hash of the patient, made at the clinic';
COMMENT ON COLUMN raw.session_completed.operator_id IS 'who treated';
COMMENT ON COLUMN raw.session_completed.device_id IS 'device used';
COMMENT ON COLUMN raw.session_completed.protocol_id IS 'protocol followed';
COMMENT ON COLUMN raw.session_completed.protocol_version IS 'its version';
COMMENT ON COLUMN raw.session_completed.cartridge_lot IS 'lot of the needle cartridge';
COMMENT ON COLUMN raw.session_completed.cartridge_serial IS 'serial of the needle cartridge, single use';
COMMENT ON COLUMN raw.session_completed.indication IS 'skin concern treated';
COMMENT ON COLUMN raw.session_completed.area IS 'area of the body';
COMMENT ON COLUMN raw.session_completed.skin_type IS 'Fitzpatrick skin type I-VI as 1-6';
COMMENT ON COLUMN raw.session_completed.age_band IS 'age in bands of ten years';
COMMENT ON COLUMN raw.session_completed.phase IS 'series or maintenance';
COMMENT ON COLUMN raw.session_completed.session_number IS 'number of the session in the patient''s course, from 1';
COMMENT ON COLUMN raw.session_completed.started_at IS 'needling began; UTC';
COMMENT ON COLUMN raw.session_completed.completed_at IS 'session ended; UTC';
COMMENT ON COLUMN raw.session_completed.depth_mm IS 'needle depth set, mm';
COMMENT ON COLUMN raw.session_completed.stroke_rate_per_min IS 'strokes per minute set';
COMMENT ON COLUMN raw.session_completed.passes IS 'passes over the area';
COMMENT ON COLUMN raw.session_completed.contraindication_overridden IS 'treated in spite of a contraindication found at screening';

CREATE TABLE raw.telemetry_frame (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  device_id VARCHAR,
  sequence BIGINT,
  sample_interval_ms INTEGER,
  depth_mm FLOAT[],
  stroke_rate_per_min FLOAT[],
  motor_current_ma FLOAT[],
  battery_percent FLOAT,
  session_id VARCHAR
);
COMMENT ON TABLE raw.telemetry_frame IS 'Grain: one telemetry frame of one device, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.telemetry_frame.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.telemetry_frame.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.telemetry_frame.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.telemetry_frame.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.telemetry_frame.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.telemetry_frame.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.telemetry_frame.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.telemetry_frame.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.telemetry_frame.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.telemetry_frame.device_id IS 'device';
COMMENT ON COLUMN raw.telemetry_frame.sequence IS 'frame number of the device, from 0';
COMMENT ON COLUMN raw.telemetry_frame.sample_interval_ms IS 'milliseconds between samples';
COMMENT ON COLUMN raw.telemetry_frame.depth_mm IS 'needle depth measured, mm, one per sample';
COMMENT ON COLUMN raw.telemetry_frame.stroke_rate_per_min IS 'strokes per minute measured, one per sample';
COMMENT ON COLUMN raw.telemetry_frame.motor_current_ma IS 'motor current, mA, one per sample';
COMMENT ON COLUMN raw.telemetry_frame.battery_percent IS 'battery charge, percent';
COMMENT ON COLUMN raw.telemetry_frame.session_id IS 'session being treated; null in an idle heartbeat';

CREATE TABLE raw.device_calibrated (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  device_id VARCHAR,
  depth_error_mm DOUBLE
);
COMMENT ON TABLE raw.device_calibrated IS 'Grain: one calibration of a device, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.device_calibrated.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.device_calibrated.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.device_calibrated.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.device_calibrated.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.device_calibrated.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.device_calibrated.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.device_calibrated.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.device_calibrated.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.device_calibrated.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.device_calibrated.device_id IS 'device';
COMMENT ON COLUMN raw.device_calibrated.depth_error_mm IS 'depth error found before adjusting, mm';

CREATE TABLE raw.adverse_event_reported (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  adverse_event_id VARCHAR,
  session_id VARCHAR,
  patient_key VARCHAR,
  term VARCHAR,
  grade INTEGER,
  serious BOOLEAN,
  relatedness VARCHAR,
  onset_at TIMESTAMPTZ,
  became_aware_at TIMESTAMPTZ
);
COMMENT ON TABLE raw.adverse_event_reported IS 'Grain: one sign reported after a session, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.adverse_event_reported.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.adverse_event_reported.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.adverse_event_reported.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.adverse_event_reported.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.adverse_event_reported.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.adverse_event_reported.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.adverse_event_reported.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.adverse_event_reported.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.adverse_event_reported.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.adverse_event_reported.adverse_event_id IS 'adverse event';
COMMENT ON COLUMN raw.adverse_event_reported.session_id IS 'session it followed';
COMMENT ON COLUMN raw.adverse_event_reported.patient_key IS 'keyed hash of the patient';
COMMENT ON COLUMN raw.adverse_event_reported.term IS 'what was seen';
COMMENT ON COLUMN raw.adverse_event_reported.grade IS 'CTCAE grade 1-5';
COMMENT ON COLUMN raw.adverse_event_reported.serious IS 'regulatory seriousness';
COMMENT ON COLUMN raw.adverse_event_reported.relatedness IS 'reporter''s judgement of the relation to the treatment';
COMMENT ON COLUMN raw.adverse_event_reported.onset_at IS 'first seen; UTC';
COMMENT ON COLUMN raw.adverse_event_reported.became_aware_at IS 'clinic became aware; UTC; regulators'' clocks start here';

CREATE TABLE raw.adverse_event_resolved (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  adverse_event_id VARCHAR,
  patient_key VARCHAR,
  resolved_at TIMESTAMPTZ
);
COMMENT ON TABLE raw.adverse_event_resolved IS 'Grain: one end of a reported sign, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.adverse_event_resolved.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.adverse_event_resolved.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.adverse_event_resolved.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.adverse_event_resolved.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.adverse_event_resolved.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.adverse_event_resolved.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.adverse_event_resolved.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.adverse_event_resolved.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.adverse_event_resolved.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.adverse_event_resolved.adverse_event_id IS 'adverse event';
COMMENT ON COLUMN raw.adverse_event_resolved.patient_key IS 'keyed hash of the patient';
COMMENT ON COLUMN raw.adverse_event_resolved.resolved_at IS 'sign gone; UTC';

CREATE TABLE raw.assessment_recorded (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  assessment_id VARCHAR,
  session_id VARCHAR,
  patient_key VARCHAR,
  scale VARCHAR,
  score DOUBLE,
  rater VARCHAR
);
COMMENT ON TABLE raw.assessment_recorded IS 'Grain: one score on a scale, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.assessment_recorded.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.assessment_recorded.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.assessment_recorded.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.assessment_recorded.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.assessment_recorded.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.assessment_recorded.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.assessment_recorded.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.assessment_recorded.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.assessment_recorded.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.assessment_recorded.assessment_id IS 'assessment';
COMMENT ON COLUMN raw.assessment_recorded.session_id IS 'latest session before it';
COMMENT ON COLUMN raw.assessment_recorded.patient_key IS 'keyed hash of the patient';
COMMENT ON COLUMN raw.assessment_recorded.scale IS 'gais 1-5 (lower is better), goodman-baron 1-4 (lower is better), satisfaction 0-100 (higher is better), vas 0-10 (lower is better)';
COMMENT ON COLUMN raw.assessment_recorded.score IS 'score, in the scale''s own unit';
COMMENT ON COLUMN raw.assessment_recorded.rater IS 'clinician or patient';

CREATE TABLE raw.follow_up_completed (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  follow_up_id VARCHAR,
  session_id VARCHAR,
  patient_key VARCHAR,
  adverse_event_found BOOLEAN,
  channel VARCHAR
);
COMMENT ON TABLE raw.follow_up_completed IS 'Grain: one follow-up contact after a session, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.follow_up_completed.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.follow_up_completed.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.follow_up_completed.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.follow_up_completed.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.follow_up_completed.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.follow_up_completed.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.follow_up_completed.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.follow_up_completed.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.follow_up_completed.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.follow_up_completed.follow_up_id IS 'follow-up';
COMMENT ON COLUMN raw.follow_up_completed.session_id IS 'session followed up';
COMMENT ON COLUMN raw.follow_up_completed.patient_key IS 'keyed hash of the patient';
COMMENT ON COLUMN raw.follow_up_completed.adverse_event_found IS 'whether any sign was found';
COMMENT ON COLUMN raw.follow_up_completed.channel IS 'visit, phone, message or app';

CREATE TABLE raw.event_voided (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  voided_id VARCHAR,
  reason VARCHAR
);
COMMENT ON TABLE raw.event_voided IS 'Grain: one withdrawal of an earlier event, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.event_voided.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.event_voided.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.event_voided.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.event_voided.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.event_voided.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.event_voided.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.event_voided.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.event_voided.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.event_voided.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.event_voided.voided_id IS 'id of the event of the same source that never happened';
COMMENT ON COLUMN raw.event_voided.reason IS 'why it was withdrawn';

CREATE TABLE landing.progress (
  topic VARCHAR,
  "partition" INTEGER,
  next_offset BIGINT,
  batch_id VARCHAR,
  updated_at TIMESTAMPTZ
);
COMMENT ON TABLE landing.progress IS 'Grain: one topic-partition. Where landing resumes; the only truth about progress.';
COMMENT ON COLUMN landing.progress.topic IS 'Kafka topic';
COMMENT ON COLUMN landing.progress."partition" IS 'partition';
COMMENT ON COLUMN landing.progress.next_offset IS 'first offset not yet landed; updated by compare-and-set in the rows'' own transaction';
COMMENT ON COLUMN landing.progress.batch_id IS 'batch that set it; null at the start';
COMMENT ON COLUMN landing.progress.updated_at IS 'when; UTC';

CREATE TABLE landing.batch (
  batch_id VARCHAR,
  topic VARCHAR,
  "partition" INTEGER,
  first_offset BIGINT,
  next_offset BIGINT,
  consumed BIGINT,
  landed BIGINT,
  duplicate BIGINT,
  quarantined BIGINT,
  skipped BIGINT,
  newest_received_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  worker VARCHAR
);
COMMENT ON TABLE landing.batch IS 'Grain: one topic-partition of one batch. Ledger: consumed = landed + duplicate + quarantined; next_offset - first_offset = consumed + skipped.';
COMMENT ON COLUMN landing.batch.batch_id IS 'batch';
COMMENT ON COLUMN landing.batch.topic IS 'Kafka topic';
COMMENT ON COLUMN landing.batch."partition" IS 'partition';
COMMENT ON COLUMN landing.batch.first_offset IS 'offset where the batch began';
COMMENT ON COLUMN landing.batch.next_offset IS 'offset after its last event';
COMMENT ON COLUMN landing.batch.consumed IS 'events read';
COMMENT ON COLUMN landing.batch.landed IS 'events stored in raw';
COMMENT ON COLUMN landing.batch.duplicate IS 'events already stored, same content';
COMMENT ON COLUMN landing.batch.quarantined IS 'events refused, kept in landing.quarantine';
COMMENT ON COLUMN landing.batch.skipped IS 'offsets without an event: compacted away or control records';
COMMENT ON COLUMN landing.batch.newest_received_at IS 'broker time of its newest event; UTC';
COMMENT ON COLUMN landing.batch.started_at IS 'polling began; UTC';
COMMENT ON COLUMN landing.batch.landed_at IS 'transaction began; UTC';
COMMENT ON COLUMN landing.batch.worker IS 'host and process that landed it';

CREATE TABLE landing.quarantine (
  topic VARCHAR,
  "partition" INTEGER,
  "offset" BIGINT,
  received_at TIMESTAMPTZ,
  key BLOB,
  value BLOB,
  headers VARCHAR,
  rule VARCHAR,
  path VARCHAR,
  detail VARCHAR,
  codec_version VARCHAR,
  batch_id VARCHAR,
  landed_at TIMESTAMPTZ
);
COMMENT ON TABLE landing.quarantine IS 'Grain: one refused event, kept whole with reason and origin.';
COMMENT ON COLUMN landing.quarantine.topic IS 'Kafka topic';
COMMENT ON COLUMN landing.quarantine."partition" IS 'partition';
COMMENT ON COLUMN landing.quarantine."offset" IS 'offset';
COMMENT ON COLUMN landing.quarantine.received_at IS 'broker time; UTC';
COMMENT ON COLUMN landing.quarantine.key IS 'Kafka key as received; null if none';
COMMENT ON COLUMN landing.quarantine.value IS 'the event as received; null if none';
COMMENT ON COLUMN landing.quarantine.headers IS 'Kafka headers as JSON, values in base64';
COMMENT ON COLUMN landing.quarantine.rule IS 'contract rule that refused it';
COMMENT ON COLUMN landing.quarantine.path IS 'JSON path at fault';
COMMENT ON COLUMN landing.quarantine.detail IS 'the rule in words; no value of the event';
COMMENT ON COLUMN landing.quarantine.codec_version IS 'version of the rules';
COMMENT ON COLUMN landing.quarantine.batch_id IS 'landing.batch that refused it';
COMMENT ON COLUMN landing.quarantine.landed_at IS 'when; UTC';

CREATE TABLE mart.metric_result (
  metric_id VARCHAR,
  metric_version INTEGER,
  scope VARCHAR,
  scope_id VARCHAR,
  period VARCHAR,
  interval_start TIMESTAMPTZ,
  interval_end TIMESTAMPTZ,
  as_of TIMESTAMPTZ,
  snapshot_id BIGINT,
  numerator DOUBLE,
  denominator DOUBLE,
  value DOUBLE,
  lower DOUBLE,
  upper DOUBLE,
  level DOUBLE,
  unit VARCHAR,
  method VARCHAR,
  reason VARCHAR,
  computed_at TIMESTAMPTZ
);
COMMENT ON TABLE mart.metric_result IS 'Grain: one metric version, scope, period and interval, as of one day. Every number shown to anyone comes from here.';
COMMENT ON COLUMN mart.metric_result.metric_id IS 'metric card';
COMMENT ON COLUMN mart.metric_result.metric_version IS 'version of the card';
COMMENT ON COLUMN mart.metric_result.scope IS 'what the row is about: network, clinic, protocol';
COMMENT ON COLUMN mart.metric_result.scope_id IS 'which one; network for the whole';
COMMENT ON COLUMN mart.metric_result.period IS 'kind of interval: year or week';
COMMENT ON COLUMN mart.metric_result.interval_start IS 'start of the interval, inclusive; UTC';
COMMENT ON COLUMN mart.metric_result.interval_end IS 'end of the interval, exclusive; UTC';
COMMENT ON COLUMN mart.metric_result.as_of IS 'what was known up to then; UTC';
COMMENT ON COLUMN mart.metric_result.snapshot_id IS 'warehouse snapshot it was computed from';
COMMENT ON COLUMN mart.metric_result.numerator IS 'numerator';
COMMENT ON COLUMN mart.metric_result.denominator IS 'denominator';
COMMENT ON COLUMN mart.metric_result.value IS 'numerator / denominator in the card''s unit; null when not estimable';
COMMENT ON COLUMN mart.metric_result.lower IS 'lower limit of the interval; null when not estimable';
COMMENT ON COLUMN mart.metric_result.upper IS 'upper limit of the interval; null when not estimable';
COMMENT ON COLUMN mart.metric_result.level IS 'confidence level of the interval';
COMMENT ON COLUMN mart.metric_result.unit IS 'unit of value, lower and upper';
COMMENT ON COLUMN mart.metric_result.method IS 'interval method';
COMMENT ON COLUMN mart.metric_result.reason IS 'why there is no value; null when there is one';
COMMENT ON COLUMN mart.metric_result.computed_at IS 'when; UTC';
