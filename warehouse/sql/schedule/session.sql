-- rows for: warehouse.metrics.schedule
-- grain:    one session of a clinic, in no order
-- inputs:   temp.session_outcome
-- time:     completed on [$since, $as_of); $since is null for all history; days are UTC dates. Outcomes that
--           occurred before $as_of; adverse is null while the outcome is not known, and before $start

SELECT
  clinic_id,
  patient_key,
  session_id,
  completed_on,
  coalesce(indication, 'unknown') AS indication,
  sessions_planned,
  protocol_id,
  device_id,
  cartridge_lot,
  cartridge_serial,
  area,
  skin_type,
  age_band,
  contraindication_overridden,
  CASE WHEN completed_at >= $start AND (first_follow_up_at < $as_of OR first_sign_at < $as_of)
    THEN coalesce(events_from[1] < $as_of, false) END AS adverse,
  CASE WHEN first_follow_up_at < $as_of THEN (first_follow_up_at AT TIME ZONE 'UTC')::DATE END AS followed_on,
  CASE WHEN follow_up_from_day_1_at < $as_of THEN (follow_up_from_day_1_at AT TIME ZONE 'UTC')::DATE END
    AS followed_from_day_1_on
FROM temp.session_outcome
WHERE completed_at < $as_of AND patient_key IS NOT NULL AND ($since IS NULL OR completed_on >= $since)
