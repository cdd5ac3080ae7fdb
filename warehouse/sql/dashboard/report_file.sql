-- relation: one file of an issued report that a reader may read, and the frozen data that it was rendered from
-- grain:    one file, or none
-- inputs:   mart.report_file; $report: its id; $kind; $every_clinic, $clinic_ids: the reader's scope, as in
--           dashboard/report
-- time:     as issued
SELECT file.report_id, file.week, file.edition, file.kind, file.sha256, frozen.document
FROM mart.report_file AS file
JOIN mart.report_file AS frozen ON frozen.report_id = file.report_id AND frozen.kind = 'json'
WHERE file.report_id = $report AND file.kind = $kind
  AND ($every_clinic OR (starts_with(file.edition, 'clinic-') AND list_contains($clinic_ids, substr(file.edition, 8))))
