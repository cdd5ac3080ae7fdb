-- kept.changes: one step from what is newly wanted to the facts of one kind that it leads to.
-- new_keys is registered by the caller: keys of that kind that were not looked for before.
INSERT INTO temp.touched
SELECT fact.*
FROM temp.fact AS fact
WHERE kind = $kind
  AND (
    hash('name', source, id) IN (SELECT key FROM new_keys)
    OR hash('thing', clinic_id, entity) IN (SELECT key FROM new_keys)
  )
