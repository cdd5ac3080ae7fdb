-- Grain: one raw table that holds a known event, and the stretch of time in which to look for it there.
SELECT "table" AS name, min(occurred_at) AS first, max(occurred_at) AS last FROM known GROUP BY "table"
