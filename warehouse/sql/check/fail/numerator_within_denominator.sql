-- check:  no more than everybody, no fewer than nobody: 0 <= numerator <= denominator where the value is a share
-- gives:  the metric rows that break it
-- inputs: temp.metric_rows, the rows about to be published

SELECT metric_id, scope, scope_id, period, interval_start, numerator, denominator
FROM temp.metric_rows
WHERE unit = 'proportion' AND (numerator < 0 OR numerator > denominator + 1e-9)
