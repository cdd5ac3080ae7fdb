-- Grain: one event of the batch to be refused: its source and id are taken by other content, whose hash is
-- known_hash; or, where that is null, it occurred before the horizon.
SELECT part, "offset", content_hash, known_hash FROM unwanted WHERE NOT duplicate
