-- landing.progress. The first row of a partition that was never landed.
INSERT INTO landing.progress BY NAME
SELECT
  $topic AS topic, $partition AS "partition", $next_offset AS next_offset, NULL AS batch_id, $at AS updated_at,
  $topic_id AS topic_id
