-- relation: core.reported_sign
-- grain:    one sign reported after a session
-- inputs:   raw.adverse_event_reported, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id; a reader cuts at its own as_of

CREATE OR REPLACE VIEW core.reported_sign AS
WITH standing AS MATERIALIZED (
  FROM raw.adverse_event_reported AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.clinic_id,
  fact.adverse_event_id,
  fact.session_id,
  fact.patient_key,
  fact.term,
  fact.grade,
  fact.serious,
  fact.relatedness,
  fact.onset_at,
  fact.became_aware_at,
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.clinic_id, fact.adverse_event_id
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.reported_sign IS 'Grain: one sign as last reported, corrections applied; readers want core.adverse_event, which knows its end and the rule.';
