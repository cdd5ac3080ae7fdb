-- privacy.tombstone. One more, unless it is there.
INSERT INTO privacy.tombstone
SELECT $kind, $digest, $key_id, $at
WHERE NOT EXISTS (FROM privacy.tombstone WHERE kind = $kind AND digest = $digest)
