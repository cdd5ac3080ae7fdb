-- temp.touched: and every statement of the sessions that a touched registration of a device, or a protocol, is about.
-- grain:    one fact
-- inputs:   temp.touched, temp.fact; mart.session_outcome, which is as of the snapshot before
-- time:     all

INSERT INTO temp.touched
SELECT fact.*
FROM temp.fact AS fact
WHERE kind = 'session'
  AND hash(clinic_id, session_id) IN (
    SELECT hash(clinic_id, session_id)
    FROM mart.session_outcome
    WHERE hash(clinic_id, device_id) IN (SELECT hash(clinic_id, entity) FROM temp.touched WHERE kind = 'device')
      OR protocol_id IN (SELECT entity FROM temp.touched WHERE kind = 'protocol')
  )
