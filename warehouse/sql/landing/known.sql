-- temp.known. Grain: one landed event of this stretch of time whose hash is that of an event of the batch.
INSERT INTO known
SELECT key_hash, occurred_at, "table"
FROM landing.event_key
WHERE occurred_at BETWEEN $first AND $last AND key_hash IN (SELECT key_hash FROM keys)
