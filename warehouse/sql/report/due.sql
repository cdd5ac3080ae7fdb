-- relation: how many patients are due
-- grain:    one clinic; counts of patients, of nobody in particular
-- inputs:   mart.patient_due; $as_of
-- time:     as of $as_of only: the due list is kept of the newest refresh, so an older report finds no row
SELECT
  clinic_id,
  count(*) FILTER (state = 'due') AS due,
  count(*) FILTER (state = 'at risk') AS at_risk,
  count(*) FILTER (state = 'overdue') AS overdue
FROM mart.patient_due
WHERE as_of = $as_of
GROUP BY clinic_id
ORDER BY clinic_id
