-- relation: what happened at a clinic that a trend may have to do with
-- grain:    one day, kind and thing
-- inputs:   core.protocol, mart.session_outcome (which protocols the clinic used), raw.device_firmware_updated,
--           raw.device_serviced; $clinic; $start, $as_of: in [start, as_of); $every_clinic, $clinic_ids: the reader's scope
-- time:     by the clinic's clock, UTC days
WITH happened AS (
  SELECT clinic_id, occurred_at::DATE AS on_day, 'firmware' AS kind, firmware AS what, device_id AS subject
  FROM raw.device_firmware_updated
  WHERE occurred_at >= $start AND occurred_at < $as_of
  UNION ALL
  SELECT clinic_id, occurred_at::DATE, 'service', kind, device_id
  FROM raw.device_serviced
  WHERE occurred_at >= $start AND occurred_at < $as_of
  UNION ALL
  SELECT $clinic, occurred_at::DATE, 'protocol', protocol_id, 'version ' || version
  FROM core.protocol
  WHERE occurred_at >= $start AND occurred_at < $as_of AND protocol_id IN (
    SELECT protocol_id FROM mart.session_outcome
    WHERE clinic_id = $clinic AND completed_at >= $start AND completed_at < $as_of
  )
)
SELECT on_day, kind, what, count(DISTINCT subject) AS devices, string_agg(DISTINCT subject, ', ' ORDER BY subject) AS subjects
FROM happened
WHERE clinic_id = $clinic AND ($every_clinic OR list_contains($clinic_ids, clinic_id))
GROUP BY ALL
ORDER BY on_day DESC, kind, what
