-- rows for: warehouse.metrics.findings
-- grain:    one adverse event that is not an expected reaction
-- inputs:   temp.session_sign, temp.session_outcome
-- time:     of sessions completed in [$start, $as_of), counted as of $as_of; period is the UTC month of its onset

SELECT
  sign.clinic_id,
  sign.clinic_id || '/' || sign.session_id AS session,
  sign.term,
  sign.grade,
  date_trunc('month', sign.onset_at AT TIME ZONE 'UTC')::DATE AS period,
  coalesce(session.cartridge_lot, 'unknown') AS cartridge_lot,
  coalesce(session.firmware, 'unknown') AS firmware,
  coalesce(session.protocol_id, 'unknown') AS protocol,
  coalesce(session.clinic_id || '/' || session.device_id, 'unknown') AS device
FROM temp.session_sign AS sign
JOIN temp.session_outcome AS session
  ON session.clinic_id = sign.clinic_id AND session.session_id = sign.session_id
WHERE sign.counts_from_at < $as_of AND session.completed_at >= $start AND session.completed_at < $as_of
ORDER BY ALL
