-- landing.progress, by compare-and-set: past offsets that Kafka no longer holds.
UPDATE landing.progress
SET next_offset = $next_offset, batch_id = $batch_id, updated_at = $at
WHERE topic = $topic AND "partition" = $partition AND next_offset = $first_offset
