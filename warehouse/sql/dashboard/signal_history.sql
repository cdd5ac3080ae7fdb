-- relation: what happened to one signal a reader may see
-- grain:    one event of $signal_id, in order
-- inputs:   mart.signal_event; $every_clinic, $clinic_ids: the reader's scope
-- time:     all
SELECT number, kind, happened_at, actor, owner, until, note, as_of, value, q
FROM mart.signal_event
WHERE signal_id = $signal_id
  AND (
    $every_clinic
    OR (scope IN ('clinic', 'operator', 'device') AND list_contains($clinic_ids, split_part(scope_id, '/', 1)))
  )
ORDER BY number
