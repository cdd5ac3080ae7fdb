-- rows for: follow_up_coverage
-- grain:    one scope (network, clinic), also those without sessions
-- inputs:   temp.session_outcome, temp.scope
-- time:     sessions completed in [$start, $as_of) and at least 14 days (336 hours) before $as_of; follow-ups that
--           occurred before $as_of

WITH counted AS (
  SELECT
    CASE WHEN grouping(session.clinic_id) = 0 THEN 'clinic' ELSE 'network' END AS scope,
    coalesce(session.clinic_id, 'network') AS scope_id,
    count(*) AS sessions_due,
    count(*) FILTER (session.first_follow_up_at < $as_of) AS sessions_followed_up
  FROM temp.session_outcome AS session
  WHERE session.completed_at >= $start AND session.completed_at <= $as_of - to_hours(336)
  GROUP BY GROUPING SETS ((), (session.clinic_id))
)
SELECT
  scope,
  scope_id,
  'year' AS period,
  $start AS interval_start,
  $as_of AS interval_end,
  coalesce(sessions_due, 0) AS sessions_due,
  coalesce(sessions_followed_up, 0) AS sessions_followed_up
FROM temp.scope
LEFT JOIN counted USING (scope, scope_id)
WHERE scope <> 'protocol'
ORDER BY ALL
