-- Grain: one event of the batch whose source and id are taken by other content.
SELECT part, "offset", content_hash, known_hash FROM unwanted WHERE NOT duplicate
