-- rows for: device_in_calibration
-- grain:    one scope (network, clinic), also those without devices
-- inputs:   core.device, core.calibration, temp.scope
-- time:     devices in service on the day of $as_of; last calibration before $as_of, at most 183 days earlier by
--           UTC date. The interval is the year that the other metrics use.

WITH last_calibration AS (
  SELECT clinic_id, device_id, max(occurred_at) AS calibrated_at
  FROM core.calibration
  WHERE occurred_at < $as_of
  GROUP BY clinic_id, device_id
),
in_service AS (
  SELECT
    device.clinic_id,
    coalesce(
      ($as_of AT TIME ZONE 'UTC')::DATE - (calibrated_at AT TIME ZONE 'UTC')::DATE <= 183, false
    ) AS calibrated
  FROM core.device AS device
  LEFT JOIN last_calibration USING (clinic_id, device_id)
  WHERE device.in_service_on <= ($as_of AT TIME ZONE 'UTC')::DATE
),
counted AS (
  SELECT
    CASE WHEN grouping(clinic_id) = 0 THEN 'clinic' ELSE 'network' END AS scope,
    coalesce(clinic_id, 'network') AS scope_id,
    count(*) AS devices_in_service,
    count(*) FILTER (calibrated) AS devices_in_calibration
  FROM in_service
  GROUP BY GROUPING SETS ((), (clinic_id))
)
SELECT
  scope,
  scope_id,
  'year' AS period,
  $start AS interval_start,
  $as_of AS interval_end,
  coalesce(devices_in_service, 0) AS devices_in_service,
  coalesce(devices_in_calibration, 0) AS devices_in_calibration
FROM temp.scope
LEFT JOIN counted USING (scope, scope_id)
WHERE scope <> 'protocol'
ORDER BY ALL
