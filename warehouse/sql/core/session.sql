-- relation: core.session
-- grain:    one session of a clinic
-- inputs:   raw.session_completed, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id; a reader cuts at its own as_of

CREATE OR REPLACE VIEW core.session AS
WITH standing AS MATERIALIZED (
  FROM raw.session_completed AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.clinic_id,
  fact.session_id,
  fact.patient_key,
  fact.operator_id,
  fact.device_id,
  fact.protocol_id,
  fact.protocol_version,
  fact.cartridge_lot,
  fact.cartridge_serial,
  fact.indication,
  fact.area,
  fact.skin_type,
  fact.age_band,
  fact.phase,
  fact.session_number,
  fact.started_at,
  fact.completed_at,
  fact.depth_mm,
  fact.stroke_rate_per_min,
  fact.passes,
  fact.contraindication_overridden,
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.clinic_id, fact.session_id
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.session IS 'Grain: one session that took place; voided and superseded ones are out. It belongs to the moment of completed_at.';
