-- relation: how many have come back to maintenance so many days after the session before (cumulative incidence)
-- grain:    one scope (network, and the clinic asked for) and week since that session
-- inputs:   mart.patient_window, mart.clinic; $as_of: the day of knowledge; $clinic: a clinic beside the network, or
--           null; $every_clinic, $clinic_ids: the reader's scope; $fewest_others: as in dashboard/result
-- time:     maintenance windows opened in the two years before $as_of. A course replaced by another one competes;
--           windows not decided yet, and those whose course broke off, are censored
-- source:   Aalen and Johansen 1978, Scandinavian Journal of Statistics 5:141; as warehouse.metrics.survival
WITH opened AS (
  SELECT clinic_id, opened_on, least(returned_on, replaced_on, breaks_on, $as_of::DATE) AS ended_on,
    returned_on, replaced_on
  FROM mart.patient_window
  WHERE kind = 'maintenance' AND opened_on < $as_of::DATE AND opened_on >= $as_of::DATE - 730
),
followed AS (
  SELECT clinic_id, ended_on - opened_on AS days,
    CASE WHEN ended_on >= $as_of::DATE THEN 0 WHEN returned_on = ended_on THEN 1 WHEN replaced_on = ended_on THEN 2
      ELSE 0 END AS cause
  FROM opened
),
subject AS (
  SELECT 'clinic' AS scope, days, cause FROM followed
  WHERE clinic_id = $clinic AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
  UNION ALL
  SELECT 'network', days, cause FROM followed
  WHERE $every_clinic OR (
    SELECT count(DISTINCT clinic_id) FILTER (NOT list_contains($clinic_ids, clinic_id)) >= $fewest_others
    FROM followed
  )
),
per_day AS (
  SELECT scope, days, count(*) AS ended, count(*) FILTER (cause = 1) AS back, count(*) FILTER (cause > 0) AS events
  FROM subject
  GROUP BY scope, days
),
at_risk AS (
  SELECT *, sum(ended) OVER (PARTITION BY scope ORDER BY days DESC) AS followed
  FROM per_day
),
staying AS (
  SELECT *,
    coalesce(exp(sum(ln(greatest(1 - events / followed, 1e-12))) OVER (
      PARTITION BY scope ORDER BY days ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )), 1.0) AS still_away
  FROM at_risk
),
curve AS (
  SELECT scope, days, followed, sum(still_away * back / followed) OVER (PARTITION BY scope ORDER BY days) AS incidence
  FROM staying
)
SELECT
  scope, 7 * week AS days,
  coalesce(max(incidence) FILTER (days <= 7 * week), 0.0) AS incidence,
  coalesce(min(followed) FILTER (days >= 7 * week - 6), 0)::BIGINT AS followed
FROM curve
CROSS JOIN range(0, 53) AS grid(week)
GROUP BY scope, week
HAVING max(followed) >= 5 AND coalesce(max(followed) FILTER (days >= 7 * week), 0) >= 5
ORDER BY scope, days
