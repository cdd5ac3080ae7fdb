-- relation: core.device
-- grain:    one device of a clinic
-- inputs:   raw.device_registered, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id; a reader cuts at its own as_of

CREATE OR REPLACE VIEW core.device AS
WITH standing AS MATERIALIZED (
  FROM raw.device_registered AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.clinic_id,
  fact.device_id,
  fact.model,
  fact.udi_di,
  fact.serial,
  fact.firmware,
  fact.in_service_on,
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.clinic_id, fact.device_id
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.device IS 'Grain: one device of a clinic, as last registered.';
