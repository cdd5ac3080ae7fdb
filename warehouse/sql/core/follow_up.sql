-- relation: core.follow_up
-- grain:    one completed follow-up
-- inputs:   raw.follow_up_completed, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id; a reader cuts at its own as_of

CREATE OR REPLACE VIEW core.follow_up AS
WITH standing AS MATERIALIZED (
  FROM raw.follow_up_completed AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
)
SELECT
  fact.clinic_id,
  fact.follow_up_id,
  fact.session_id,
  fact.patient_key,
  fact.adverse_event_found,
  fact.channel,
  fact.occurred_at
FROM standing AS fact
WHERE NOT EXISTS (
  FROM standing AS correction
  WHERE correction.source = fact.source
    AND correction.supersedes = fact.id
    AND correction.supersedes <> correction.id
)
QUALIFY row_number() OVER (
  PARTITION BY fact.clinic_id, fact.follow_up_id
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.follow_up IS 'Grain: one contact after a session, corrections applied; finding nothing is a contact too.';
