-- Grain: the newest row of the audit trail, or none.
SELECT number, hash FROM privacy.audit ORDER BY number DESC LIMIT 1
