-- relation: the landing books by hour
-- grain:    one UTC hour in which something was landed, the newest $most; counts of events about no clinic
-- inputs:   landing.batch; only for readers of all clinics
-- time:     by landed_at; slowest is seconds between the broker's time of a batch's newest event and its landing
SELECT
  date_trunc('hour', landed_at) AS hour,
  count(DISTINCT batch_id) AS batches,
  sum(consumed)::BIGINT AS consumed,
  sum(landed)::BIGINT AS landed,
  sum(duplicate)::BIGINT AS duplicate,
  sum(quarantined)::BIGINT AS quarantined,
  bool_and(consumed = landed + duplicate + quarantined) AS balanced,
  max(epoch_us(landed_at) - epoch_us(newest_received_at)) / 1e6 AS slowest_seconds
FROM landing.batch
WHERE $every_clinic
GROUP BY hour
ORDER BY hour DESC
LIMIT $most
