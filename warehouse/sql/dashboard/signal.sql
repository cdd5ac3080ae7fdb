-- relation: the signals a reader may see
-- grain:    one signal
-- inputs:   mart.signal, mart.clinic; $every_clinic, $clinic_ids: the reader's scope. A signal about a lot, a
--           firmware, a protocol or a skin type belongs to no clinic and is for readers of all clinics only
-- time:     as of its newest event; snoozed while snoozed_until lies ahead of the reader
WITH owned AS (
  SELECT *, if(scope IN ('clinic', 'operator', 'device'), split_part(scope_id, '/', 1), NULL) AS clinic_id
  FROM mart.signal
)
SELECT
  owned.signal_id, owned.metric_id, owned.metric_version, owned.scope, owned.scope_id, owned.clinic_id,
  clinic.display_name, owned.flag, owned.status, owned.owner, owned.opened_at, owned.closed_at,
  owned.snoozed_until, owned.value, owned.q, owned.conclusion, owned.events
FROM owned
LEFT JOIN mart.clinic AS clinic ON clinic.clinic_id = owned.clinic_id
WHERE $every_clinic OR list_contains($clinic_ids, owned.clinic_id)
ORDER BY owned.opened_at DESC, owned.signal_id
