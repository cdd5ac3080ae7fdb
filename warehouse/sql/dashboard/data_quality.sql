-- relation: events that landed but miss or contradict others
-- grain:    one check and clinic with such events
-- inputs:   mart.data_quality, mart.clinic; $every_clinic, $clinic_ids: the reader's scope
-- time:     as refresh last looked, see dashboard/data_quality_at
SELECT quality.check_id, quality.clinic_id, clinic.display_name, quality.subjects, quality.events,
  quality.first_occurred_at, quality.last_occurred_at
FROM mart.data_quality AS quality
LEFT JOIN mart.clinic AS clinic USING (clinic_id)
WHERE quality.clinic_id IS NOT NULL
  AND ($every_clinic OR list_contains($clinic_ids, quality.clinic_id))
ORDER BY quality.check_id, clinic.display_name, quality.clinic_id
