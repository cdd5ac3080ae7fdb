-- landing.event_key. Grain: one event of the batch that lands.
INSERT INTO landing.event_key BY NAME
SELECT key_hash, occurred_at, "table" FROM keys ANTI JOIN unwanted USING (part, "offset")
