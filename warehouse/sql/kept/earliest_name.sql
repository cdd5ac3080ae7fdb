-- kept: when the oldest fact occurred that kept/reach_name is about to read; null: there is none. Looked at first, for
-- two columns of all facts are read faster than all columns, and what changes is mostly of the last weeks.
SELECT min(occurred_at)
FROM temp.fact
WHERE kind = $kind AND hash(source, id) IN (SELECT key FROM new_keys)
