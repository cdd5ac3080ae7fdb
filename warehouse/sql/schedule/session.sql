-- rows for: warehouse.metrics.schedule
-- grain:    one session of a clinic
-- inputs:   core.session, core.protocol
-- time:     completed before $as_of, all history; days are UTC dates

SELECT
  session.clinic_id,
  session.patient_key,
  session.session_id,
  (session.completed_at AT TIME ZONE 'UTC')::DATE AS completed_on,
  coalesce(session.indication, 'unknown') AS indication,
  protocol.sessions_planned,
  session.protocol_id,
  session.device_id,
  session.cartridge_lot,
  session.cartridge_serial,
  session.area,
  session.skin_type,
  session.age_band,
  session.contraindication_overridden
FROM core.session AS session
LEFT JOIN core.protocol AS protocol
  ON protocol.protocol_id = session.protocol_id AND protocol.version = session.protocol_version
WHERE session.completed_at < $as_of AND session.patient_key IS NOT NULL
ORDER BY session.clinic_id, session.patient_key, completed_on, session.session_id
