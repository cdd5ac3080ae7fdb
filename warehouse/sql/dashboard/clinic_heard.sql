-- relation: when each clinic was last heard of
-- grain:    one clinic
-- inputs:   mart.clinic, raw.session_completed, raw.follow_up_completed; $as_of; $every_clinic, $clinic_ids: the
--           reader's scope
-- time:     newest broker's time within the 30 days before $as_of, and since; null: nothing for so long. Reporting lag
--           is the median of occurred to received of what occurred within these days, in hours
WITH heard AS (
  SELECT clinic_id, 'session' AS kind, occurred_at, received_at FROM raw.session_completed
  UNION ALL
  SELECT clinic_id, 'follow-up', occurred_at, received_at FROM raw.follow_up_completed
),
lately AS (
  SELECT clinic_id,
    max(received_at) FILTER (kind = 'session') AS session_received_at,
    max(received_at) FILTER (kind = 'follow-up') AS follow_up_received_at,
    median((epoch_us(received_at) - epoch_us(occurred_at)) / 3600e6)
      FILTER (occurred_at >= $as_of::TIMESTAMPTZ - INTERVAL 30 DAY) AS lag_hours
  FROM heard
  WHERE received_at >= $as_of::TIMESTAMPTZ - INTERVAL 30 DAY
    AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
  GROUP BY clinic_id
)
SELECT clinic.clinic_id, clinic.display_name, clinic.time_zone,
  lately.session_received_at, lately.follow_up_received_at, lately.lag_hours
FROM mart.clinic AS clinic
LEFT JOIN lately USING (clinic_id)
WHERE $every_clinic OR list_contains($clinic_ids, clinic.clinic_id)
ORDER BY clinic.display_name, clinic.clinic_id
