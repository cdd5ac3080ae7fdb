-- rows for: adverse_event_incidence
-- grain:    one scope and interval: the year for every scope; each ISO week (Monday 00:00 UTC) that begins inside
--           it for the network and the clinics; intervals without sessions are there with 0
-- inputs:   temp.session_outcome, temp.scope
-- time:     sessions completed in [$start, $as_of); outcomes that occurred before $as_of. The newest week is
--           unfinished while interval_end > $as_of.

WITH known AS (
  SELECT
    clinic_id,
    protocol_id,
    date_trunc('week', completed_on) AS week,
    count(*) AS sessions,
    count(*) FILTER (events_from[1] < $as_of) AS adverse
  FROM temp.session_outcome
  WHERE completed_at >= $start
    AND completed_at < $as_of
    AND (first_follow_up_at < $as_of OR first_sign_at < $as_of)
  GROUP BY ALL  -- once over the sessions; what is asked for is added up from these
),
counted AS (
  SELECT
    CASE
      WHEN grouping(clinic_id) = 0 THEN 'clinic' WHEN grouping(protocol_id) = 0 THEN 'protocol' ELSE 'network'
    END AS scope,
    coalesce(clinic_id, protocol_id, 'network') AS scope_id,
    CASE WHEN grouping(week) = 0 THEN 'week' ELSE 'year' END AS period,
    coalesce(week::TIMESTAMP AT TIME ZONE 'UTC', $start) AS interval_start,
    sum(sessions)::BIGINT AS sessions_with_known_outcome,
    sum(adverse)::BIGINT AS sessions_with_adverse_event
  FROM known
  GROUP BY GROUPING SETS ((), (clinic_id), (protocol_id), (week), (week, clinic_id))
),
week AS (
  SELECT unnest(
    generate_series(
      date_trunc('week', ($start - to_microseconds(1)) AT TIME ZONE 'UTC') + INTERVAL 7 DAY,
      ($as_of - to_microseconds(1)) AT TIME ZONE 'UTC',
      INTERVAL 7 DAY
    )
  ) AT TIME ZONE 'UTC' AS interval_start
),
grid AS (
  SELECT scope, scope_id, 'year' AS period, $start AS interval_start, $as_of AS interval_end
  FROM temp.scope
  UNION ALL
  SELECT scope, scope_id, 'week', interval_start, interval_start + to_hours(168)
  FROM temp.scope CROSS JOIN week
  WHERE scope <> 'protocol'
)
SELECT
  scope,
  scope_id,
  period,
  interval_start,
  interval_end,
  coalesce(sessions_with_known_outcome, 0) AS sessions_with_known_outcome,
  coalesce(sessions_with_adverse_event, 0) AS sessions_with_adverse_event
FROM grid
LEFT JOIN counted USING (scope, scope_id, period, interval_start)
ORDER BY ALL
