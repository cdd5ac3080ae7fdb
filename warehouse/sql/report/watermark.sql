-- relation: how far each clinic's data reaches: its watermark
-- grain:    one registered clinic; watermark_at is null before its first event
-- inputs:   mart.clinic and the raw facts that clinics state every day they are open; $week_start, $week_end
-- time:     newest occurred_at landed so far: a clinic that has spoken of a later moment has sent what was
--           before. sessions: those completed within the week
WITH spoken AS (
  SELECT clinic_id, max(occurred_at) AS at FROM raw.session_completed GROUP BY clinic_id
  UNION ALL SELECT clinic_id, max(occurred_at) FROM raw.session_booked GROUP BY clinic_id
  UNION ALL SELECT clinic_id, max(occurred_at) FROM raw.session_started GROUP BY clinic_id
  UNION ALL SELECT clinic_id, max(occurred_at) FROM raw.follow_up_completed GROUP BY clinic_id
  UNION ALL SELECT clinic_id, max(occurred_at) FROM raw.assessment_recorded GROUP BY clinic_id
  UNION ALL SELECT clinic_id, max(occurred_at) FROM raw.adverse_event_reported GROUP BY clinic_id
  UNION ALL SELECT clinic_id, max(occurred_at) FROM raw.device_calibrated GROUP BY clinic_id
),
week AS (
  SELECT clinic_id, count(*) AS sessions
  FROM core.session
  WHERE completed_at >= $week_start AND completed_at < $week_end
  GROUP BY clinic_id
)
SELECT
  clinic.clinic_id,
  max(spoken.at) AS watermark_at,
  coalesce(any_value(week.sessions), 0) AS sessions
FROM mart.clinic AS clinic
LEFT JOIN spoken USING (clinic_id)
LEFT JOIN week USING (clinic_id)
GROUP BY clinic.clinic_id
ORDER BY clinic.clinic_id
