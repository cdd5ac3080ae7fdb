-- relation: what came of one session: signs, follow-ups and assessments
-- grain:    one of them, in order of time
-- inputs:   core.adverse_event, core.follow_up, core.assessment; $clinic, $session: which; $people: whether the reader may see rows about single patients; $every_clinic, $clinic_ids:
--           the reader's scope
-- time:     latest truth; `ended_at` is null while a sign is not resolved
WITH outcome AS (
  SELECT 'adverse event' AS kind, clinic_id, session_id, onset_at AS moment, term AS what, grade, serious,
    resolved_at AS ended_at, expected
  FROM core.adverse_event
  UNION ALL
  SELECT 'follow-up', clinic_id, session_id, occurred_at,
    channel || if(adverse_event_found, ': adverse event found', ': nothing found'), NULL, NULL, NULL, NULL
  FROM core.follow_up
  UNION ALL
  SELECT 'assessment', clinic_id, session_id, occurred_at, scale || ' ' || score, NULL, NULL, NULL, NULL
  FROM core.assessment
)
SELECT kind, moment, what, grade, serious, ended_at, expected
FROM outcome
WHERE $people AND clinic_id = $clinic AND session_id = $session
  AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
ORDER BY moment, kind, what
