-- relation: what the sessions with a device, lot, cartridge or operator are connected to
-- grain:    one kind of thing and one of it
-- inputs:   mart.session_outcome, mart.session_sign; filters as in dashboard/session_list; $every_clinic,
--           $clinic_ids: the reader's scope; $people, $fewest: sessions_with_event of fewer sessions than that is null
--           for a reader who may not see rows about single patients
-- time:     as of the newest refresh: sessions completed in [$start, $as_of); signs whenever they came, expected
--           reactions left out, as in dashboard/session_list
WITH chosen AS (
  SELECT clinic_id, session_id, device_id, operator_id, protocol_id, cartridge_lot, cartridge_serial
  FROM mart.session_outcome
  WHERE ($every_clinic OR list_contains($clinic_ids, clinic_id))
    AND ($clinic IS NULL OR clinic_id = $clinic)
    AND ($device IS NULL OR device_id = $device)
    AND ($operator IS NULL OR operator_id = $operator)
    AND ($lot IS NULL OR cartridge_lot = $lot)
    AND ($cartridge IS NULL OR cartridge_serial = $cartridge)
    AND completed_at >= $start AND completed_at < $as_of
),
having_event AS (
  SELECT DISTINCT clinic_id, session_id
  FROM mart.session_sign
  SEMI JOIN chosen USING (clinic_id, session_id)
  WHERE counts_from_at < $as_of OR counts_from_at <= occurred_at
),
thing AS (
  SELECT clinic_id, session_id, unnest([
    {'kind': 'clinic', 'id': clinic_id},
    {'kind': 'device', 'id': clinic_id || '/' || device_id},
    {'kind': 'operator', 'id': clinic_id || '/' || operator_id},
    {'kind': 'protocol', 'id': protocol_id},
    {'kind': 'lot', 'id': cartridge_lot}
  ]) AS thing
  FROM chosen
)
SELECT
  thing.thing.kind AS kind,
  thing.thing.id AS id,
  count(*) AS sessions,
  if(count(*) < $fewest AND NOT $people, NULL, count(having_event.session_id)) AS sessions_with_event
FROM thing
LEFT JOIN having_event USING (clinic_id, session_id)
WHERE thing.thing.id IS NOT NULL
GROUP BY ALL
ORDER BY kind, sessions DESC, id
