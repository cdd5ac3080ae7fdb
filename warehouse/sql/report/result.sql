-- relation: the metric results that the editions of one week show
-- grain:    metric, scope, scope_id, period, interval; the newest version of each metric
-- inputs:   mart.metric_result; $as_of, $metrics (ids), $weeks_start and $weeks_end bound the weekly rows
-- time:     as known at $as_of; UTC
SELECT
  metric_id, metric_version, scope, scope_id, period, interval_start, interval_end,
  numerator, denominator, value, lower, upper, level, unit, method, reason, computed_at
FROM mart.metric_result
WHERE as_of = $as_of
  AND list_contains($metrics, metric_id)
  AND (period = 'year' OR (period = 'week' AND interval_start >= $weeks_start AND interval_end <= $weeks_end))
QUALIFY metric_version = max(metric_version) OVER (PARTITION BY metric_id)
ORDER BY metric_id, scope, scope_id, period, interval_start
