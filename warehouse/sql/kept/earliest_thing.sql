-- kept: when the oldest fact occurred that kept/reach_thing is about to read; null: there is none. As earliest_name.
SELECT min(occurred_at)
FROM temp.fact
WHERE kind = $kind AND hash(clinic_id, entity) IN (SELECT key FROM new_keys)
