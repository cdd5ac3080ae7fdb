-- relation: the year's newest results by group (clinic, operator, device, protocol, firmware, lot, skin type)
-- grain:    one metric, scope and scope_id; the newest version of each metric
-- inputs:   mart.metric_current, mart.clinic; $metrics, $scopes: which; $clinic: only what belongs to that clinic,
--           null for all; $every_clinic, $clinic_ids: the reader's scope. A lot, a firmware, a protocol or a skin
--           type belongs to no clinic and is for readers of all clinics only
-- time:     as known at the newest as_of; UTC
WITH newest AS (
  SELECT *,
    if(scope IN ('clinic', 'operator', 'device'), split_part(scope_id, '/', 1), NULL) AS clinic_id
  FROM mart.metric_current
  WHERE period = 'year'
    AND metric_id IN (SELECT unnest($metrics))
    AND scope IN (SELECT unnest($scopes))
  QUALIFY metric_version = max(metric_version) OVER (PARTITION BY metric_id)
)
SELECT
  newest.metric_id, newest.metric_version, newest.scope, newest.scope_id, newest.clinic_id, clinic.display_name,
  newest.numerator, newest.denominator, newest.value, newest.lower, newest.upper, newest.level, newest.method,
  newest.reason, newest.expected, newest.statistic, newest.threshold, newest.p, newest.q,
  newest.detectable_ratio, newest.flag, newest.consecutive_flags, newest.change,
  newest.interval_start, newest.interval_end, newest.as_of, newest.computed_at
FROM newest
LEFT JOIN mart.clinic AS clinic ON clinic.clinic_id = newest.clinic_id
WHERE ($every_clinic OR list_contains($clinic_ids, newest.clinic_id))
  AND ($clinic IS NULL OR newest.clinic_id IS NULL OR newest.clinic_id = $clinic)
ORDER BY newest.metric_id, newest.scope, newest.scope_id
