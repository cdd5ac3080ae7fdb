-- check:  one row a metric version, scope, period and interval
-- gives:  metric, scope, scope_id and how many rows there are instead
-- inputs: temp.metric_rows, the rows about to be published

SELECT metric_id, metric_version, scope, scope_id, period, interval_start, count(*) AS found
FROM temp.metric_rows
GROUP BY ALL
HAVING count(*) > 1
