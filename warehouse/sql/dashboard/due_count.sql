-- relation: how many patients of each clinic are due, at risk and overdue
-- grain:    one clinic
-- inputs:   mart.patient_due, mart.clinic; $fewest, $people: counts about fewer are null for a reader who may not see
--           rows about single patients, and so is the smallest other count of that clinic; $every_clinic,
--           $clinic_ids: the reader's scope
-- time:     as of the newest refresh
WITH counted AS (
  SELECT
    clinic.clinic_id,
    clinic.display_name,
    count(*) FILTER (due.state = 'due') AS due,
    count(*) FILTER (due.state = 'at risk') AS at_risk,
    count(*) FILTER (due.state = 'overdue') AS overdue,
    count(due.patient_key) AS total,
    max(due.as_of) AS as_of
  FROM mart.clinic AS clinic
  LEFT JOIN mart.patient_due AS due ON due.clinic_id = clinic.clinic_id
  WHERE $every_clinic OR list_contains($clinic_ids, clinic.clinic_id)
  GROUP BY clinic.clinic_id, clinic.display_name
),
judged AS (
  SELECT *, NOT $people AND list_min(list_filter([due, at_risk, overdue], lambda n: n > 0)) < $fewest AS small
  FROM counted
)
SELECT
  clinic_id, display_name, as_of,
  -- One small count hides the three: with the total shown, two of them would give it away.
  if(small, NULL, due) AS due,
  if(small, NULL, at_risk) AS at_risk,
  if(small, NULL, overdue) AS overdue,
  if(total < $fewest AND NOT $people, NULL, total) AS total
FROM judged
ORDER BY display_name, clinic_id
