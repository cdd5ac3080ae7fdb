-- relation: what came of one session: signs, follow-ups and assessments
-- grain:    one of them, in order of time
-- inputs:   mart.session_sign, raw.follow_up_completed, raw.assessment_recorded, raw.adverse_event_resolved,
--           raw.expected_reaction_observed, core.voided; $clinic, $session: which; $people: whether the reader may see
--           rows about single patients; $every_clinic, $clinic_ids: the reader's scope; $as_of
-- time:     signs as of the newest refresh, the rest latest truth, as core.follow_up and core.assessment, which would
--           read those of all clinics; a test holds them together. `ended_at` is null while a sign is not resolved,
--           `expected` while it is not decided at $as_of whether it is an expected reaction
WITH sign AS MATERIALIZED (
  SELECT adverse_event_id, term, grade, serious, onset_at, occurred_at, counts_from_at
  FROM mart.session_sign
  WHERE $people AND clinic_id = $clinic AND session_id = $session
    AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
),
stated AS MATERIALIZED (
  SELECT 'follow-up' AS kind, source, id, supersedes, follow_up_id AS thing, session_id, occurred_at AS moment,
    channel || if(adverse_event_found, ': adverse event found', ': nothing found') AS what, occurred_at, received_at
  FROM raw.follow_up_completed
  WHERE $people AND clinic_id = $clinic AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
  UNION ALL
  SELECT 'assessment', source, id, supersedes, assessment_id, session_id, occurred_at, scale || ' ' || score,
    occurred_at, received_at
  FROM raw.assessment_recorded
  WHERE $people AND clinic_id = $clinic AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
  UNION ALL
  SELECT 'resolution', source, id, supersedes, adverse_event_id, $session, resolved_at, NULL, occurred_at, received_at
  FROM raw.adverse_event_resolved
  WHERE clinic_id = $clinic AND (supersedes IS NOT NULL OR adverse_event_id IN (SELECT adverse_event_id FROM sign))
  UNION ALL
  SELECT 'reaction', source, id, supersedes, reaction_id, $session, resolved_at, NULL, occurred_at, received_at
  FROM raw.expected_reaction_observed
  WHERE clinic_id = $clinic AND (supersedes IS NOT NULL OR reaction_id IN (SELECT adverse_event_id FROM sign))
),
standing AS MATERIALIZED (
  FROM stated AS fact
  WHERE NOT EXISTS (FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id)
),
current AS (
  FROM standing AS fact
  WHERE NOT EXISTS (
    FROM standing AS correction
    WHERE correction.kind = fact.kind
      AND correction.source = fact.source
      AND correction.supersedes = fact.id
      AND correction.supersedes <> correction.id
  )
  QUALIFY row_number() OVER (
    PARTITION BY kind, thing ORDER BY occurred_at DESC, received_at DESC, id DESC, source DESC
  ) = 1
)
SELECT 'adverse event' AS kind, sign.onset_at AS moment, sign.term AS what, sign.grade, sign.serious,
  coalesce(resolution.moment, reaction.moment) AS ended_at,
  CASE WHEN sign.counts_from_at IS NULL THEN true WHEN sign.counts_from_at < $as_of THEN false END AS expected
FROM sign
LEFT JOIN current AS resolution
  ON resolution.kind = 'resolution' AND resolution.thing = sign.adverse_event_id AND resolution.moment >= sign.onset_at
LEFT JOIN current AS reaction ON reaction.kind = 'reaction' AND reaction.thing = sign.adverse_event_id
UNION ALL
SELECT kind, moment, what, NULL, NULL, NULL, NULL
FROM current
WHERE kind IN ('follow-up', 'assessment') AND session_id = $session
ORDER BY moment, kind, what
