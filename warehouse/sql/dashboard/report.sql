-- relation: issued reports that a reader may read
-- grain:    one report
-- inputs:   mart.report_file; $words: an ISO week, or looked for in the id and in the frozen data, null for any;
--           $most: the newest so many; $every_clinic, $clinic_ids: the reader's scope. The network's edition names
--           every clinic, so it is for readers of all clinics
-- time:     the newest week first; the network's before the clinics'
SELECT
  report_id, week, edition, revision, snapshot_id, issued_at, reason,
  list(struct_pack(kind := kind, bytes := bytes, sha256 := sha256) ORDER BY kind) AS files
FROM mart.report_file
WHERE ($every_clinic OR (starts_with(edition, 'clinic-') AND list_contains($clinic_ids, substr(edition, 8))))
  AND (
    CAST($words AS VARCHAR) IS NULL
    OR week = $words
    OR NOT regexp_matches($words, '^\d{4}-W\d{2}$') AND report_id IN (
      SELECT report_id
      FROM mart.report_file
      WHERE kind = 'json' AND (contains(lower(report_id), lower($words)) OR contains(lower(document), lower($words)))
    )
  )
GROUP BY report_id, week, edition, revision, snapshot_id, issued_at, reason
ORDER BY week DESC, edition <> 'network', edition, revision DESC
LIMIT $most
