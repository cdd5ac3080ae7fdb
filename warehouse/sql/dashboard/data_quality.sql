-- relation: events that landed but miss or contradict others, of one check
-- grain:    one clinic
-- inputs:   core.data_quality, mart.clinic; $check: one check at a time, so that only what it needs is read;
--           $every_clinic, $clinic_ids: the reader's scope
-- time:     latest truth
SELECT quality.check_id, quality.clinic_id, clinic.display_name, count(*) AS subjects, sum(quality.events)::BIGINT AS events,
  min(quality.first_occurred_at) AS first_occurred_at, max(quality.last_occurred_at) AS last_occurred_at
FROM core.data_quality AS quality
LEFT JOIN mart.clinic AS clinic USING (clinic_id)
WHERE quality.check_id = $check
  AND ($every_clinic OR list_contains($clinic_ids, quality.clinic_id))
GROUP BY ALL
ORDER BY clinic.display_name, quality.clinic_id
