-- 0002: the rest of what clinics can state: booking to abortion of a session, faults and upkeep of devices and
-- cartridges, updates of adverse events, expected reactions, aftercare; and what newer versions of an event add.
-- A new version only adds optional fields, so its columns are null for events of the versions before.

CREATE TABLE raw.session_booked (
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
  scheduled_at TIMESTAMPTZ,
  duration_min INTEGER,
  phase VARCHAR,
  indication VARCHAR,
  channel VARCHAR,
  prepaid BOOLEAN,
  operator_id VARCHAR,
  protocol_id VARCHAR
);
COMMENT ON TABLE raw.session_booked IS 'Grain: one booking of a visit, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.session_booked.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.session_booked.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.session_booked.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.session_booked.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.session_booked.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.session_booked.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.session_booked.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.session_booked.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.session_booked.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.session_booked.session_id IS 'session; the same from booking to follow-up';
COMMENT ON COLUMN raw.session_booked.patient_key IS 'keyed hash of the clinic''s patient number, made at the clinic: 128 bits, hexadecimal';
COMMENT ON COLUMN raw.session_booked.scheduled_at IS 'start of the visit; at most two years ahead; UTC';
COMMENT ON COLUMN raw.session_booked.duration_min IS 'minutes set aside; a session takes 30-60, 240 is ample';
COMMENT ON COLUMN raw.session_booked.phase IS 'series of sessions 4-6 weeks apart, or maintenance every 3-6 months';
COMMENT ON COLUMN raw.session_booked.indication IS 'skin concern treated';
COMMENT ON COLUMN raw.session_booked.channel IS 'how it was booked';
COMMENT ON COLUMN raw.session_booked.prepaid IS 'paid before the visit; then no-shows are rarer';
COMMENT ON COLUMN raw.session_booked.operator_id IS 'who treats, under a pseudonym of the clinic''s own; null if not stated';
COMMENT ON COLUMN raw.session_booked.protocol_id IS 'treatment protocol; null if not stated';

CREATE TABLE raw.session_cancelled (
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
  cancelled_by VARCHAR,
  reason VARCHAR
);
COMMENT ON TABLE raw.session_cancelled IS 'Grain: one cancellation of a booked visit, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.session_cancelled.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.session_cancelled.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.session_cancelled.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.session_cancelled.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.session_cancelled.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.session_cancelled.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.session_cancelled.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.session_cancelled.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.session_cancelled.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.session_cancelled.session_id IS 'session; the same from booking to follow-up';
COMMENT ON COLUMN raw.session_cancelled.patient_key IS 'keyed hash of the clinic''s patient number, made at the clinic: 128 bits, hexadecimal';
COMMENT ON COLUMN raw.session_cancelled.cancelled_by IS 'who called it off';
COMMENT ON COLUMN raw.session_cancelled.reason IS 'why';

CREATE TABLE raw.session_missed (
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
  scheduled_at TIMESTAMPTZ
);
COMMENT ON TABLE raw.session_missed IS 'Grain: one no-show, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.session_missed.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.session_missed.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.session_missed.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.session_missed.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.session_missed.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.session_missed.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.session_missed.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.session_missed.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.session_missed.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.session_missed.session_id IS 'session; the same from booking to follow-up';
COMMENT ON COLUMN raw.session_missed.patient_key IS 'keyed hash of the clinic''s patient number, made at the clinic: 128 bits, hexadecimal';
COMMENT ON COLUMN raw.session_missed.scheduled_at IS 'when the visit was to begin; UTC';

CREATE TABLE raw.session_screened (
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
  skin_type INTEGER,
  contraindications VARCHAR[],
  decision VARCHAR
);
COMMENT ON TABLE raw.session_screened IS 'Grain: one consultation with its decision, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.session_screened.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.session_screened.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.session_screened.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.session_screened.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.session_screened.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.session_screened.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.session_screened.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.session_screened.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.session_screened.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.session_screened.session_id IS 'session; the same from booking to follow-up';
COMMENT ON COLUMN raw.session_screened.patient_key IS 'keyed hash of the clinic''s patient number, made at the clinic: 128 bits, hexadecimal';
COMMENT ON COLUMN raw.session_screened.operator_id IS 'who treats, under a pseudonym of the clinic''s own';
COMMENT ON COLUMN raw.session_screened.skin_type IS 'Fitzpatrick skin type I-VI as 1-6';
COMMENT ON COLUMN raw.session_screened.contraindications IS 'found, each once';
COMMENT ON COLUMN raw.session_screened.decision IS 'what follows from it';

CREATE TABLE raw.session_started (
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
  area VARCHAR,
  cartridge_lot VARCHAR,
  cartridge_serial VARCHAR
);
COMMENT ON TABLE raw.session_started IS 'Grain: one session as begun, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.session_started.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.session_started.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.session_started.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.session_started.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.session_started.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.session_started.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.session_started.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.session_started.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.session_started.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.session_started.session_id IS 'session; the same from booking to follow-up';
COMMENT ON COLUMN raw.session_started.patient_key IS 'keyed hash of the clinic''s patient number, made at the clinic: 128 bits, hexadecimal';
COMMENT ON COLUMN raw.session_started.operator_id IS 'who treats, under a pseudonym of the clinic''s own';
COMMENT ON COLUMN raw.session_started.device_id IS 'device, by the clinic''s own number';
COMMENT ON COLUMN raw.session_started.protocol_id IS 'treatment protocol';
COMMENT ON COLUMN raw.session_started.protocol_version IS 'version, from 1';
COMMENT ON COLUMN raw.session_started.area IS 'area of the body';
COMMENT ON COLUMN raw.session_started.cartridge_lot IS 'UDI production identifier of the needle cartridge: lot; null if not stated';
COMMENT ON COLUMN raw.session_started.cartridge_serial IS 'serial of the needle cartridge, single use; null if not stated';

CREATE TABLE raw.numbing_applied (
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
  area VARCHAR,
  agent VARCHAR,
  strength_percent DOUBLE,
  contact_min INTEGER,
  lot VARCHAR
);
COMMENT ON TABLE raw.numbing_applied IS 'Grain: one topical anaesthetic put on, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.numbing_applied.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.numbing_applied.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.numbing_applied.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.numbing_applied.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.numbing_applied.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.numbing_applied.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.numbing_applied.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.numbing_applied.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.numbing_applied.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.numbing_applied.session_id IS 'session; the same from booking to follow-up';
COMMENT ON COLUMN raw.numbing_applied.area IS 'area of the body';
COMMENT ON COLUMN raw.numbing_applied.agent IS 'active substance';
COMMENT ON COLUMN raw.numbing_applied.strength_percent IS 'sum of active substances, percent by weight';
COMMENT ON COLUMN raw.numbing_applied.contact_min IS 'minutes left on; about 20 are usual, 120 is ample';
COMMENT ON COLUMN raw.numbing_applied.lot IS 'lot of the product; null if not stated';

CREATE TABLE raw.pass_completed (
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
  pass_number INTEGER,
  area VARCHAR,
  depth_mm DOUBLE,
  stroke_rate_per_min DOUBLE,
  passes INTEGER,
  duration_s INTEGER,
  serum_lot VARCHAR
);
COMMENT ON TABLE raw.pass_completed IS 'Grain: one area of a session gone over with one setting, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.pass_completed.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.pass_completed.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.pass_completed.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.pass_completed.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.pass_completed.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.pass_completed.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.pass_completed.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.pass_completed.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.pass_completed.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.pass_completed.session_id IS 'session; the same from booking to follow-up';
COMMENT ON COLUMN raw.pass_completed.pass_number IS 'number within the session, from 1';
COMMENT ON COLUMN raw.pass_completed.area IS 'area of the body';
COMMENT ON COLUMN raw.pass_completed.depth_mm IS 'needle depth set, mm; 0-2.5 by area';
COMMENT ON COLUMN raw.pass_completed.stroke_rate_per_min IS 'strokes per minute set';
COMMENT ON COLUMN raw.pass_completed.passes IS 'passes over the area; several, 50 is ample';
COMMENT ON COLUMN raw.pass_completed.duration_s IS 'seconds of needling; 10-25 min a session, 2 h is ample';
COMMENT ON COLUMN raw.pass_completed.serum_lot IS 'lot of the serum used; absent where none was; null if not stated';

CREATE TABLE raw.session_aborted (
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
  started_at TIMESTAMPTZ,
  passes INTEGER,
  reason VARCHAR
);
COMMENT ON TABLE raw.session_aborted IS 'Grain: one session ended before it was done, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.session_aborted.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.session_aborted.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.session_aborted.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.session_aborted.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.session_aborted.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.session_aborted.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.session_aborted.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.session_aborted.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.session_aborted.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.session_aborted.session_id IS 'session; the same from booking to follow-up';
COMMENT ON COLUMN raw.session_aborted.patient_key IS 'keyed hash of the clinic''s patient number, made at the clinic: 128 bits, hexadecimal';
COMMENT ON COLUMN raw.session_aborted.operator_id IS 'who treats, under a pseudonym of the clinic''s own';
COMMENT ON COLUMN raw.session_aborted.device_id IS 'device, by the clinic''s own number';
COMMENT ON COLUMN raw.session_aborted.started_at IS 'needling began; UTC';
COMMENT ON COLUMN raw.session_aborted.passes IS 'passes done before it was aborted';
COMMENT ON COLUMN raw.session_aborted.reason IS 'why';

CREATE TABLE raw.device_faulted (
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
  fault VARCHAR,
  halted BOOLEAN,
  vendor_code VARCHAR,
  session_id VARCHAR
);
COMMENT ON TABLE raw.device_faulted IS 'Grain: one fault that a device reported, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.device_faulted.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.device_faulted.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.device_faulted.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.device_faulted.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.device_faulted.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.device_faulted.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.device_faulted.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.device_faulted.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.device_faulted.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.device_faulted.device_id IS 'device, by the clinic''s own number';
COMMENT ON COLUMN raw.device_faulted.fault IS 'what is wrong; the maker''s own code goes into vendor_code';
COMMENT ON COLUMN raw.device_faulted.halted IS 'the device stopped needling by itself';
COMMENT ON COLUMN raw.device_faulted.vendor_code IS 'the maker''s fault code; null if not stated';
COMMENT ON COLUMN raw.device_faulted.session_id IS 'session during which it happened; absent outside one; null if not stated';

CREATE TABLE raw.device_serviced (
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
  kind VARCHAR,
  parts_replaced VARCHAR[]
);
COMMENT ON TABLE raw.device_serviced IS 'Grain: one service of a device, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.device_serviced.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.device_serviced.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.device_serviced.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.device_serviced.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.device_serviced.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.device_serviced.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.device_serviced.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.device_serviced.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.device_serviced.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.device_serviced.device_id IS 'device, by the clinic''s own number';
COMMENT ON COLUMN raw.device_serviced.kind IS 'planned, or because of a fault';
COMMENT ON COLUMN raw.device_serviced.parts_replaced IS 'each once';

CREATE TABLE raw.device_firmware_updated (
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
  firmware VARCHAR,
  previous_firmware VARCHAR
);
COMMENT ON TABLE raw.device_firmware_updated IS 'Grain: one change of a device''s firmware, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.device_firmware_updated.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.device_firmware_updated.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.device_firmware_updated.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.device_firmware_updated.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.device_firmware_updated.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.device_firmware_updated.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.device_firmware_updated.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.device_firmware_updated.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.device_firmware_updated.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.device_firmware_updated.device_id IS 'device, by the clinic''s own number';
COMMENT ON COLUMN raw.device_firmware_updated.firmware IS 'firmware version installed';
COMMENT ON COLUMN raw.device_firmware_updated.previous_firmware IS 'firmware version before; null if not stated';

CREATE TABLE raw.cartridge_opened (
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
  cartridge_lot VARCHAR,
  cartridge_serial VARCHAR,
  needle_count INTEGER,
  udi_di VARCHAR,
  expires_on DATE,
  session_id VARCHAR
);
COMMENT ON TABLE raw.cartridge_opened IS 'Grain: one needle cartridge put on a device, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.cartridge_opened.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.cartridge_opened.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.cartridge_opened.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.cartridge_opened.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.cartridge_opened.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.cartridge_opened.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.cartridge_opened.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.cartridge_opened.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.cartridge_opened.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.cartridge_opened.device_id IS 'device, by the clinic''s own number';
COMMENT ON COLUMN raw.cartridge_opened.cartridge_lot IS 'UDI production identifier of the needle cartridge: lot';
COMMENT ON COLUMN raw.cartridge_opened.cartridge_serial IS 'serial of the needle cartridge, single use';
COMMENT ON COLUMN raw.cartridge_opened.needle_count IS 'needles; 6, 12 and 14 are usual, 36 and 42 marketed';
COMMENT ON COLUMN raw.cartridge_opened.udi_di IS 'UDI device identifier (GTIN-14); null if not stated';
COMMENT ON COLUMN raw.cartridge_opened.expires_on IS 'use-by date on the package; null if not stated';
COMMENT ON COLUMN raw.cartridge_opened.session_id IS 'session during which it happened; absent outside one; null if not stated';

CREATE TABLE raw.cartridge_discarded (
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
  cartridge_lot VARCHAR,
  cartridge_serial VARCHAR,
  reason VARCHAR,
  session_id VARCHAR
);
COMMENT ON TABLE raw.cartridge_discarded IS 'Grain: one needle cartridge thrown away, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.cartridge_discarded.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.cartridge_discarded.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.cartridge_discarded.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.cartridge_discarded.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.cartridge_discarded.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.cartridge_discarded.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.cartridge_discarded.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.cartridge_discarded.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.cartridge_discarded.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.cartridge_discarded.device_id IS 'device, by the clinic''s own number';
COMMENT ON COLUMN raw.cartridge_discarded.cartridge_lot IS 'UDI production identifier of the needle cartridge: lot';
COMMENT ON COLUMN raw.cartridge_discarded.cartridge_serial IS 'serial of the needle cartridge, single use';
COMMENT ON COLUMN raw.cartridge_discarded.reason IS 'why';
COMMENT ON COLUMN raw.cartridge_discarded.session_id IS 'session during which it happened; absent outside one; null if not stated';

CREATE TABLE raw.adverse_event_updated (
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
  became_aware_at TIMESTAMPTZ,
  area VARCHAR,
  seriousness_criterion VARCHAR,
  remedial_action_needed BOOLEAN,
  imdrf_code VARCHAR,
  meddra_code VARCHAR
);
COMMENT ON TABLE raw.adverse_event_updated IS 'Grain: one new state of a reported sign, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.adverse_event_updated.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.adverse_event_updated.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.adverse_event_updated.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.adverse_event_updated.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.adverse_event_updated.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.adverse_event_updated.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.adverse_event_updated.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.adverse_event_updated.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.adverse_event_updated.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.adverse_event_updated.adverse_event_id IS 'adverse event; the same from report to resolution';
COMMENT ON COLUMN raw.adverse_event_updated.session_id IS 'session it followed';
COMMENT ON COLUMN raw.adverse_event_updated.patient_key IS 'keyed hash of the clinic''s patient number, made at the clinic: 128 bits, hexadecimal';
COMMENT ON COLUMN raw.adverse_event_updated.term IS 'what was seen';
COMMENT ON COLUMN raw.adverse_event_updated.grade IS 'CTCAE grade: 1 mild, 2 moderate, 3 severe, 4 threatens life, 5 death';
COMMENT ON COLUMN raw.adverse_event_updated.serious IS 'serious in the regulator''s sense (21 CFR 803.3; EU MDR Art. 2 (65))';
COMMENT ON COLUMN raw.adverse_event_updated.relatedness IS 'reporter''s judgement of the relation to the treatment';
COMMENT ON COLUMN raw.adverse_event_updated.onset_at IS 'first seen; UTC';
COMMENT ON COLUMN raw.adverse_event_updated.became_aware_at IS 'the clinic became aware; regulators'' clocks start here (21 CFR 803); UTC';
COMMENT ON COLUMN raw.adverse_event_updated.area IS 'area of the body; null if not stated';
COMMENT ON COLUMN raw.adverse_event_updated.seriousness_criterion IS 'why it is serious (21 CFR 803.3; EU MDR Art. 2 (65)); only where it is; null if not stated';
COMMENT ON COLUMN raw.adverse_event_updated.remedial_action_needed IS 'to keep others from harm: 5 work days (21 CFR 803.53); null if not stated';
COMMENT ON COLUMN raw.adverse_event_updated.imdrf_code IS 'IMDRF adverse event code with its annex''s letter; null if not stated';
COMMENT ON COLUMN raw.adverse_event_updated.meddra_code IS 'MedDRA code, eight digits; null if not stated';

CREATE TABLE raw.expected_reaction_observed (
  source VARCHAR,
  id VARCHAR,
  clinic_id VARCHAR,
  occurred_at TIMESTAMPTZ,
  received_at TIMESTAMPTZ,
  landed_at TIMESTAMPTZ,
  batch_id VARCHAR,
  content_hash UBIGINT,
  supersedes VARCHAR,
  reaction_id VARCHAR,
  session_id VARCHAR,
  patient_key VARCHAR,
  sign VARCHAR,
  onset_at TIMESTAMPTZ,
  resolved_at TIMESTAMPTZ
);
COMMENT ON TABLE raw.expected_reaction_observed IS 'Grain: one transient reaction that belongs to the treatment, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.expected_reaction_observed.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.expected_reaction_observed.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.expected_reaction_observed.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.expected_reaction_observed.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.expected_reaction_observed.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.expected_reaction_observed.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.expected_reaction_observed.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.expected_reaction_observed.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.expected_reaction_observed.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.expected_reaction_observed.reaction_id IS 'reaction';
COMMENT ON COLUMN raw.expected_reaction_observed.session_id IS 'session it followed';
COMMENT ON COLUMN raw.expected_reaction_observed.patient_key IS 'keyed hash of the clinic''s patient number, made at the clinic: 128 bits, hexadecimal';
COMMENT ON COLUMN raw.expected_reaction_observed.sign IS 'what was seen; bleeding means pinpoint bleeding';
COMMENT ON COLUMN raw.expected_reaction_observed.onset_at IS 'first seen; UTC';
COMMENT ON COLUMN raw.expected_reaction_observed.resolved_at IS 'sign gone; absent while it lasts; UTC; null if not stated';

CREATE TABLE raw.aftercare_breached (
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
  breach VARCHAR,
  reported_by VARCHAR
);
COMMENT ON TABLE raw.aftercare_breached IS 'Grain: one breach of aftercare, as landed; append-only. Corrections are applied in core.';
COMMENT ON COLUMN raw.aftercare_breached.source IS 'CloudEvents source: the clinic and, optionally, its own sub-system';
COMMENT ON COLUMN raw.aftercare_breached.id IS 'event id, unique within source';
COMMENT ON COLUMN raw.aftercare_breached.clinic_id IS 'clinic named by source';
COMMENT ON COLUMN raw.aftercare_breached.occurred_at IS 'when it happened, by the clinic''s clock; UTC';
COMMENT ON COLUMN raw.aftercare_breached.received_at IS 'when the broker appended it; UTC';
COMMENT ON COLUMN raw.aftercare_breached.landed_at IS 'when our batch began; UTC';
COMMENT ON COLUMN raw.aftercare_breached.batch_id IS 'landing.batch that brought it';
COMMENT ON COLUMN raw.aftercare_breached.content_hash IS '64-bit hash of the canonical event; tells a duplicate from a conflict';
COMMENT ON COLUMN raw.aftercare_breached.supersedes IS 'id of the event of the same source that this one replaces; null if none';
COMMENT ON COLUMN raw.aftercare_breached.session_id IS 'session it followed';
COMMENT ON COLUMN raw.aftercare_breached.patient_key IS 'keyed hash of the clinic''s patient number, made at the clinic: 128 bits, hexadecimal';
COMMENT ON COLUMN raw.aftercare_breached.breach IS 'what was done';
COMMENT ON COLUMN raw.aftercare_breached.reported_by IS 'who told';

ALTER TABLE raw.protocol_published ADD COLUMN steps STRUCT(kind VARCHAR, duration_min INTEGER, area VARCHAR, depth_mm DOUBLE, stroke_rate_per_min DOUBLE, passes INTEGER)[];
COMMENT ON COLUMN raw.protocol_published.steps IS 'steps in order; null if not stated';
ALTER TABLE raw.protocol_published ADD COLUMN depth_limit_mm DOUBLE;
COMMENT ON COLUMN raw.protocol_published.depth_limit_mm IS 'deepest needle depth allowed, mm; null if not stated';
ALTER TABLE raw.protocol_published ADD COLUMN stroke_rate_limit_per_min DOUBLE;
COMMENT ON COLUMN raw.protocol_published.stroke_rate_limit_per_min IS 'most strokes per minute allowed; null if not stated';
ALTER TABLE raw.protocol_published ADD COLUMN passes_limit INTEGER;
COMMENT ON COLUMN raw.protocol_published.passes_limit IS 'most passes over one area allowed; null if not stated';
ALTER TABLE raw.protocol_published ADD COLUMN skin_type_limit INTEGER;
COMMENT ON COLUMN raw.protocol_published.skin_type_limit IS 'darkest Fitzpatrick skin type to be treated; null if not stated';

ALTER TABLE raw.telemetry_frame ADD COLUMN temperature_celsius FLOAT;
COMMENT ON COLUMN raw.telemetry_frame.temperature_celsius IS 'temperature of the device, degrees Celsius; null if not stated';

ALTER TABLE raw.adverse_event_reported ADD COLUMN area VARCHAR;
COMMENT ON COLUMN raw.adverse_event_reported.area IS 'area of the body; null if not stated';
ALTER TABLE raw.adverse_event_reported ADD COLUMN seriousness_criterion VARCHAR;
COMMENT ON COLUMN raw.adverse_event_reported.seriousness_criterion IS 'why it is serious (21 CFR 803.3; EU MDR Art. 2 (65)); only where it is; null if not stated';
ALTER TABLE raw.adverse_event_reported ADD COLUMN remedial_action_needed BOOLEAN;
COMMENT ON COLUMN raw.adverse_event_reported.remedial_action_needed IS 'to keep others from harm: 5 work days (21 CFR 803.53); null if not stated';
ALTER TABLE raw.adverse_event_reported ADD COLUMN imdrf_code VARCHAR;
COMMENT ON COLUMN raw.adverse_event_reported.imdrf_code IS 'IMDRF adverse event code with its annex''s letter; null if not stated';
ALTER TABLE raw.adverse_event_reported ADD COLUMN meddra_code VARCHAR;
COMMENT ON COLUMN raw.adverse_event_reported.meddra_code IS 'MedDRA code, eight digits; null if not stated';

ALTER TABLE raw.assessment_recorded ADD COLUMN direction VARCHAR;
COMMENT ON COLUMN raw.assessment_recorded.direction IS 'which end of the scale is better; null if not stated';
