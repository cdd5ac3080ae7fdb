-- temp.suspect. Grain: one accepted event of the batch whose hash is known or stands in the batch twice.
CREATE OR REPLACE TEMP TABLE suspect AS
WITH hashes AS (
  SELECT key_hash FROM keys GROUP BY key_hash HAVING count(*) > 1
  UNION
  SELECT key_hash FROM known
),
places AS (SELECT part, "offset" FROM keys WHERE key_hash IN (SELECT key_hash FROM hashes))
SELECT part, "offset", source, id, content_hash FROM incoming SEMI JOIN places USING (part, "offset")
UNION ALL
SELECT part, "offset", source, id, content_hash FROM frames SEMI JOIN places USING (part, "offset")
