-- relation: devices with their upkeep: when last calibrated and serviced, and when that is due again
-- grain:    one device of a clinic
-- inputs:   core.device, core.calibration, raw.device_serviced, raw.device_firmware_updated, core.voided, mart.clinic;
--           $as_of: the day of knowledge; $every_clinic, $clinic_ids: the reader's scope
-- time:     as known at $as_of; a calibration holds 183 days and a service 365, as UpkeepRules of
--           warehouse.metrics.devices [assumption]
WITH calibrated AS (
  SELECT clinic_id, device_id, max(occurred_at) AS calibrated_at, max_by(depth_error_mm, occurred_at) AS depth_error_mm
  FROM core.calibration
  WHERE occurred_at < $as_of
  GROUP BY ALL
),
serviced AS (
  SELECT clinic_id, device_id, max(occurred_at) AS serviced_at
  FROM raw.device_serviced AS fact
  WHERE occurred_at < $as_of
    AND NOT EXISTS (FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id)
  GROUP BY ALL
),
updated AS (
  SELECT clinic_id, device_id, max_by(firmware, occurred_at) AS firmware
  FROM raw.device_firmware_updated AS fact
  WHERE occurred_at < $as_of
    AND NOT EXISTS (FROM core.voided WHERE voided.source = fact.source AND voided.voided_id = fact.id)
  GROUP BY ALL
)
SELECT
  device.clinic_id, clinic.display_name, device.device_id, device.model, device.serial, device.udi_di,
  coalesce(updated.firmware, device.firmware) AS firmware,
  device.in_service_on,
  calibrated.calibrated_at, calibrated.depth_error_mm,
  coalesce(calibrated.calibrated_at::DATE, device.in_service_on) + 183 AS calibration_due_on,
  serviced.serviced_at,
  coalesce(serviced.serviced_at::DATE, device.in_service_on) + 365 AS service_due_on
FROM core.device AS device
LEFT JOIN mart.clinic AS clinic USING (clinic_id)
LEFT JOIN calibrated USING (clinic_id, device_id)
LEFT JOIN serviced USING (clinic_id, device_id)
LEFT JOIN updated USING (clinic_id, device_id)
WHERE $every_clinic OR list_contains($clinic_ids, device.clinic_id)
ORDER BY clinic.display_name, device.clinic_id, device.device_id
