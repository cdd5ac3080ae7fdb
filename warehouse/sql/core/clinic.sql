-- relation: core.clinic
-- grain:    one clinic
-- inputs:   raw.clinic_registered, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id; a reader cuts at its own as_of

CREATE OR REPLACE VIEW core.clinic AS
WITH standing AS MATERIALIZED (
  FROM raw.clinic_registered AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.clinic_id,
  fact.display_name,
  fact.time_zone,
  fact.locale,
  fact.opened_on,
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.clinic_id
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.clinic IS 'Grain: one clinic, as last registered.';
