-- rows for: warehouse.metrics.findings
-- grain:    one day on which a device's depth error was found
-- inputs:   core.calibration
-- time:     before $as_of, by UTC date

SELECT clinic_id, device_id, (occurred_at AT TIME ZONE 'UTC')::DATE AS calibrated_on,
  avg(depth_error_mm) AS depth_error_mm
FROM core.calibration
WHERE occurred_at < $as_of AND depth_error_mm IS NOT NULL
GROUP BY ALL
ORDER BY ALL
