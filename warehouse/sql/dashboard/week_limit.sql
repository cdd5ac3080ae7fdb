-- relation: control limits around each clinic's own average for each of its weeks
-- grain:    one clinic and week
-- inputs:   mart.metric_current; $metric: a proportion per 100; $every_clinic, $clinic_ids: the reader's scope
-- time:     the average of all weeks there are, of which 95 in 100 lie within the limits when only chance is at work
-- source:   p chart with probability limits by the normal approximation; Montgomery, Introduction to Statistical
--           Quality Control, 7th ed. (2013), section 7.2
WITH week AS (
  SELECT scope_id AS clinic_id, interval_start, numerator, denominator,
    sum(numerator) OVER own / nullif(sum(denominator) OVER own, 0) AS average
  FROM mart.metric_current
  WHERE metric_id = $metric AND period = 'week' AND scope = 'clinic' AND denominator > 0
    AND ($every_clinic OR list_contains($clinic_ids, scope_id))
  WINDOW own AS (PARTITION BY scope_id)
  QUALIFY metric_version = max(metric_version) OVER ()
)
SELECT
  clinic_id, interval_start,
  100 * average AS centre,
  100 * greatest(0, average - 1.959963984540054 * sqrt(average * (1 - average) / denominator)) AS lower,
  100 * least(1, average + 1.959963984540054 * sqrt(average * (1 - average) / denominator)) AS upper
FROM week
WHERE denominator >= $fewest
ORDER BY clinic_id, interval_start
