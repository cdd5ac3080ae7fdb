-- landing.removed. One refused event that left the quarantine.
INSERT INTO landing.removed VALUES ($batch_id, $relation, 'erasure', 1, $at)
