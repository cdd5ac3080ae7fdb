-- kept: one step from what is newly wanted to the facts of one kind that state such a thing, none before $earliest.
-- new_keys is registered by the caller: keys of that kind that were not looked for before.
INSERT INTO temp.touched
SELECT fact.*
FROM temp.fact AS fact
WHERE kind = $kind AND occurred_at >= $earliest AND hash(clinic_id, entity) IN (SELECT key FROM new_keys)
