-- relation: when each clinic was last heard of
-- grain:    one clinic
-- inputs:   mart.clinic, raw.session_completed, raw.follow_up_completed; $every_clinic, $clinic_ids: the reader's scope
-- time:     newest broker's time; reporting lag is the median of occurred to received of the last 30 days before $as_of,
--           in hours
WITH heard AS (
  SELECT clinic_id, 'session' AS kind, occurred_at, received_at FROM raw.session_completed
  UNION ALL
  SELECT clinic_id, 'follow-up', occurred_at, received_at FROM raw.follow_up_completed
)
SELECT
  clinic.clinic_id, clinic.display_name, clinic.time_zone,
  max(heard.received_at) FILTER (heard.kind = 'session') AS session_received_at,
  max(heard.received_at) FILTER (heard.kind = 'follow-up') AS follow_up_received_at,
  median((epoch_us(heard.received_at) - epoch_us(heard.occurred_at)) / 3600e6)
    FILTER (heard.occurred_at >= $as_of - INTERVAL 30 DAY) AS lag_hours
FROM mart.clinic AS clinic
LEFT JOIN heard USING (clinic_id)
WHERE $every_clinic OR list_contains($clinic_ids, clinic.clinic_id)
GROUP BY ALL
ORDER BY clinic.display_name, clinic.clinic_id
