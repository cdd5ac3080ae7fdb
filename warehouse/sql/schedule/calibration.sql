-- rows for: warehouse.metrics.schedule
-- grain:    one day on which a device was calibrated
-- inputs:   core.calibration
-- time:     before $as_of, by UTC date

SELECT DISTINCT clinic_id, device_id, (occurred_at AT TIME ZONE 'UTC')::DATE AS calibrated_on
FROM core.calibration
WHERE occurred_at < $as_of
ORDER BY ALL
