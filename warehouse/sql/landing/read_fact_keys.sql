-- temp.fact_key. Grain: one fact of the day from $first, included, to $last.
INSERT INTO fact_key BY NAME
SELECT key_hash, occurred_at, "table"
FROM landing.event_key
WHERE occurred_at >= $first AND occurred_at < $last AND "table" <> 'telemetry_frame'
