-- relation: core.calibration
-- grain:    one calibration of a device; it has no key of its own, so every event that stands is one
-- inputs:   raw.device_calibrated, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id; a reader cuts at its own as_of

CREATE OR REPLACE VIEW core.calibration AS
WITH standing AS MATERIALIZED (
  FROM raw.device_calibrated AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.clinic_id,
  fact.device_id,
  fact.depth_error_mm,
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.source, fact.id
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.calibration IS 'Grain: one calibration of a device that was not withdrawn; done at occurred_at. Error in mm, as found.';
