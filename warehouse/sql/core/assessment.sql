-- relation: core.assessment
-- grain:    one assessment
-- inputs:   raw.assessment_recorded, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id; a reader cuts at its own as_of

CREATE OR REPLACE VIEW core.assessment AS
WITH standing AS MATERIALIZED (
  FROM raw.assessment_recorded AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.clinic_id,
  fact.assessment_id,
  fact.session_id,
  fact.patient_key,
  fact.scale,
  fact.score,
  fact.rater,
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.clinic_id, fact.assessment_id
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.assessment IS 'Grain: one score on a scale, corrections applied. Score in the unit of its scale.';
