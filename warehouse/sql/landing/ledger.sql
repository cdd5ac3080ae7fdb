-- landing.batch. Grain: one topic-partition of one batch.
-- consumed = landed + duplicate + quarantined; next_offset - first_offset = consumed + skipped.
INSERT INTO landing.batch BY NAME
WITH repeated AS (SELECT part, count(*) AS duplicate FROM unwanted WHERE duplicate GROUP BY part),
rejected AS (SELECT part, count(*) AS quarantined FROM refused GROUP BY part)
SELECT
  $batch_id AS batch_id, topic, "partition", first_offset, next_offset, consumed,
  consumed - coalesce(duplicate, 0) - coalesce(quarantined, 0) AS landed,
  coalesce(duplicate, 0) AS duplicate, coalesce(quarantined, 0) AS quarantined,
  next_offset - first_offset - consumed AS skipped,
  newest_received_at, $started_at AS started_at, $landed_at AS landed_at, $worker AS worker
FROM parts
LEFT JOIN repeated USING (part)
LEFT JOIN rejected USING (part)
