-- relation: whether the network's totals tell of enough clinics beside the reader's own
-- grain:    one row, or none
-- inputs:   mart.clinic; $clinic_ids: the reader's scope; $fewest_others: as in dashboard/result
-- time:     as now
SELECT count(*) AS others
FROM mart.clinic
WHERE NOT list_contains($clinic_ids, clinic_id)
HAVING count(*) >= $fewest_others
