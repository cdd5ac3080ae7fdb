-- rows for: warehouse.metrics.schedule
-- grain:    one day on which a session was followed up
-- inputs:   core.follow_up
-- time:     before $as_of, by UTC date

SELECT DISTINCT clinic_id, session_id, (occurred_at AT TIME ZONE 'UTC')::DATE AS followed_on
FROM core.follow_up
WHERE occurred_at < $as_of AND session_id IS NOT NULL
ORDER BY ALL
