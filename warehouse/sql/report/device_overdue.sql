-- relation: devices that metric device_in_calibration counts as not in calibration
-- grain:    one device in service whose last calibration is over 183 days old, or that never had one (null)
-- inputs:   core.device, core.calibration; $as_of
-- time:     by UTC date of $as_of, as sql/metric/device_in_calibration
SELECT
  device.clinic_id,
  device.device_id,
  CAST(max(calibration.occurred_at) AT TIME ZONE 'UTC' AS DATE) AS last_calibrated_on,
  CAST($as_of AT TIME ZONE 'UTC' AS DATE) - last_calibrated_on - 183 AS days_overdue
FROM core.device AS device
LEFT JOIN core.calibration AS calibration
  ON calibration.clinic_id = device.clinic_id
  AND calibration.device_id = device.device_id
  AND calibration.occurred_at < $as_of
WHERE device.in_service_on <= CAST($as_of AT TIME ZONE 'UTC' AS DATE)
GROUP BY device.clinic_id, device.device_id
HAVING last_calibrated_on IS NULL OR days_overdue > 0
ORDER BY days_overdue DESC NULLS FIRST, device.clinic_id, device.device_id
