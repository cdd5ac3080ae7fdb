-- rows for: protocol_improvement
-- grain:    one scope (network, protocol), also those without patients
-- inputs:   temp.scope
-- time:     the year [$start, $as_of)

SELECT scope, scope_id, 'year' AS period, $start AS interval_start, $as_of AS interval_end
FROM temp.scope
WHERE scope <> 'clinic'
ORDER BY ALL
