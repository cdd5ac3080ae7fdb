-- relation: core.observed_reaction
-- grain:    one reaction that a clinic observed and stated as expected
-- inputs:   raw.expected_reaction_observed, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id; a reader cuts at its own as_of

CREATE OR REPLACE VIEW core.observed_reaction AS
WITH standing AS MATERIALIZED (
  FROM raw.expected_reaction_observed AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.clinic_id,
  fact.reaction_id,
  fact.session_id,
  fact.patient_key,
  fact.sign,
  fact.onset_at,
  fact.resolved_at,  -- null while it lasts, or where nobody said more
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.clinic_id, fact.reaction_id
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.observed_reaction IS 'Grain: one reaction stated as expected, corrections applied. It is no follow-up: that nothing worse came is not known from it. What the rule does not expect of these is in core.adverse_event.';
