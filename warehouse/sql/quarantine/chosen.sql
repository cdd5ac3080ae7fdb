-- Quarantined events by what they have in common. Grain: one quarantined event, oldest first.
-- Input: landing.quarantine. A null parameter chooses all; $place is `topic/partition/offset`.
SELECT
  topic, "partition", "offset", received_at, key, value, headers, rule, path, detail, codec_version, batch_id,
  landed_at, resolution, resolved_at, resolved_by, resolution_note
FROM landing.quarantine
WHERE ($place IS NULL OR concat_ws('/', topic, "partition", "offset") = $place)
  AND ($rule IS NULL OR rule = $rule)
  AND ($topic IS NULL OR topic = $topic)
  AND ($since IS NULL OR landed_at >= $since)
  AND ($resolved OR resolution IS NULL)
ORDER BY landed_at, topic, "partition", "offset"
LIMIT $limit
