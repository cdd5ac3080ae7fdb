-- temp.judged. Grain: one accepted event of the batch, with its verdict: land, duplicate or conflict.
-- Inputs: incoming (the batch), raw.event_key (all history, pruned to the batch's span of event time).
-- A duplicate has the same source, id and content; the same source and id with other content is a conflict.
CREATE OR REPLACE TEMP TABLE judged AS
WITH hashed AS (
  SELECT *, md5_number_lower(value)::UBIGINT AS content_hash FROM incoming
),
first_in_batch AS (
  SELECT source, id, arg_min(content_hash, (part, "offset")) AS content_hash, min((part, "offset")) AS place
  FROM hashed
  GROUP BY source, id
),
history AS (
  SELECT source, id, content_hash
  FROM raw.event_key
  WHERE occurred_at BETWEEN $first AND $last
)
SELECT
  hashed.*,
  coalesce(history.content_hash, first_in_batch.content_hash) AS known_hash,
  CASE
    WHEN history.content_hash IS NULL AND first_in_batch.place = (hashed.part, hashed."offset") THEN 'land'
    WHEN hashed.content_hash = coalesce(history.content_hash, first_in_batch.content_hash) THEN 'duplicate'
    ELSE 'conflict'
  END AS verdict
FROM hashed
JOIN first_in_batch USING (source, id)
LEFT JOIN history USING (source, id)
