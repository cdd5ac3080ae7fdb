-- relation: the newest sessions that fit the filters, and what is connected to them
-- grain:    one session
-- inputs:   mart.session_outcome, mart.session_sign; $clinic, $device, $operator, $protocol, $skin_type, $lot,
--           $cartridge: null for all; $start, $as_of: completed in [start, as_of); $people: whether the reader may see
--           rows about single patients; $every_clinic, $clinic_ids: the reader's scope; $most: rows at most
-- time:     as of the newest refresh; signs and follow-ups whenever they came. A sign is expected at $as_of until the
--           moment from which it counts, or for good
WITH chosen AS (
  SELECT *
  FROM mart.session_outcome
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
    count(*) FILTER (counts_from_at IS NULL OR (counts_from_at >= $as_of AND counts_from_at > occurred_at))
      AS expected_signs
  FROM mart.session_sign
  SEMI JOIN chosen USING (clinic_id, session_id)
  GROUP BY ALL
)
SELECT
  chosen.clinic_id, chosen.session_id, chosen.patient_key, chosen.operator_id,
  chosen.device_id, chosen.protocol_id, chosen.cartridge_lot,
  chosen.skin_type, chosen.completed_at, chosen.depth_mm,
  coalesce(sign.signs, 0) AS signs, coalesce(sign.expected_signs, 0) AS expected_signs, sign.highest_grade,
  chosen.first_follow_up_at IS NOT NULL AS followed_up
FROM chosen
LEFT JOIN sign USING (clinic_id, session_id)
ORDER BY chosen.completed_at DESC, chosen.clinic_id, chosen.session_id
