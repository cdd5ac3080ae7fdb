-- relation: the newest metric results a reader may see, each with the result of about a week earlier
-- grain:    metric, scope, scope_id, period, interval; the newest version of each metric
-- inputs:   mart.metric_current, mart.metric_result, mart.freshness, mart.clinic; $every_clinic, $clinic_ids:
--           the reader's scope; $fewest_others: a reader of some clinics sees a network row only if that many
--           other clinics are in it, for with one other the difference is that clinic
-- time:     as known at the newest as_of; the earlier one is the newest between 7 and 14 days before it and
--           is joined for the period 'year' only, because a week's earlier result is another week; UTC
WITH others AS (
  SELECT count(*) AS registered
  FROM mart.clinic
  WHERE NOT list_contains($clinic_ids, clinic_id)
),
contributing AS (
  SELECT
    metric_id, metric_version, period, interval_start,
    count(*) FILTER (WHERE denominator > 0 AND NOT list_contains($clinic_ids, scope_id)) AS clinics
  FROM mart.metric_current
  WHERE scope = 'clinic'
  GROUP BY ALL
),
earlier AS (
  SELECT *
  FROM mart.metric_result
  WHERE period = 'year' AND as_of = (
    SELECT max(result.as_of)
    FROM mart.metric_result AS result, mart.freshness
    WHERE result.as_of <= freshness.newest_as_of - INTERVAL 7 DAY
      AND result.as_of > freshness.newest_as_of - INTERVAL 14 DAY
  )
)
SELECT
  result.metric_id, result.metric_version, result.scope, result.scope_id, result.period,
  result.interval_start, result.interval_end, result.numerator, result.denominator, result.value,
  result.lower, result.upper, result.level, result.unit, result.method, result.reason,
  result.as_of, result.computed_at,
  earlier.value AS earlier_value, earlier.as_of AS earlier_as_of
FROM mart.metric_current AS result
CROSS JOIN others
LEFT JOIN contributing
  ON contributing.metric_id = result.metric_id
  AND contributing.metric_version = result.metric_version
  AND contributing.period = result.period
  AND contributing.interval_start = result.interval_start
LEFT JOIN earlier
  ON earlier.metric_id = result.metric_id
  AND earlier.metric_version = result.metric_version
  AND earlier.scope = result.scope
  AND earlier.scope_id = result.scope_id
  AND earlier.period = result.period
WHERE
  $every_clinic
  OR (result.scope = 'clinic' AND list_contains($clinic_ids, result.scope_id))
  OR (result.scope = 'network' AND coalesce(contributing.clinics, others.registered) >= $fewest_others)
QUALIFY result.metric_version = max(result.metric_version) OVER (PARTITION BY result.metric_id)
ORDER BY result.metric_id, result.scope, result.scope_id, result.period, result.interval_start
