-- relation: each clinic's adverse events over the expected ones: the points of the funnel
-- grain:    one clinic with such a result
-- inputs:   mart.metric_result; $as_of, $metric
-- time:     the year as known at $as_of; newest version of the card
SELECT
  scope_id AS clinic_id, metric_version, numerator AS observed, expected, value AS ratio, lower, upper, flag
FROM mart.metric_result
WHERE as_of = $as_of AND metric_id = $metric AND scope = 'clinic' AND period = 'year'
QUALIFY metric_version = max(metric_version) OVER ()
ORDER BY scope_id
