-- relation: what the rolling figures of a report were in the weeks before
-- grain:    weeks_back (from 1), metric, scope, scope_id
-- inputs:   mart.metric_result; $as_of, $metrics (ids), $weeks (how many weeks back)
-- time:     of each week, counted back from $as_of, its newest day; only the newest version of each metric
WITH known AS (
  SELECT
    *,
    CAST(floor(date_diff('second', as_of, $as_of) / 604800) AS INTEGER) AS weeks_back
  FROM mart.metric_result
  WHERE period = 'year'
    AND scope IN ('network', 'clinic')
    AND list_contains($metrics, metric_id)
    AND as_of <= $as_of
    AND as_of > $as_of - to_days(7 * ($weeks + 1))
  QUALIFY metric_version = max(metric_version) OVER (PARTITION BY metric_id)
)
SELECT
  weeks_back, metric_id, metric_version, scope, scope_id, period, interval_start, interval_end,
  numerator, denominator, value, lower, upper, level, unit, method, reason
FROM known
WHERE weeks_back >= 1
QUALIFY as_of = max(as_of) OVER (PARTITION BY weeks_back)
ORDER BY weeks_back, metric_id, scope, scope_id
