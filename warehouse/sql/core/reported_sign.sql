-- relation: core.reported_sign
-- grain:    one sign reported after a session
-- inputs:   raw.adverse_event_reported, raw.adverse_event_updated, core.voided
-- time:     latest truth, by occurred_at, then received_at, then id: of reports, and then of the report and its
--           updates. occurred_at is the report's, so that a reader that cuts at its own as_of does not lose a sign
--           that was updated later; an update whose report is withdrawn, or has not landed, says nothing

CREATE OR REPLACE VIEW core.reported_sign AS
WITH stated AS (
  SELECT
    source, id, supersedes, clinic_id, occurred_at, received_at, false AS is_update,
    adverse_event_id, session_id, patient_key, term, grade, serious, relatedness, onset_at, became_aware_at
  FROM raw.adverse_event_reported
  UNION ALL
  SELECT
    source, id, supersedes, clinic_id, occurred_at, received_at, true AS is_update,
    adverse_event_id, session_id, patient_key, term, grade, serious, relatedness, onset_at, became_aware_at
  FROM raw.adverse_event_updated
),
standing AS MATERIALIZED (
  FROM stated AS fact
  WHERE NOT EXISTS (
    FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id
  )
),
current AS (
  FROM standing AS fact
  WHERE NOT EXISTS (
    FROM standing AS correction
    WHERE correction.source = fact.source
      AND correction.supersedes = fact.id
      AND correction.supersedes <> correction.id
  )
),
report AS (
  SELECT
    clinic_id,
    adverse_event_id,
    max(occurred_at) AS occurred_at
  FROM current
  WHERE NOT is_update
  GROUP BY clinic_id, adverse_event_id
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
  report.occurred_at
FROM current AS fact
JOIN report
  ON report.clinic_id = fact.clinic_id AND report.adverse_event_id = fact.adverse_event_id
QUALIFY row_number() OVER (
  PARTITION BY fact.clinic_id, fact.adverse_event_id
  ORDER BY fact.occurred_at DESC, fact.received_at DESC, fact.is_update DESC, fact.id DESC, fact.source DESC
) = 1;

COMMENT ON VIEW core.reported_sign IS 'Grain: one sign as last reported or updated, corrections applied; occurred_at is when it was reported; readers want core.adverse_event, which knows its end and the rule.';
