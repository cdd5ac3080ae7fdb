-- temp.known. As known_facts, for a batch that speaks of more days than are held.
INSERT INTO known
SELECT key_hash, occurred_at, "table"
FROM landing.event_key
WHERE occurred_at >= $first AND occurred_at < $last AND "table" <> 'telemetry_frame'
  AND key_hash IN (SELECT key_hash FROM keys)
