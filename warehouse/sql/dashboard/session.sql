-- relation: one session
-- grain:    one row, or none where there is no such session or the reader may not see it
-- inputs:   core.session, mart.clinic; $clinic, $session: which; $people: whether the reader may see rows about single
--           patients; $every_clinic, $clinic_ids: the reader's scope
-- time:     latest truth
SELECT
  session.clinic_id, clinic.display_name, clinic.time_zone, session.session_id,
  session.patient_key, session.age_band,
  session.operator_id, session.device_id, session.protocol_id, session.protocol_version, session.cartridge_lot,
  session.cartridge_serial, session.indication, session.area, session.skin_type, session.phase,
  session.session_number, session.started_at, session.completed_at, session.depth_mm, session.stroke_rate_per_min,
  session.passes, session.contraindication_overridden
FROM core.session AS session
LEFT JOIN mart.clinic AS clinic USING (clinic_id)
WHERE $people AND session.clinic_id = $clinic AND session.session_id = $session
  AND ($every_clinic OR list_contains($clinic_ids, session.clinic_id))
