-- rows for: refresh
-- grain:    one metric version, scope, period and interval of the last day computed before the day of $day
-- inputs:   mart.metric_result
-- time:     the newest as_of before $day

SELECT metric_id, metric_version, scope, scope_id, period, value, flag, consecutive_flags
FROM mart.metric_result
WHERE period = 'year'
  AND as_of = (SELECT max(as_of) FROM mart.metric_result WHERE as_of < $day)
