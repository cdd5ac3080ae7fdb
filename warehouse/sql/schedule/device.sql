-- rows for: warehouse.metrics.schedule
-- grain:    one device of a clinic that has come into service
-- inputs:   core.device
-- time:     in service on the UTC day of $as_of

SELECT clinic_id, device_id, in_service_on
FROM core.device
WHERE in_service_on <= ($as_of AT TIME ZONE 'UTC')::DATE
ORDER BY ALL
