-- rows for: mart.left_out
-- grain:    one metric, scope (network, clinic) and reason with at least one session
-- inputs:   temp.session_outcome
-- time:     sessions completed in [$start, $as_of); what occurred before $as_of

WITH judged AS (
  SELECT
    clinic_id,
    first_follow_up_at < $as_of OR first_sign_at < $as_of AS known,
    first_follow_up_at < $as_of AS followed_up,
    completed_at > $as_of - to_hours(336) AS young,
    device_id IS NULL AS no_device,
    cartridge_lot IS NULL OR cartridge_serial IS NULL AS no_cartridge,
    count(*) AS sessions
  FROM temp.session_outcome
  WHERE completed_at >= $start AND completed_at < $as_of
  GROUP BY ALL
),
left_out AS (
  SELECT clinic_id, sessions, unnest([
    CASE WHEN known IS NOT TRUE THEN {'metric_id': 'adverse_event_incidence', 'reason': 'outcome not known: no follow-up, no sign reported'} END,
    CASE WHEN young THEN {'metric_id': 'adverse_event_ratio', 'reason': 'less than 14 days old'}
      WHEN followed_up IS NOT TRUE THEN {'metric_id': 'adverse_event_ratio', 'reason': 'not followed up'} END,
    CASE WHEN young THEN {'metric_id': 'adverse_event_surveillance', 'reason': 'less than 14 days old'}
      WHEN followed_up IS NOT TRUE THEN {'metric_id': 'adverse_event_surveillance', 'reason': 'not followed up'} END,
    CASE WHEN young THEN {'metric_id': 'adverse_event_reporting', 'reason': 'less than 14 days old'} END,
    CASE WHEN young THEN {'metric_id': 'follow_up_coverage', 'reason': 'less than 14 days old'} END,
    CASE WHEN no_device THEN {'metric_id': 'sessions_while_overdue', 'reason': 'device not stated'} END,
    CASE WHEN no_cartridge THEN {'metric_id': 'cartridge_reuse', 'reason': 'lot or serial of the cartridge not stated'} END,
    CASE WHEN known IS NOT TRUE THEN {'metric_id': 'overdue_calibration_harm', 'reason': 'outcome not known: no follow-up, no sign reported'}
      WHEN no_device THEN {'metric_id': 'overdue_calibration_harm', 'reason': 'device not stated'} END
  ]) AS why
  FROM judged
)
SELECT
  why.metric_id AS metric_id,
  CASE WHEN grouping(clinic_id) = 0 THEN 'clinic' ELSE 'network' END AS scope,
  coalesce(clinic_id, 'network') AS scope_id,
  why.reason AS reason,
  sum(sessions)::BIGINT AS sessions
FROM left_out
WHERE why IS NOT NULL
GROUP BY GROUPING SETS ((why.metric_id, why.reason), (why.metric_id, why.reason, clinic_id))
ORDER BY ALL
