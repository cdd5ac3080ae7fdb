-- rows for: the safety metrics, and what is behind a signal
-- grain:    one session of a clinic, in no order
-- inputs:   temp.session_outcome; $named: whether session_id is wanted, else null
-- time:     sessions completed in [$start, $as_of); outcomes that occurred before $as_of. firmware is what the
--           device had when the session was completed; unknown features are the level 'unknown'

SELECT
  clinic_id,
  CASE WHEN $named THEN clinic_id || '/' || session_id END AS session_id,
  patient_key,
  completed_at,
  coalesce(clinic_id || '/' || operator_id, 'unknown') AS operator,
  coalesce(protocol_id, 'unknown') AS protocol,
  coalesce(clinic_id || '/' || device_id, 'unknown') AS device,
  coalesce(firmware, 'unknown') AS firmware,
  coalesce(cartridge_lot, 'unknown') AS cartridge_lot,
  coalesce(skin_type::VARCHAR, 'unknown') AS skin_type,
  coalesce(indication, 'unknown') AS indication,
  coalesce(area, 'unknown') AS area,
  coalesce(age_band, 'unknown') AS age_band,
  coalesce((floor(depth_mm * 2) / 2)::VARCHAR, 'unknown') AS depth_band,
  coalesce(len(list_filter(events_from, lambda moment: moment < $as_of)), 0) AS events,
  coalesce(first_follow_up_at < $as_of, false) AS followed_up
FROM temp.session_outcome
WHERE completed_at >= $start AND completed_at < $as_of
