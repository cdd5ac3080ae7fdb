-- relation: the landing books behind the metrics of a report
-- grain:    one row; sums are 0 and newest_received_at is null where nothing was landed
-- inputs:   landing.batch; $known_at (when the metrics were computed)
-- time:     batches landed up to $known_at, so that a later landing does not change an issued report
SELECT
  max(newest_received_at) AS newest_received_at,
  CAST(coalesce(sum(consumed), 0) AS BIGINT) AS consumed,
  CAST(coalesce(sum(landed), 0) AS BIGINT) AS landed,
  CAST(coalesce(sum(duplicate), 0) AS BIGINT) AS duplicate,
  CAST(coalesce(sum(quarantined), 0) AS BIGINT) AS quarantined
FROM landing.batch
WHERE landed_at <= $known_at
