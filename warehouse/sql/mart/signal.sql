-- relation: mart.signal
-- grain:    one signal
-- inputs:   mart.signal_event
-- time:     as of its newest event; whether a snooze has ended is for the reader to compare with snoozed_until

CREATE OR REPLACE VIEW mart.signal AS
WITH numbered AS (
  SELECT
    *,
    max(number) FILTER (kind IN ('opened', 'reopened')) OVER (PARTITION BY signal_id) AS begun
  FROM mart.signal_event
)
SELECT
  signal_id,
  any_value(metric_id) AS metric_id,
  any_value(metric_version) AS metric_version,
  any_value(scope) AS scope,
  any_value(scope_id) AS scope_id,
  any_value(flag) AS flag,
  CASE
    WHEN bool_or(kind = 'closed') THEN 'closed'
    WHEN bool_or(kind = 'cleared' AND number > begun) THEN 'cleared'
    WHEN bool_or(kind IN ('acknowledged', 'assigned') AND number > begun) THEN 'acknowledged'
    ELSE 'open'
  END AS status,
  arg_max(owner, number) FILTER (owner IS NOT NULL) AS owner,  -- null while nobody's
  min(happened_at) AS opened_at,  -- when we became aware
  max(happened_at) FILTER (kind = 'closed') AS closed_at,  -- null while not closed
  max(until) FILTER (kind = 'snoozed' AND number > begun) AS snoozed_until,  -- null: not snoozed since it opened
  arg_max(value, number) FILTER (kind IN ('opened', 'reopened')) AS value,
  arg_max(q, number) FILTER (kind IN ('opened', 'reopened')) AS q,
  arg_max(note, number) FILTER (kind = 'closed') AS conclusion,  -- null while not closed
  max(number) AS events
FROM numbered
GROUP BY signal_id;

COMMENT ON VIEW mart.signal IS 'Grain: one signal: a flag a person should look into, with its owner and status (open, acknowledged, cleared, closed). A signal is not proof of harm.';
