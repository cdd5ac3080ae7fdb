-- Grain: one refused event, whole.
SELECT topic, "partition", "offset", key, value, headers, detail, batch_id FROM landing.quarantine
