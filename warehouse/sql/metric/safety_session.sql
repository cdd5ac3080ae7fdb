-- rows for: the safety metrics
-- grain:    one session of a clinic whose outcome is known: followed up, or with a reported sign
-- inputs:   core.session, temp.followed, core.adverse_event, core.device_registration
-- time:     sessions completed in [$start, $as_of); outcomes that occurred before $as_of. firmware is what the
--           device had when the session was completed; unknown features are the level 'unknown'

WITH reported AS (
  SELECT
    clinic_id,
    session_id,
    -- Expected so far: gone, or not yet gone at $as_of, before the end of its window.
    count(*) FILTER (
      NOT coalesce(least(coalesce(resolved_at, $as_of), $as_of) < expected_until_at, false)
    ) AS events
  FROM core.adverse_event
  WHERE occurred_at < $as_of
  GROUP BY clinic_id, session_id
),
seen AS (
  SELECT
    session.*,
    coalesce(reported.events, 0) AS events,
    followed.session_id IS NOT NULL AS followed_up,
    followed.session_id IS NOT NULL OR reported.session_id IS NOT NULL AS known
  FROM core.session AS session
  LEFT JOIN temp.followed AS followed
    ON followed.clinic_id = session.clinic_id
    AND followed.session_id = session.session_id
    AND followed.first_at < $as_of
  LEFT JOIN reported
    ON reported.clinic_id = session.clinic_id AND reported.session_id = session.session_id
  WHERE session.completed_at >= $start AND session.completed_at < $as_of
)
SELECT
  seen.clinic_id,
  seen.clinic_id || '/' || seen.session_id AS session_id,
  seen.patient_key,
  seen.completed_at,
  coalesce(seen.clinic_id || '/' || seen.operator_id, 'unknown') AS operator,
  coalesce(seen.protocol_id, 'unknown') AS protocol,
  coalesce(seen.clinic_id || '/' || seen.device_id, 'unknown') AS device,
  coalesce(registration.firmware, 'unknown') AS firmware,
  coalesce(seen.cartridge_lot, 'unknown') AS cartridge_lot,
  coalesce(seen.skin_type::VARCHAR, 'unknown') AS skin_type,
  coalesce(seen.indication, 'unknown') AS indication,
  coalesce(seen.area, 'unknown') AS area,
  coalesce(seen.age_band, 'unknown') AS age_band,
  coalesce((floor(seen.depth_mm * 2) / 2)::VARCHAR, 'unknown') AS depth_band,
  seen.events,
  seen.followed_up,
  seen.known
FROM seen
ASOF LEFT JOIN core.device_registration AS registration
  ON registration.clinic_id = seen.clinic_id
  AND registration.device_id = seen.device_id
  AND registration.occurred_at <= seen.completed_at
ORDER BY seen.clinic_id, seen.patient_key, seen.completed_at, seen.session_id
