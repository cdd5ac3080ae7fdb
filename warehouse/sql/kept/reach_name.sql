-- kept: one step from what is newly wanted to the facts of one kind that have such a name. Apart from things, for mostly
-- no fact of the kind has one, and none is older than $earliest.
-- new_keys is registered by the caller: keys of that kind that were not looked for before.
INSERT INTO temp.touched
SELECT fact.*
FROM temp.fact AS fact
WHERE kind = $kind AND occurred_at >= $earliest AND hash(source, id) IN (SELECT key FROM new_keys)
