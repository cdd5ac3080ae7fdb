-- relation: the looks of sequential surveillance, of the lots and firmware nearest to their critical value
-- grain:    one look
-- inputs:   mart.surveillance_look; $most: how many lots and firmware; only for readers of all clinics, since a lot
--           may be used by one clinic alone
-- time:     all looks of the newest version of the metric
WITH newest AS (
  SELECT *
  FROM mart.surveillance_look
  WHERE $every_clinic
  QUALIFY metric_version = max(metric_version) OVER ()
),
nearest AS (
  SELECT scope, scope_id
  FROM newest
  GROUP BY scope, scope_id
  ORDER BY max_by(statistic / nullif(critical_value, 0), look) DESC NULLS LAST, scope, scope_id
  LIMIT $most
)
SELECT
  newest.scope, newest.scope_id, newest.look, newest.as_of, newest.events, newest.expected, newest.relative_risk,
  newest.statistic, newest.critical_value, newest.alpha_spent, newest.signal, newest.reason
FROM newest
JOIN nearest USING (scope, scope_id)
ORDER BY newest.scope, newest.scope_id, newest.look
