-- relation: every signal, with the last day on which its flag was there
-- grain:    one signal
-- inputs:   mart.signal, mart.metric_result
-- time:     as of its newest event; last_flagged_at is the as_of of the newest result with its flag

SELECT
  signal.*,
  coalesce(flagged.last_flagged_at, signal.opened_at) AS last_flagged_at
FROM mart.signal AS signal
LEFT JOIN (
  SELECT metric_id, metric_version, scope, scope_id, flag, max(as_of) AS last_flagged_at
  FROM mart.metric_result
  WHERE flag IS NOT NULL AND period = 'year'
  GROUP BY ALL
) AS flagged USING (metric_id, metric_version, scope, scope_id, flag)
ORDER BY signal.opened_at, signal.signal_id
