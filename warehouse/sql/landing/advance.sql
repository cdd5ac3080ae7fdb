-- landing.progress, by compare-and-set: only where it still is at the batch's first offset.
UPDATE landing.progress
SET next_offset = parts.next_offset, batch_id = $batch_id, updated_at = $landed_at
FROM parts
WHERE progress.topic = parts.topic
  AND progress."partition" = parts."partition"
  AND progress.next_offset = parts.first_offset
