-- relation: the files of reports
-- grain:    one file of a report whose id begins with $report
-- inputs:   mart.report_file
-- time:     as issued
SELECT report_id, week, edition, revision, snapshot_id, issued_at, reason, kind, bytes, sha256, document
FROM mart.report_file
WHERE starts_with(report_id, $report)
ORDER BY report_id, kind
