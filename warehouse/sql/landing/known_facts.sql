-- temp.known. Grain: one landed fact of a day near the batch's facts whose hash is that of an event of the batch.
INSERT INTO known
SELECT key_hash, occurred_at, "table" FROM fact_key WHERE key_hash IN (SELECT key_hash FROM keys)
