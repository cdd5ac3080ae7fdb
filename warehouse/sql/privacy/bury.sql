-- privacy.tombstone. One more for each of $digests that has none yet.
INSERT INTO privacy.tombstone
SELECT $kind, digest, $key_id, $at
FROM (SELECT unnest($digests::VARCHAR[]) AS digest)
WHERE digest NOT IN (SELECT digest FROM privacy.tombstone)
