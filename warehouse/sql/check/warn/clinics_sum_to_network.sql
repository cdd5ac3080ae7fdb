-- check:  what is counted by clinic adds up to what is counted for the network
-- gives:  metric, period and interval with both sums
-- inputs: temp.metric_rows, the rows about to be published; shares and events per 100 sessions, which are counts

SELECT
  metric_id,
  period,
  interval_start,
  sum(numerator) FILTER (scope = 'clinic') AS clinics,
  sum(numerator) FILTER (scope = 'network') AS network
FROM temp.metric_rows
WHERE unit IN ('proportion', 'per 100 sessions')
GROUP BY metric_id, metric_version, period, interval_start
HAVING count(*) FILTER (scope = 'network') = 1 AND count(*) FILTER (scope = 'clinic') > 0
  AND (
    abs(sum(numerator) FILTER (scope = 'clinic') - sum(numerator) FILTER (scope = 'network')) > 1e-6
    OR abs(sum(denominator) FILTER (scope = 'clinic') - sum(denominator) FILTER (scope = 'network')) > 1e-6
  )
