-- Grain: one act, in order.
SELECT number, acted_at, actor, action, subject, detail, previous_hash, hash FROM privacy.audit ORDER BY number, hash
