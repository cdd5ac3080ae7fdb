-- Totals of one batch over its partitions.
SELECT
  sum(consumed)::BIGINT AS consumed, sum(landed)::BIGINT AS landed, sum(duplicate)::BIGINT AS duplicate,
  sum(quarantined)::BIGINT AS quarantined, max(newest_received_at) AS newest_received_at
FROM landing.batch WHERE batch_id = $batch_id
