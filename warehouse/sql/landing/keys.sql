-- temp.keys, temp.known, temp.history, temp.aged. Grain of keys: one accepted event of the batch, with the hash of its
-- (source, id); the others are empty as yet. Inputs: incoming and frames (the batch).
CREATE OR REPLACE TEMP TABLE keys AS
SELECT
  part, "offset", md5_number_lower(concat(source, chr(31), id)) AS key_hash, occurred_at, content_hash,
  "table"::VARCHAR AS "table"
FROM incoming
UNION ALL
SELECT
  part, "offset", md5_number_lower(concat(source, chr(31), id)) AS key_hash, occurred_at, content_hash,
  'telemetry_frame' AS "table"
FROM frames;
CREATE OR REPLACE TEMP TABLE known (key_hash UBIGINT, occurred_at TIMESTAMPTZ, "table" VARCHAR);
CREATE OR REPLACE TEMP TABLE history (source VARCHAR, id VARCHAR, content_hash UBIGINT);
CREATE OR REPLACE TEMP TABLE aged (part INTEGER, "offset" BIGINT, content_hash UBIGINT);
