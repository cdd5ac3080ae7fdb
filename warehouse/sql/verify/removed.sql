-- Grain: one batch of which events were removed, apart for raw and quarantine.
SELECT
  batch_id,
  coalesce(sum(events) FILTER (WHERE relation LIKE 'raw.%'), 0)::BIGINT AS landed,
  coalesce(sum(events) FILTER (WHERE relation = 'landing.quarantine'), 0)::BIGINT AS quarantined
FROM landing.removed
GROUP BY batch_id
