-- rows for: adverse_event_incidence
-- grain:    one scope and interval: the year for every scope; each ISO week (Monday 00:00 UTC) that begins inside
--           it for the network and the clinics; intervals without sessions are there with 0
-- inputs:   temp.visit, temp.followed, core.adverse_event, temp.scope
-- time:     sessions completed in [$start, $as_of); outcomes that occurred before $as_of. The newest week is
--           unfinished while interval_end > $as_of.

WITH reported AS (
  SELECT
    clinic_id,
    session_id,
    -- Expected so far: gone, or not yet gone at $as_of, before the end of its window.
    bool_or(NOT coalesce(least(coalesce(resolved_at, $as_of), $as_of) < expected_until_at, false)) AS adverse
  FROM core.adverse_event
  WHERE occurred_at < $as_of
  GROUP BY clinic_id, session_id
),
known AS (
  SELECT
    session.clinic_id,
    session.protocol_id,
    date_trunc('week', session.completed_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS week_start,
    coalesce(reported.adverse, false) AS adverse
  FROM temp.visit AS session
  LEFT JOIN temp.followed AS followed
    ON followed.clinic_id = session.clinic_id
    AND followed.session_id = session.session_id
    AND followed.first_at < $as_of
  LEFT JOIN reported
    ON reported.clinic_id = session.clinic_id AND reported.session_id = session.session_id
  WHERE session.completed_at >= $start
    AND session.completed_at < $as_of
    AND (followed.session_id IS NOT NULL OR reported.session_id IS NOT NULL)
),
counted AS (
  SELECT
    CASE
      WHEN grouping(clinic_id) = 0 THEN 'clinic' WHEN grouping(protocol_id) = 0 THEN 'protocol' ELSE 'network'
    END AS scope,
    coalesce(clinic_id, protocol_id, 'network') AS scope_id,
    CASE WHEN grouping(week_start) = 0 THEN 'week' ELSE 'year' END AS period,
    coalesce(week_start, $start) AS interval_start,
    count(*) AS sessions_with_known_outcome,
    count(*) FILTER (adverse) AS sessions_with_adverse_event
  FROM known
  GROUP BY GROUPING SETS ((), (clinic_id), (protocol_id), (week_start), (week_start, clinic_id))
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
