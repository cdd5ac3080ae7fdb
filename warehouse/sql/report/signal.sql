-- relation: signals as they stood when the metrics of a report were computed
-- grain:    one signal; those closed or cleared before $since are out
-- inputs:   mart.signal_event; $since and $known_at
-- time:     events that happened up to $known_at; state is new where it (re)opened after $since, closed where a
--           person closed it or its flag went away, ongoing otherwise
WITH numbered AS (
  SELECT
    *,
    max(number) FILTER (kind IN ('opened', 'reopened')) OVER (PARTITION BY signal_id) AS begun
  FROM mart.signal_event
  WHERE happened_at <= $known_at
),
standing AS (
  SELECT
    signal_id,
    any_value(metric_id) AS metric_id,
    any_value(scope) AS scope,
    any_value(scope_id) AS scope_id,
    any_value(flag) AS flag,
    max(happened_at) FILTER (number = begun) AS since_at,
    max(happened_at) FILTER (kind = 'closed') AS closed_at,
    max(happened_at) FILTER (kind = 'cleared' AND number > begun) AS cleared_at,
    bool_or(kind IN ('acknowledged', 'assigned') AND number > begun) AS acknowledged,
    max(until) FILTER (kind = 'snoozed' AND number > begun) AS snoozed_until,
    arg_max(owner, number) FILTER (owner IS NOT NULL) AS owner,
    arg_max(value, number) FILTER (kind IN ('opened', 'reopened')) AS value,
    arg_max(q, number) FILTER (kind IN ('opened', 'reopened')) AS q
  FROM numbered
  GROUP BY signal_id
)
SELECT
  signal_id, metric_id, scope, scope_id, flag, since_at, owner, value, q,
  CASE
    WHEN coalesce(closed_at, cleared_at) IS NOT NULL THEN 'closed'
    WHEN since_at > $since THEN 'new'
    ELSE 'ongoing'
  END AS state,
  CASE
    WHEN closed_at IS NOT NULL THEN 'closed'
    WHEN cleared_at IS NOT NULL THEN 'cleared'
    WHEN snoozed_until > $known_at THEN 'snoozed'
    WHEN acknowledged THEN 'acknowledged'
    ELSE 'open'
  END AS status
FROM standing
WHERE coalesce(closed_at, cleared_at, $known_at) > $since
ORDER BY since_at, signal_id
