-- temp.unwanted. Grain: one accepted event of the batch that must not land: a duplicate or a conflict.
-- Inputs: suspect (of the batch) and history (landed before). A duplicate has the source, id and content of
-- another event that landed or stands earlier in the batch; with other content it is a conflict.
CREATE OR REPLACE TEMP TABLE unwanted AS
WITH repeated AS (
  SELECT source, id, arg_min(content_hash, (part, "offset")) AS content_hash, min((part, "offset")) AS place
  FROM suspect
  GROUP BY source, id
  HAVING count(*) > 1
)
SELECT
  suspect.part, suspect."offset", suspect.content_hash,
  coalesce(history.content_hash, repeated.content_hash) AS known_hash,
  suspect.content_hash = coalesce(history.content_hash, repeated.content_hash) AS duplicate
FROM suspect
LEFT JOIN repeated USING (source, id)
LEFT JOIN history USING (source, id)
WHERE history.content_hash IS NOT NULL OR repeated.place <> (suspect.part, suspect."offset")
