-- relation: issued reports
-- grain:    one report
-- inputs:   mart.report_file; $week, $edition and $words, each null for any; $words are looked for in the frozen data
-- time:     newest first
SELECT report_id, week, edition, revision, snapshot_id, issued_at, reason
FROM mart.report_file
WHERE kind = 'json'
  AND (CAST($week AS VARCHAR) IS NULL OR week = $week)
  AND (CAST($edition AS VARCHAR) IS NULL OR edition = $edition)
  AND (CAST($words AS VARCHAR) IS NULL OR contains(lower(document), lower($words)))
ORDER BY week DESC, edition, revision DESC
