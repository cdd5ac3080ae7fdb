-- temp.unwanted. Grain: one accepted event of the batch that must not land: a duplicate or a conflict.
-- Inputs: incoming and frames (the batch), raw.event_key (all history, pruned to the batch's event time).
-- A duplicate has the source, id and content of another; with other content it is a conflict.
CREATE OR REPLACE TEMP TABLE unwanted AS
WITH keys AS (
  SELECT part, "offset", source, id, content_hash FROM incoming
  UNION ALL
  SELECT part, "offset", source, id, content_hash FROM frames
),
repeated AS (
  SELECT source, id, arg_min(content_hash, (part, "offset")) AS content_hash, min((part, "offset")) AS place
  FROM keys
  GROUP BY source, id
  HAVING count(*) > 1
),
history AS (
  SELECT source, id, content_hash
  FROM raw.event_key
  WHERE occurred_at BETWEEN $first AND $last
    AND (source, id) IN (SELECT source, id FROM keys)
)
SELECT
  keys.part, keys."offset", keys.content_hash,
  coalesce(history.content_hash, repeated.content_hash) AS known_hash,
  keys.content_hash = coalesce(history.content_hash, repeated.content_hash) AS duplicate
FROM keys
LEFT JOIN repeated USING (source, id)
LEFT JOIN history USING (source, id)
WHERE history.content_hash IS NOT NULL OR repeated.place <> (keys.part, keys."offset")
