-- relation: how far each topic-partition has been landed
-- grain:    one topic-partition
-- inputs:   landing.progress, landing.batch; only for readers of all clinics
-- time:     as now
SELECT progress.topic, progress."partition", progress.next_offset, progress.updated_at,
  max(batch.newest_received_at) AS newest_received_at
FROM landing.progress AS progress
LEFT JOIN landing.batch AS batch
  ON batch.topic = progress.topic AND batch."partition" = progress."partition"
WHERE $every_clinic
GROUP BY ALL
ORDER BY progress.topic, progress."partition"
