-- Grain: one (source, id), of share $part of $parts of all, that stands in raw more than once; at most ten.
SELECT source, id, count(*) AS times
FROM raw.event_key
WHERE hash(source, id) % $parts = $part
GROUP BY source, id
HAVING count(*) > 1
ORDER BY source, id
LIMIT 10
