-- check:  a value stands with a reason's absence, and between its limits
-- gives:  the metric rows that break it
-- inputs: temp.metric_rows, the rows about to be published

SELECT metric_id, scope, scope_id, period, interval_start
FROM temp.metric_rows
WHERE (value IS NULL AND reason IS NULL)
  OR value < lower - 1e-9 * (1 + abs(value))
  OR value > upper + 1e-9 * (1 + abs(value))
