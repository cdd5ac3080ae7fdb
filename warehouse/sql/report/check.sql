-- relation: what the checks of the data found
-- grain:    one check and clinic with a finding; counts of subjects and events
-- inputs:   core.data_quality; $as_of
-- time:     what had occurred by $as_of; telemetry younger than a day may still get its session
SELECT clinic_id, check_id, count(*) AS subjects, CAST(sum(events) AS BIGINT) AS events
FROM core.data_quality
WHERE first_occurred_at < $as_of
  AND (check_id <> 'telemetry.no-session' OR last_occurred_at < $as_of - INTERVAL 1 DAY)
GROUP BY clinic_id, check_id
ORDER BY check_id, clinic_id
