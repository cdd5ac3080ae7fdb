-- rows for: refresh
-- grain:    one row: what mart.metric_result holds as of the day that begins at $day
-- inputs:   mart.metric_result
-- time:     [$day, $day + 24 hours); snapshot_id null and cards empty before the first refresh of the day

SELECT
  max(snapshot_id) AS snapshot_id,
  coalesce(list(DISTINCT metric_id || '/' || metric_version), []) AS cards
FROM mart.metric_result
WHERE as_of >= $day AND as_of < $day + to_hours(24)
