-- relation: core.device_registration
-- grain:    one registration of a device of a clinic
-- inputs:   raw.device_registered, core.voided
-- time:     every registration that stands, by occurred_at; core.device is the last of each device

CREATE OR REPLACE VIEW core.device_registration AS
WITH standing AS MATERIALIZED (
  FROM raw.device_registered AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.clinic_id,
  fact.device_id,
  fact.firmware,
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.clinic_id, fact.device_id, fact.occurred_at
  ORDER BY fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.device_registration IS 'Grain: one registration of a device, with the firmware it had from then on.';
