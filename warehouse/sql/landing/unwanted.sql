-- temp.unwanted. Grain: one accepted event of the batch that must not land: a duplicate, a conflict, or one from
-- before the horizon. Inputs: suspect and aged (of the batch), history (landed before).
-- A duplicate has the source, id and content of another event that landed or stands earlier in the batch; with
-- other content it is a conflict. known_hash is the other event's; null where the horizon refuses.
CREATE OR REPLACE TEMP TABLE unwanted AS
WITH young AS (SELECT * FROM suspect ANTI JOIN aged USING (part, "offset")),
repeated AS (
  SELECT source, id, arg_min(content_hash, (part, "offset")) AS content_hash, min((part, "offset")) AS place
  FROM young
  GROUP BY source, id
  HAVING count(*) > 1
)
SELECT
  young.part, young."offset", young.content_hash,
  coalesce(history.content_hash, repeated.content_hash) AS known_hash,
  young.content_hash = coalesce(history.content_hash, repeated.content_hash) AS duplicate
FROM young
LEFT JOIN repeated USING (source, id)
LEFT JOIN history USING (source, id)
WHERE history.content_hash IS NOT NULL OR repeated.place <> (young.part, young."offset")
UNION ALL
SELECT part, "offset", content_hash, NULL, false FROM aged
