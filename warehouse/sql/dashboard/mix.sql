-- relation: which protocols a clinic used, and for whom
-- grain:    one protocol and skin type
-- inputs:   mart.session_outcome; $clinic; $start, $as_of: completed in [start, as_of); $every_clinic, $clinic_ids: the reader's
--           scope; $fewest, $people: the patients of fewer sessions are null for a reader who may not see single ones
-- time:     as of the newest refresh
SELECT protocol_id, skin_type, count(*) AS sessions,
  if(count(*) < $fewest AND NOT $people, NULL, count(DISTINCT patient_key)) AS patients,
  avg(depth_mm) AS depth_mm
FROM mart.session_outcome
WHERE clinic_id = $clinic AND completed_at >= $start AND completed_at < $as_of
  AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
GROUP BY ALL
ORDER BY protocol_id, skin_type
