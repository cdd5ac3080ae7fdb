-- temp.aged. Grain: one accepted event of the batch that occurred before the horizon of its relation: what had
-- occurred before it has left the warehouse for its age, so whether it had landed cannot be told.
-- Inputs: keys (of the batch), landing.horizon.
INSERT INTO aged
WITH horizon AS (SELECT relation, arg_max(before_at, moved_at) AS before_at FROM landing.horizon GROUP BY relation)
SELECT part, "offset", content_hash
FROM keys JOIN horizon ON horizon.relation = concat('raw.', "table")
WHERE occurred_at < before_at
