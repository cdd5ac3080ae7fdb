-- relation: the newest sessions that fit the filters, and what is connected to them
-- grain:    one session
-- inputs:   core.session, core.adverse_event, core.follow_up; $clinic, $device, $operator, $protocol, $skin_type, $lot,
--           $cartridge: null for all; $start, $as_of: completed in [start, as_of); $people: whether the reader may see
--           rows about single patients; $every_clinic, $clinic_ids: the reader's scope; $most: rows at most
-- time:     latest truth of the sessions; signs and follow-ups whenever they came
WITH chosen AS (
  SELECT *
  FROM core.session
  WHERE $people AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
    AND ($clinic IS NULL OR clinic_id = $clinic)
    AND ($device IS NULL OR device_id = $device)
    AND ($operator IS NULL OR operator_id = $operator)
    AND ($protocol IS NULL OR protocol_id = $protocol)
    AND ($skin_type IS NULL OR skin_type = $skin_type)
    AND ($lot IS NULL OR cartridge_lot = $lot)
    AND ($cartridge IS NULL OR cartridge_serial = $cartridge)
    AND completed_at >= $start AND completed_at < $as_of
  ORDER BY completed_at DESC, clinic_id, session_id
  LIMIT $most
),
sign AS (
  SELECT clinic_id, session_id, count(*) AS signs, max(grade) AS highest_grade,
    count(*) FILTER (coalesce(expected, expected_until_at > $as_of, false)) AS expected_signs
  FROM core.adverse_event
  SEMI JOIN chosen USING (clinic_id, session_id)
  GROUP BY ALL
),
contact AS (
  SELECT clinic_id, session_id, count(*) AS follow_ups
  FROM core.follow_up
  SEMI JOIN chosen USING (clinic_id, session_id)
  GROUP BY ALL
)
SELECT
  chosen.clinic_id, chosen.session_id, chosen.patient_key, chosen.operator_id,
  chosen.device_id, chosen.protocol_id, chosen.protocol_version, chosen.cartridge_lot, chosen.cartridge_serial,
  chosen.indication, chosen.area, chosen.skin_type, chosen.phase, chosen.session_number, chosen.completed_at,
  chosen.depth_mm, chosen.contraindication_overridden,
  coalesce(sign.signs, 0) AS signs, coalesce(sign.expected_signs, 0) AS expected_signs, sign.highest_grade,
  coalesce(contact.follow_ups, 0) AS follow_ups
FROM chosen
LEFT JOIN sign USING (clinic_id, session_id)
LEFT JOIN contact USING (clinic_id, session_id)
ORDER BY chosen.completed_at DESC, chosen.clinic_id, chosen.session_id
