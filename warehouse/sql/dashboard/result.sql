-- relation: the newest metric results a reader may see, each with the result of about a week earlier
-- grain:    metric, scope, scope_id, period, interval; the newest version of each metric
-- inputs:   mart.metric_current, mart.metric_result, mart.clinic; $metrics: which; $weeks: with
--           the weeks of network and clinics; $every_clinic, $clinic_ids: the reader's scope; $fewest_others: a reader of
--           some clinics sees a network row only if that many other clinics are in it, for with one other the
--           difference is that clinic; $fewest: a cell about fewer people is suppressed
-- time:     as known at the newest as_of; the earlier one is the newest between 7 and 14 days before it and
--           is joined for the period 'year' only, because a week's earlier result is another week; UTC
-- suppressed: the denominator counts people and is 1 to $fewest - 1; or, where that hides one clinic (or protocol)
--           that the rest and the total would give away, it is one of the next smallest, until at least two are
--           hidden with $fewest between them. Judged over all clinics, so that every reader sees the same cells.
WITH others AS (
  SELECT count(*) AS registered
  FROM mart.clinic
  WHERE NOT list_contains($clinic_ids, clinic_id)
),
newest AS (
  SELECT *
  FROM mart.metric_current
  WHERE metric_id IN (SELECT unnest($metrics)) AND scope IN ('network', 'clinic', 'protocol')
  QUALIFY metric_version = max(metric_version) OVER (PARTITION BY metric_id)
),
contributing AS (
  SELECT
    metric_id, metric_version, period, interval_start,
    count(*) FILTER (WHERE denominator > 0 AND NOT list_contains($clinic_ids, scope_id)) AS clinics
  FROM newest
  WHERE scope = 'clinic'
  GROUP BY ALL
),
people AS (
  SELECT
    metric_id, scope, scope_id, period, interval_start, denominator,
    bool_or(denominator < $fewest) OVER family AS any_small,
    row_number() OVER smallest_first - 1 AS smaller,
    coalesce(sum(denominator) OVER (smallest_first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS in_smaller
  FROM newest
  WHERE denominator > 0
    AND metric_id NOT IN ('device_in_calibration', 'device_days_in_calibration', 'cartridge_reuse')
  WINDOW
    family AS (PARTITION BY metric_id, scope, period, interval_start),
    smallest_first AS (PARTITION BY metric_id, scope, period, interval_start ORDER BY denominator, scope_id)
),
hidden AS (
  SELECT metric_id, scope, scope_id, period, interval_start
  FROM people
  WHERE denominator < $fewest
    OR (any_small AND scope <> 'network' AND (smaller < 2 OR in_smaller < $fewest))
),
earlier AS (
  SELECT *
  FROM mart.metric_result
  WHERE period = 'year' AND as_of = (
    SELECT max(result.as_of)
    FROM mart.metric_result AS result, (SELECT max(as_of) AS as_of FROM mart.metric_result) AS newest
    WHERE result.as_of <= newest.as_of - INTERVAL 7 DAY AND result.as_of > newest.as_of - INTERVAL 14 DAY
  )
)
SELECT
  result.metric_id, result.metric_version, result.scope, result.scope_id, result.period,
  result.interval_start, result.interval_end,
  hidden.metric_id IS NOT NULL AS suppressed,
  if(suppressed, NULL, result.numerator) AS numerator,
  if(suppressed, NULL, result.denominator) AS denominator,
  if(suppressed, NULL, result.value) AS value,
  if(suppressed, NULL, result.lower) AS lower,
  if(suppressed, NULL, result.upper) AS upper,
  result.level, result.unit, result.method,
  if(suppressed, 'suppressed: about fewer than ' || $fewest || ', or next to one that is', result.reason) AS reason,
  result.as_of, result.computed_at,
  if(suppressed OR earlier.denominator < $fewest, NULL, earlier.value) AS earlier_value,
  earlier.as_of AS earlier_as_of
FROM newest AS result
CROSS JOIN others
LEFT JOIN contributing USING (metric_id, metric_version, period, interval_start)
LEFT JOIN hidden USING (metric_id, scope, scope_id, period, interval_start)
LEFT JOIN earlier
  ON earlier.metric_id = result.metric_id
  AND earlier.metric_version = result.metric_version
  AND earlier.scope = result.scope
  AND earlier.scope_id = result.scope_id
  AND earlier.period = result.period
WHERE (result.period = 'year' OR ($weeks AND result.scope <> 'protocol'))
  AND (
    $every_clinic
    OR (result.scope = 'clinic' AND list_contains($clinic_ids, result.scope_id))
    OR (result.scope = 'network' AND coalesce(contributing.clinics, others.registered) >= $fewest_others)
  )
ORDER BY result.metric_id, result.scope, result.scope_id, result.period, result.interval_start
