-- relation: the issued reports that rest on a snapshot: what they lead to may be read as it was then
-- grain:    one row, or none where no report that the reader may read names that snapshot
-- inputs:   mart.report_file; $snapshot; $every_clinic, $clinic_ids: the reader's scope, as in dashboard/report
-- time:     issued_at: the newest of them
SELECT max(issued_at) AS issued_at, max_by(report_id, issued_at) AS report_id, count(DISTINCT report_id) AS reports
FROM mart.report_file
WHERE snapshot_id = $snapshot AND kind = 'json'
  AND ($every_clinic OR (starts_with(edition, 'clinic-') AND list_contains($clinic_ids, substr(edition, 8))))
HAVING count(*) > 0
