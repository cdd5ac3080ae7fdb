-- relation: the frozen data of issued reports
-- grain:    one report
-- inputs:   mart.report_file
-- time:     as issued
SELECT report_id, week, edition, document
FROM mart.report_file
WHERE kind = 'json'
ORDER BY week, edition, revision
